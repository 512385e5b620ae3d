//! Steps that are due, by the minute.

use paygraph_domain::time::Timestamp;
use serde::Serialize;

use super::{DueEnrolment, Enrolments, Place, Sequencer};
use crate::backoff::Deadline;
use crate::ports::{Clock, DUE_SHARDS, LedgerEntry, Publisher, Store, StoreError};
use crate::publish::publish;

/// How many due enrolments are read together.
const AT_ONCE: usize = 100;

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Stepped {
    /// Enrolments that were looked at.
    pub enrolments: usize,
    /// Steps that were sent.
    pub steps: usize,
    /// Enrolments that could not be moved on. The next run tries again.
    pub failed: usize,
    /// Whether something due was left for the next run.
    pub unfinished: bool,
}

impl<S: Store + Enrolments, C: Clock> Sequencer<S, C> {
    /// Moves every enrolment on whose time has come by `now`, and publishes the steps. Runs that
    /// overlap send no step twice.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read or written; the next run goes on.
    pub async fn tick<P: Publisher>(
        &self,
        publisher: &P,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Stepped, StoreError> {
        let mut stepped = Stepped::default();
        for shard in 0..DUE_SHARDS {
            loop {
                if !deadline.has_time() {
                    stepped.unfinished = true;
                    return Ok(stepped);
                }
                let due = self.store.due_enrolments(shard, now, AT_ONCE).await?;
                let entries = self.each(&due, now, deadline, &mut stepped).await;
                let waiting = publish(&self.store, publisher, &entries).await?;
                if !waiting.is_empty() || due.len() < AT_ONCE || stepped.failed > 0 {
                    break;
                }
            }
        }
        Ok(stepped)
    }

    /// Moves some enrolments on; one that cannot be read must not hold up all others.
    async fn each(
        &self,
        due: &[DueEnrolment],
        now: Timestamp,
        deadline: Deadline,
        stepped: &mut Stepped,
    ) -> Vec<LedgerEntry> {
        let mut entries = Vec::new();
        for due in due {
            let place = Place {
                tenant: &due.tenant,
                contact: &due.contact,
                sequence: &due.sequence,
            };
            stepped.enrolments += 1;
            match self.step(place, now, deadline).await {
                Ok(sent) => {
                    stepped.steps += sent.len();
                    entries.extend(sent);
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(code = "sequence_failed", error, contact.id = %due.contact, sequence = due.sequence, "A sequence could not go on");
                    stepped.failed += 1;
                }
            }
        }
        entries
    }
}
