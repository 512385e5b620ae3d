//! What facts are committed as.

use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::time::Timestamp;

use crate::backoff::Deadline;
use crate::envelope::{Outgoing, Subject, Told, seal};

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
            customer,
            at: self.at,
            source: self.source,
            cause: &self.cause,
        };
        seal(subject, self.told.iter().cloned().chain(events).collect())
    }
}
