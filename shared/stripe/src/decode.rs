//! From a Stripe event to a domain fact. Dispatch only; one file per object.
//!
//! Input is read tolerantly: unknown fields and words are kept or skipped, a field is looked for in
//! every place where an API version since 2020-03-02 has had it, and absent is not null.

mod catalog;
mod charge;
mod checkout;
mod customer;
mod discount;
mod dispute;
mod invoice;
mod payment_method;
mod payment_source;
mod schedule;
mod subscription;

pub use subscription::decode as subscription;
pub use subscription::expanded_customer;

use paygraph_domain::fact::{Body, Fact, Source};
use paygraph_domain::id::{Cause, StripeCustomerId};
use paygraph_domain::order::Step;
use paygraph_domain::time::Timestamp;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::event::{DecodeError, ObjectError, StripeEvent};
use crate::fingerprint;
use crate::wire;

/// An object that was read.
pub(crate) struct Decoded {
    /// The Stripe customer it names.
    pub customer: Option<StripeCustomerId>,
    /// The object.
    pub body: Body,
}

/// What a decoder is given beside the object.
pub(crate) struct Hint<'a> {
    /// Stripe's second.
    pub at: Timestamp,
    /// The event's type.
    pub event_type: &'a str,
    /// The values that the event replaced.
    pub previous: Option<&'a RawValue>,
    /// Whether the API was asked for the object, with what it tells only then.
    pub asked: bool,
}

type Decoder = fn(&RawValue, &Hint<'_>) -> Result<Option<Decoded>, ObjectError>;

/// Which events carry which object: the first prefix that fits counts.
const DECODERS: &[(&str, Option<Decoder>)] = &[
    ("customer.subscription.", Some(subscription::event)),
    ("customer.discount.", Some(discount::event)),
    ("customer.source.", Some(payment_source::event)),
    ("customer.created", Some(customer::event)),
    ("customer.updated", Some(customer::event)),
    ("customer.deleted", Some(customer::event)),
    // An invoice that does not exist yet, and so has no id.
    ("invoice.upcoming", None),
    ("invoice.", Some(invoice::event)),
    ("payment_method.", Some(payment_method::event)),
    ("charge.dispute.", Some(dispute::event)),
    ("charge.refund.", Some(charge::refund_event)),
    ("charge.", Some(charge::event)),
    ("refund.", Some(charge::refund_event)),
    ("checkout.session.", Some(checkout::event)),
    ("subscription_schedule.", Some(schedule::event)),
    ("product.", Some(catalog::product_event)),
    ("price.", Some(catalog::price_event)),
    ("plan.", Some(catalog::price_event)),
    ("coupon.", Some(catalog::coupon_event)),
];

/// Whether paygraph reads the object of this event type.
#[must_use]
pub fn is_read(event_type: &str) -> bool {
    decoder(event_type).is_some()
}

fn decoder(event_type: &str) -> Option<Decoder> {
    DECODERS
        .iter()
        .find(|(prefix, _)| event_type.starts_with(prefix))
        .and_then(|(_, d)| *d)
}

/// What the types begin with that are read.
#[cfg(test)]
pub(crate) fn read_prefixes() -> impl Iterator<Item = &'static str> {
    let read = DECODERS.iter().filter(|(_, decoder)| decoder.is_some());
    read.map(|(prefix, _)| *prefix)
}

/// Reads the fact that an event tells. None for types that paygraph only passes on.
///
/// # Errors
/// [`DecodeError::Object`] when the object is not what the event's type says.
pub fn decode(event: &StripeEvent<'_>) -> Result<Option<Fact>, DecodeError> {
    let decoder = decoder(&event.event_type).filter(|_| !event.is_thin);
    let Some(decoder) = decoder else {
        return Ok(None);
    };
    read(event, decoder).map_err(|source| DecodeError::Object {
        event: event.id.to_string(),
        event_type: event.event_type.to_string(),
        source,
    })
}

fn read(event: &StripeEvent<'_>, decoder: Decoder) -> Result<Option<Fact>, ObjectError> {
    let hint = Hint {
        at: event.created,
        event_type: &event.event_type,
        previous: event.previous,
        asked: false,
    };
    let Some(decoded) = decoded(decoder, event.object, &hint)? else {
        return Ok(None);
    };
    let leaves = fingerprint::leaves(event.object)?;
    let replaced = match (&decoded.body, event.previous) {
        (Body::Subscription(_), Some(previous)) => {
            subscription::replaced(event.object, previous, event.created)
        }
        _ => None,
    };
    Ok(Some(Fact {
        cause: event.id.clone(),
        at: event.created,
        since: None,
        source: Source::Webhook,
        event_type: event.event_type.to_string(),
        customer: decoded.customer,
        content: fingerprint::content(&leaves),
        step: Step {
            event: fingerprint::event(event.id.as_str()),
            previous: event.previous.map(fingerprint::replaced).transpose()?,
            creation: is_creation(&event.event_type),
        },
        leaves,
        replaced: replaced.map(Box::new),
        body: decoded.body,
    }))
}

/// Reads an object, and finds its customer: where none is named, an account may be the customer.
fn decoded(
    decoder: Decoder,
    object: &RawValue,
    hint: &Hint<'_>,
) -> Result<Option<Decoded>, ObjectError> {
    let Some(decoded) = decoder(object, hint)? else {
        return Ok(None);
    };
    let customer = match decoded.customer {
        Some(customer) => Some(customer),
        None => wire::account_as_customer(object)?,
    };
    if customer.is_none() && matches!(decoded.body, Body::Subscription(_)) {
        return Err(ObjectError::Missing("customer"));
    }
    Ok(Some(Decoded {
        customer,
        body: decoded.body,
    }))
}

/// Reads an object that was fetched because of a fact, as a fact of its own.
///
/// # Errors
/// [`ObjectError`] when it is not such an object.
pub fn fetched(
    prefix: &str,
    object: &str,
    because: &Fact,
    interval: (Timestamp, Timestamp),
) -> Result<Option<Fact>, ObjectError> {
    let object: &RawValue = serde_json::from_str(object)?;
    let fact = listed(prefix, object, &because.cause, because.source, interval)?;
    Ok(fact.map(|fact| Fact {
        customer: fact.customer.or_else(|| because.customer.clone()),
        ..fact
    }))
}

/// Reads an object that Stripe's API gave: `interval` are the first and the last second that it may
/// be from, and `prefix` says what it is, as an event's type.
///
/// # Errors
/// [`ObjectError`] when it is not such an object.
pub fn listed(
    prefix: &str,
    object: &RawValue,
    cause: &Cause,
    source: Source,
    interval: (Timestamp, Timestamp),
) -> Result<Option<Fact>, ObjectError> {
    let Some(decoder) = decoder(prefix) else {
        return Ok(None);
    };
    let (since, at) = interval;
    let hint = Hint {
        at,
        event_type: prefix,
        previous: None,
        asked: true,
    };
    let Some(decoded) = decoded(decoder, object, &hint)? else {
        return Ok(None);
    };
    let leaves = fingerprint::leaves(object)?;
    Ok(Some(Fact {
        cause: cause.clone(),
        at,
        since: Some(since),
        source,
        event_type: String::new(),
        customer: decoded.customer,
        content: fingerprint::content(&leaves),
        step: Step {
            event: 0,
            previous: None,
            creation: false,
        },
        leaves,
        replaced: None,
        body: decoded.body,
    }))
}

/// Whether an event is the first of its object. (A payment method comes with its customer.)
fn is_creation(event_type: &str) -> bool {
    event_type.ends_with(".created") || event_type == "payment_method.attached"
}

/// What is passed on of any event: whom and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// The object's id.
    pub object: Option<String>,
    /// The object's type.
    pub object_type: Option<String>,
    /// The Stripe customer that the object names.
    pub customer: Option<StripeCustomerId>,
    /// The names of the fields that an update replaced.
    pub replaced: Vec<String>,
}

/// Reads what is passed on of an event. Never fails: what is not there is left out.
#[must_use]
pub fn about(event: &StripeEvent<'_>) -> About {
    #[derive(Deserialize, Default)]
    struct Head {
        id: Option<String>,
        object: Option<String>,
        customer: Option<wire::Ref>,
        customer_account: Option<String>,
    }
    if let Some(related) = &event.related_object {
        return About {
            customer: related.customer(),
            object: related.id.clone(),
            object_type: related.object_type.clone(),
            replaced: Vec::new(),
        };
    }
    let head: Head = serde_json::from_str(event.object.get()).unwrap_or_default();
    let names = event
        .previous
        .map(|raw| serde_json::from_str::<Keys>(raw.get()));
    let parse = |id: &String| StripeCustomerId::parse(id.as_str()).ok();
    let mut customer = wire::customer(head.customer.as_ref()).ok().flatten();
    if customer.is_none() && head.object.as_deref() == Some("customer") {
        customer = head.id.as_ref().and_then(parse);
    }
    let account = || head.customer_account.as_ref().and_then(parse);
    About {
        customer: customer.or_else(account),
        object: head.id,
        object_type: head.object,
        replaced: names
            .and_then(Result::ok)
            .map(|keys| keys.0)
            .unwrap_or_default(),
    }
}

/// The keys of an object, without its values.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Keys;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Keys(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}
