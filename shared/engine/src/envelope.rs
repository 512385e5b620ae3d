//! What is published: the product's event in its envelope.

use std::sync::Arc;

use paygraph_domain::event::Event;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::time::{Timestamp, rfc3339};
use paygraph_stripe::decode::About;
use paygraph_stripe::event::StripeEvent;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The most bytes of a `detail-type`. EventBridge takes 128 characters:
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html>.
pub const MAX_DETAIL_TYPE: usize = 128;
/// The most field names that are passed on of `previous_attributes`.
const MAX_REPLACED: usize = 50;

/// An event as it stands in `detail` on the bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// The version of this shape.
    pub version: u8,
    /// `{cause}#n`: consumers drop what they have seen.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// The contact, where one is known.
    pub customer_id: Option<CustomerId>,
    /// The Stripe customer, where one is named.
    pub stripe_customer_id: Option<StripeCustomerId>,
    /// When it happened at Stripe.
    #[serde(serialize_with = "rfc3339", deserialize_with = "parse_rfc3339")]
    pub occurred_at: Timestamp,
    /// Which path found it.
    pub source: Source,
    /// What made it: the Stripe event's id, a run's object, a timer.
    pub cause: Cause,
    /// What it says.
    pub data: Value,
}

fn parse_rfc3339<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    Timestamp::parse(&text).map_err(serde::de::Error::custom)
}

/// An event with the name by which rules pick it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The bus's `detail-type`.
    pub detail_type: String,
    /// The bus's `detail`.
    pub detail: Arc<Envelope>,
}

/// An event's name and data, and its contact where that is not the one of its commit.
pub type Told = (String, Value, Option<CustomerId>);

/// Whom the events of one commit are about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// The contact, where one is known.
    pub contact: Option<&'a CustomerId>,
    /// The Stripe customer, where one is named.
    pub customer: Option<&'a StripeCustomerId>,
    /// When it happened.
    pub at: Timestamp,
    /// Which path found it.
    pub source: Source,
    /// What made it.
    pub cause: &'a Cause,
}

/// Numbers events and puts them in their envelopes.
#[must_use]
pub fn seal(about: Subject<'_>, events: Vec<Told>) -> Vec<Outgoing> {
    let numbered = events.into_iter().enumerate();
    numbered
        .map(|(n, (detail_type, data, contact))| Outgoing {
            detail_type,
            detail: Arc::new(Envelope {
                version: 1,
                id: format!("{}#{n}", about.cause),
                tenant: about.tenant.clone(),
                customer_id: contact.or_else(|| about.contact.cloned()),
                stripe_customer_id: about.customer.cloned(),
                occurred_at: about.at,
                source: about.source,
                cause: about.cause.clone(),
                data,
            }),
        })
        .collect()
}

/// A domain event, ready to be sealed.
#[must_use]
pub fn named(event: Event) -> Told {
    (event.name.to_owned(), event.data, event.contact)
}

/// Stripe's own event, passed on: ids and names, never the object. A thin event is marked as such.
#[must_use]
pub fn passed_on(event: &StripeEvent<'_>, about: &About) -> Told {
    let replaced: Vec<_> = about.replaced.iter().take(MAX_REPLACED).collect();
    let mut data = json!({
        "id": event.id,
        "type": event.event_type,
        "livemode": event.livemode,
        "created": event.created.unix(),
        "object": about.object,
        "object_type": about.object_type,
        "previous_attributes": replaced,
        "thin": event.is_thin,
        "snapshot_event": event.snapshot_event,
    });
    let full = format!("stripe.{}", event.event_type);
    let detail_type = bounded_type(&full).to_owned();
    if detail_type.len() < full.len()
        && let Some(data) = data.as_object_mut()
    {
        data.insert("type_truncated".to_owned(), Value::Bool(true));
    }
    (detail_type, data, None)
}

/// A `detail-type`, cut where it is longer than the bus takes.
#[must_use]
pub fn bounded_type(text: &str) -> &str {
    let end = text.floor_char_boundary(MAX_DETAIL_TYPE);
    text.get(..end).unwrap_or(text)
}
