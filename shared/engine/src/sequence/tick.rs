//! Steps that are due, by the minute.

use std::time::Duration;

use paygraph_domain::time::Timestamp;
use serde::Serialize;

use super::{DueEnrolment, Enrolments, Place, Sequencer};
use crate::backoff::Deadline;
use crate::ports::{Clock, DUE_SHARDS, LedgerEntry, Publisher, Store, StoreError, shards_from};
use crate::publish::publish;

/// How many due enrolments are read together.
const AT_ONCE: usize = 100;
/// How long an enrolment is tried that others keep changing.
const PATIENCE: Duration = Duration::from_secs(2);

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

impl Stepped {
    fn fail(&mut self, error: &StoreError, problem: &str) {
        let error: &dyn std::error::Error = error;
        tracing::error!(code = "sequence_failed", error, "{problem}");
        self.failed += 1;
    }
}

impl<S: Store + Enrolments, C: Clock> Sequencer<S, C> {
    /// Moves every enrolment on whose time has come by `now`, and publishes the steps. Runs that
    /// overlap send no step twice. What fails is counted and logged, and holds up nothing else; the
    /// next run tries it again.
    ///
    /// # Errors
    /// [`StoreError`] never; a caller treats it as a failed run.
    pub async fn tick<P: Publisher>(
        &self,
        publisher: &P,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Stepped, StoreError> {
        let mut stepped = Stepped::default();
        for shard in shards_from(now, DUE_SHARDS) {
            let mut after: Option<String> = None;
            loop {
                if !deadline.has_time() {
                    stepped.unfinished = true;
                    return Ok(stepped);
                }
                let page = self
                    .store
                    .due_enrolments(shard, after.as_deref(), now, AT_ONCE);
                let page = match page.await {
                    Ok(page) => page,
                    Err(error) => {
                        stepped.fail(&error, "A shard of due enrolments could not be read");
                        break;
                    }
                };
                stepped.failed += page.log_unreadable();
                let entries = self.each(&page.entries, now, deadline, &mut stepped).await;
                if let Err(error) = publish(&self.store, publisher, &entries).await {
                    stepped.fail(&error, "A publication could not be noted");
                }
                // An enrolment that failed is due again next minute. Those behind it are not to wait.
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(stepped)
    }

    /// Moves some enrolments on, each with a deadline of its own: one that cannot be moved on holds up
    /// no other.
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
            if !deadline.has_time() {
                stepped.unfinished = true;
                break;
            }
            stepped.enrolments += 1;
            match self.step(place, now, deadline.within(PATIENCE)).await {
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
