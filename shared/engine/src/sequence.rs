//! Who is in which sequence, and the steps that are due: each is sent once, whoever looks.
//!
//! An enrolment moves on in one transaction with the ledger's entry of its step, whose outbox holds
//! `sequence_step_due`. Whoever comes second finds another version, or the cause in the ledger; what
//! a crash leaves unpublished, the sweep publishes. What a step means is the core's
//! (`paygraph_domain::sequence`), and sending it is the target's.

mod hear;
mod tick;

use std::future::Future;
use std::sync::Arc;

use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, TenantId};
use paygraph_domain::sequence::{Advance, Enrolment, Seen, StepDue, advance};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

pub use self::hear::Heard;
pub use self::tick::Stepped;
use crate::backoff::{Deadline, pause};
use crate::envelope::{Subject, seal};
use crate::ports::{Clock, Commit, CommitError, IndexPage, LedgerEntry, Store, StoreError};
use crate::tick::cause_about;

/// The name of the event that a step is told by.
pub const STEP_DUE: &str = "sequence_step_due";

/// An enrolment whose time has come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueEnrolment {
    /// When.
    pub at: Timestamp,
    /// Whose it is.
    pub tenant: TenantId,
    /// The contact.
    pub contact: CustomerId,
    /// The sequence.
    pub sequence: String,
}

/// Where enrolments are read. They are written with a [`Commit`].
pub trait Enrolments: Sync {
    /// A contact's newest enrolment in each sequence, read consistently.
    fn enrolments(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
    ) -> impl Future<Output = Result<Vec<Enrolment>, StoreError>> + Send;

    /// The one in a sequence, read consistently.
    fn enrolment(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        sequence: &str,
    ) -> impl Future<Output = Result<Option<Enrolment>, StoreError>> + Send;

    /// Enrolments whose time has come, of one of [`crate::ports::DUE_SHARDS`] shards, the longest due
    /// first, behind the place `after`. Eventually consistent.
    fn due_enrolments(
        &self,
        shard: u64,
        after: Option<&str>,
        until: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<IndexPage<DueEnrolment>, StoreError>> + Send;
}

/// Enrols, moves on and lets go.
#[derive(Debug, Clone)]
pub struct Sequencer<S, C> {
    /// Where contacts and enrolments are.
    pub store: S,
    /// Our own clock.
    pub clock: C,
}

/// A contact's place in a sequence.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    tenant: &'a TenantId,
    contact: &'a CustomerId,
    sequence: &'a str,
}

impl<S: Store + Enrolments, C: Clock> Sequencer<S, C> {
    /// Moves one enrolment on to `now`, as the contact is now. Gives the entries to publish.
    async fn step(
        &self,
        place: Place<'_>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        let settings: Arc<Settings> = self.store.settings(place.tenant).await?;
        let (mut entries, mut attempt) = (Vec::new(), 0);
        loop {
            let Place {
                tenant,
                contact,
                sequence,
            } = place;
            let held = self.store.enrolment(tenant, contact, sequence).await?;
            let Some(held) = held.filter(|held| held.due().is_some_and(|due| due <= now)) else {
                return Ok(entries);
            };
            let found = self.store.contact(tenant, contact).await?;
            let seen = found.as_ref().map(|found| Seen::at(found, &settings, now));
            let running = settings.running_sequence(sequence);
            let Some(moved) = advance(running, &held, seen.as_ref(), now) else {
                return Ok(entries);
            };
            if let Some(done) = self.moved(place, moved, now).await? {
                entries.extend(done);
                attempt = 0;
            } else {
                attempt += 1;
                again(contact, attempt, deadline).await?;
            }
        }
    }

    /// Commits a move, with the entry of the step that it sends; none when somebody else was faster.
    async fn moved(
        &self,
        place: Place<'_>,
        moved: Advance,
        now: Timestamp,
    ) -> Result<Option<Option<LedgerEntry>>, StoreError> {
        let mut commit = Commit::new(place.tenant.clone());
        let due = moved.due.as_ref();
        commit.ledger = due.map(|due| self.entry(place, due, now)).transpose()?;
        commit.put_enrolment(place.contact.clone(), moved.enrolment);
        let mut done = self.store.commit(&commit).await;
        if matches!(done, Err(CommitError::Duplicate)) {
            // This very step was sent by an enrolment of that number whose record is gone: it is
            // noted and not sent again.
            commit.ledger = None;
            done = self.store.commit(&commit).await;
        }
        match done {
            Ok(()) => Ok(Some(commit.ledger)),
            Err(CommitError::Conflict | CommitError::Duplicate) => Ok(None),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// The ledger's entry of a step: `sequence:{sequence}:{contact}:{n}:{step}`.
    fn entry(
        &self,
        place: Place<'_>,
        due: &StepDue,
        now: Timestamp,
    ) -> Result<LedgerEntry, StoreError> {
        let cause = cause(place.contact, due)?;
        let subject = Subject {
            tenant: place.tenant,
            contact: Some(place.contact),
            customer: None,
            at: now,
            source: Source::Tick,
            cause: &cause,
        };
        let data = serde_json::to_value(due).map_err(|error| StoreError {
            context: "writing a step".to_owned(),
            retry: false,
            source: Some(error.into()),
        })?;
        let outbox = seal(subject, vec![(STEP_DUE.to_owned(), data, None)]);
        Ok(LedgerEntry {
            tenant: place.tenant.clone(),
            cause,
            event_type: "sequence".to_owned(),
            at: now,
            processed_at: self.clock.now(),
            disposition: "applied".to_owned(),
            outbox,
        })
    }
}

fn cause(contact: &CustomerId, due: &StepDue) -> Result<Cause, StoreError> {
    let (sequence, n, step) = (&due.sequence, due.enrolment, &due.name);
    cause_about(contact, |id| format!("sequence:{sequence}:{id}:{n}:{step}"))
}

/// Waits before another attempt, as long as there is time for one.
async fn again(contact: &CustomerId, attempt: u32, deadline: Deadline) -> Result<(), StoreError> {
    if !deadline.has_time() {
        return Err(StoreError {
            context: format!("the enrolments of {contact} were busy until the deadline"),
            retry: true,
            source: None,
        });
    }
    pause(attempt).await;
    Ok(())
}
