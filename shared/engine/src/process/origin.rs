//! What facts are committed as.

use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::time::Timestamp;

use crate::backoff::Deadline;
use crate::envelope::{Outgoing, Subject, Told, seal};
use crate::ports::StoreError;

/// What facts are committed as: whose they are, under which cause, by which path.
pub(crate) struct Origin<'a> {
    pub tenant: &'a TenantId,
    pub cause: Cause,
    /// Stripe's event type, or the name of the run.
    pub event_type: String,
    /// Stripe's second.
    pub at: Timestamp,
    pub source: Source,
    /// Whether it is noted whatever it does, and whoever it names is asked for.
    pub is_message: bool,
    /// What the bus hears beside what the facts come to: Stripe's own event, or what a run found.
    pub told: Vec<Told>,
    pub deadline: Deadline,
}

impl Origin<'_> {
    /// Whether the bus hears nothing of it: what is imported is past.
    pub fn is_quiet(&self) -> bool {
        self.source == Source::Backfill
    }

    /// The origin of a part of the facts, under a cause of its own. `is_told` says whether an earlier
    /// part has told what the run found.
    pub fn part(&self, name: &str, is_told: bool) -> Result<Self, StoreError> {
        let cause = Cause::parse(format!("{}.{name}", self.cause));
        let cause = cause.map_err(|error| StoreError {
            context: format!("no cause for a part of {}", self.cause),
            retry: false,
            source: Some(error.into()),
        })?;
        let told = match is_told {
            true => Vec::new(),
            false => self.told.clone(),
        };
        Ok(Self {
            cause,
            told,
            event_type: self.event_type.clone(),
            ..*self
        })
    }

    /// Puts Stripe's own event and what it led to in their envelopes.
    pub fn seal(
        &self,
        contact: Option<&CustomerId>,
        customer: Option<&StripeCustomerId>,
        events: Vec<Told>,
    ) -> Vec<Outgoing> {
        let subject = Subject {
            tenant: self.tenant,
            contact,
            customer: customer.filter(|customer| !customer.is_guest()),
            at: self.at,
            source: self.source,
            cause: &self.cause,
        };
        seal(subject, self.told.iter().cloned().chain(events).collect())
    }
}
