//! A message on NATS: its subject, the id by which repeats are dropped, and what it says.

use paygraph_domain::id::{CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::time::{Timestamp, rfc3339};
use paygraph_engine::envelope::Envelope;
use serde::Serialize;

use crate::state::{State, Step};
use crate::told::Told;

/// The version of what messages say.
const VERSION: u8 = 1;

/// What is told of, beside what is told.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The event's id; for what follows from no event, a name that nothing else has.
    pub id: &'a str,
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// The contact, where one is known.
    pub customer_id: Option<&'a CustomerId>,
    /// The Stripe customer, where one is named.
    pub stripe_customer_id: Option<&'a StripeCustomerId>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What made it.
    pub cause: &'a str,
}

impl<'a> From<&'a Envelope> for About<'a> {
    fn from(event: &'a Envelope) -> Self {
        Self {
            id: &event.id,
            tenant: &event.tenant,
            customer_id: event.customer_id.as_ref(),
            stripe_customer_id: event.stripe_customer_id.as_ref(),
            occurred_at: event.occurred_at,
            cause: event.cause.as_str(),
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it goes.
    pub subject: String,
    /// `{tenant}:{event}:{action}`: the stream drops a second one.
    pub id: String,
    /// JSON.
    pub payload: Vec<u8>,
}

/// What a message says.
#[derive(Serialize)]
struct Payload<'a> {
    version: u8,
    event_id: &'a str,
    tenant: &'a TenantId,
    customer_id: Option<&'a CustomerId>,
    stripe_customer_id: Option<&'a StripeCustomerId>,
    #[serde(serialize_with = "rfc3339")]
    occurred_at: Timestamp,
    cause: &'a str,
    action: &'a str,
    codes: Option<&'a str>,
    entity: Option<&'a str>,
    message: Option<&'a str>,
    line: Option<String>,
    code: Option<&'a str>,
    trinary: Option<i8>,
    step: Option<Step>,
}

impl Message {
    /// The message of what is told; none where it has no subject.
    #[must_use]
    pub fn of(about: &About<'_>, told: &Told) -> Option<Self> {
        let subject = told.subject.clone()?;
        let line = told.line.as_ref();
        let payload = Payload {
            version: VERSION,
            event_id: about.id,
            tenant: about.tenant,
            customer_id: about.customer_id,
            stripe_customer_id: about.stripe_customer_id,
            occurred_at: about.occurred_at,
            cause: about.cause,
            action: told.action,
            codes: line.map(|line| line.codes.as_str()),
            entity: line.map(|line| line.entity.as_str()),
            message: line.map(|line| line.message.as_str()),
            line: line.map(ToString::to_string),
            code: told.state.map(|State { code, .. }| code),
            trinary: told.state.map(|State { trinary, .. }| trinary),
            step: told.step,
        };
        Some(Self {
            subject,
            id: format!("{}:{}:{}", about.tenant, about.id, told.action),
            payload: serde_json::to_vec(&payload).unwrap_or_default(),
        })
    }
}
