//! The run over all contacts, after a change of segments, tiers or names.
//!
//! It takes no other way than time does: each contact is computed again as it stands, and what
//! that changes is told once under the run's name. Who the contacts are is the caller's to say.

use std::time::Duration;

use futures::future::join_all;
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;

use crate::backoff::Deadline;
use crate::fetch::Fetch;
use crate::ports::{Clock, Publisher, Store, StoreError};
use crate::process::Engine;
use crate::publish::publish;
use crate::tick::Reason;

/// How many contacts are computed side by side.
const AT_ONCE: usize = 16;
/// How long a contact that others keep changing is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a part of a run did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ran {
    /// Contacts that were computed.
    pub contacts: usize,
    /// Events that came of it.
    pub events: usize,
    /// Contacts that could not be computed.
    pub failed: usize,
    /// The contact up to which, in the order given, nothing failed.
    pub done_to: Option<CustomerId>,
}

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Computes contacts again as they stand at `now`, and publishes what that tells. The same run
    /// may meet a contact twice, and tells it once.
    ///
    /// # Errors
    /// [`StoreError`] when a publication could not be noted. A contact that cannot be computed is
    /// counted, logged, and holds up no other.
    pub async fn reevaluate<P: Publisher>(
        &self,
        publisher: &P,
        tenant: &TenantId,
        contacts: &[CustomerId],
        run: &str,
        now: Timestamp,
    ) -> Result<Ran, StoreError> {
        let reason = Reason::Run(run.to_owned());
        let mut ran = Ran::default();
        for some in contacts.chunks(AT_ONCE) {
            let deadline = Deadline::after(PATIENCE);
            let each = some
                .iter()
                .map(|id| self.recompute(tenant, id, now, &reason, deadline));
            let mut entries = Vec::new();
            for (id, computed) in some.iter().zip(join_all(each).await) {
                match computed {
                    Ok(entry) => {
                        ran.contacts += 1;
                        ran.events += entry.as_ref().map_or(0, |entry| entry.outbox.len());
                        entries.extend(entry);
                    }
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::error!(code = "run_failed", error, contact.id = %id, "A contact could not be computed");
                        ran.failed += 1;
                    }
                }
                if ran.failed == 0 {
                    ran.done_to = Some(id.clone());
                }
            }
            publish(&self.store, publisher, &entries).await?;
        }
        Ok(ran)
    }
}
