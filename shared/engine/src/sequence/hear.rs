//! What an event of the bus changes of a contact's enrolments.

use paygraph_domain::id::CustomerId;
use paygraph_domain::sequence::{Enrolment, Happened, Seen};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

use super::{Enrolments, Place, Sequencer, again};
use crate::backoff::Deadline;
use crate::envelope::Envelope;
use crate::ports::{Clock, Commit, CommitError, Publisher, Store, StoreError};
use crate::publish::publish;
use crate::target::{Old, old};

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// Why it is not news, if it is not.
    pub old: Option<Old>,
    /// The sequences that the contact is in from now on.
    pub enrolled: Vec<String>,
    /// Those that it has left.
    pub left: Vec<String>,
    /// Steps that were due at once.
    pub steps: usize,
}

impl<S: Store + Enrolments, C: Clock> Sequencer<S, C> {
    /// Takes an event of the bus as a hint: the contact as it is now decides which sequences it
    /// enters and leaves. Publishes the steps that are due at once.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed, or others changed the enrolments until the deadline.
    pub async fn hear<P: Publisher>(
        &self,
        publisher: &P,
        name: &str,
        event: &Envelope,
        deadline: Deadline,
    ) -> Result<Heard, StoreError> {
        let settings = self.store.settings(&event.tenant).await?;
        let Some(contact) = &event.customer_id else {
            return Ok(Heard::default());
        };
        if settings.enabled_sequences.is_empty() {
            return Ok(Heard::default());
        }
        let clock = self.clock.now();
        if let Some(old) = old(event, clock, settings.news_hours) {
            return Ok(Heard {
                old: Some(old),
                ..Heard::default()
            });
        }
        let now = clock.max(event.occurred_at);
        let mut heard = self
            .decide(contact, name, event, &settings, now, deadline)
            .await?;
        let mut entries = Vec::new();
        for sequence in &heard.enrolled {
            let place = Place {
                tenant: &event.tenant,
                contact,
                sequence,
            };
            entries.extend(self.step(place, now, deadline).await?);
        }
        heard.steps = entries.len();
        // What the bus does not take waits in the ledger, for the sweep.
        publish(&self.store, publisher, &entries).await?;
        Ok(heard)
    }

    /// Writes what an event changes of a contact's enrolments, in one transaction.
    async fn decide(
        &self,
        id: &CustomerId,
        name: &str,
        event: &Envelope,
        settings: &Settings,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Heard, StoreError> {
        let happened = Happened {
            id: &event.id,
            name,
            at: event.occurred_at,
            data: &event.data,
        };
        let mut attempt = 0;
        loop {
            let held = self.store.enrolments(&event.tenant, id).await?;
            let Some(contact) = self.store.contact(&event.tenant, id).await? else {
                return Ok(Heard::default());
            };
            let seen = Seen::at(&contact, settings, now);
            let (heard, changed) = changes(&happened, &held, &seen, settings);
            if changed.is_empty() {
                return Ok(heard);
            }
            let mut commit = Commit::new(event.tenant.clone());
            for enrolment in changed {
                commit.put_enrolment(id.clone(), enrolment);
            }
            match self.store.commit(&commit).await {
                Ok(()) => return Ok(heard),
                Err(CommitError::Store(error)) => return Err(error),
                Err(CommitError::Conflict | CommitError::Duplicate) => {}
            }
            attempt += 1;
            again(id, attempt, deadline).await?;
        }
    }
}

/// What an event changes, over all sequences that run.
fn changes(
    event: &Happened<'_>,
    held: &[Enrolment],
    seen: &Seen<'_>,
    settings: &Settings,
) -> (Heard, Vec<Enrolment>) {
    let (mut heard, mut changed) = (Heard::default(), Vec::new());
    for (name, sequence) in settings.running_sequences() {
        let held = held.iter().find(|held| held.sequence == name);
        let Some(after) = sequence.hear(name, event, held, seen) else {
            continue;
        };
        let told = if after.due().is_some() {
            &mut heard.enrolled
        } else {
            &mut heard.left
        };
        told.push(name.to_owned());
        changed.push(after);
    }
    (heard, changed)
}
