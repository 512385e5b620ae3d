//! A whole Stripe event, as the worker reads it.

use std::borrow::Cow;

use paygraph_domain::id::{Cause, InvalidId, StripeCustomerId};
use paygraph_domain::time::{InvalidTime, Timestamp};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::value::RawValue;

use crate::envelope::is_thin;

/// Why an event cannot be read. It will not get better by trying again.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The event itself is not what Stripe sends.
    #[error("the event is not readable")]
    Event(#[source] serde_json::Error),
    /// The event's id cannot be a key.
    #[error("the event's id is not valid")]
    Id(#[source] InvalidId),
    /// An instant is out of range.
    #[error("the event's time is not valid")]
    Time(#[from] InvalidTime),
    /// The object in the event is not what its type says.
    #[error("event {event} ({event_type}): its object is not readable")]
    Object {
        /// The event's id.
        event: String,
        /// The event's type.
        event_type: String,
        /// What is wrong with it.
        #[source]
        source: ObjectError,
    },
}

/// What is wrong with an object.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Not the JSON that its type has.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// An id cannot be a key.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// An instant is out of range.
    #[error(transparent)]
    Time(#[from] InvalidTime),
    /// A field that paygraph cannot do without is not there.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
}

/// An event, borrowed from its text.
#[derive(Debug)]
pub struct StripeEvent<'a> {
    /// `evt_…`.
    pub id: Cause,
    /// `customer.subscription.updated`, …
    pub event_type: Cow<'a, str>,
    /// Stripe's second.
    pub created: Timestamp,
    /// Whether it is about real money.
    pub livemode: bool,
    /// The API version of the object, as in `2026-10-28.endive`.
    pub api_version: Option<Cow<'a, str>>,
    /// The object.
    pub object: &'a RawValue,
    /// The values that an update replaced.
    pub previous: Option<&'a RawValue>,
    /// Whether it is a thin event (`v2.core.event`): it names an object, and does not hold it.
    pub is_thin: bool,
    /// The object that a thin event names.
    pub related_object: Option<RelatedObject>,
    /// The snapshot event of the same change, `evt_…`, where a thin event names one.
    pub snapshot_event: Option<String>,
}

/// The object that a thin event names
/// (<https://docs.stripe.com/event-destinations#retrieve-the-object-associated-with-thin-events>).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RelatedObject {
    /// Its id.
    pub id: Option<String>,
    /// Its type: `customer`, `billing.meter`, `v2.core.account`.
    #[serde(rename = "type")]
    pub object_type: Option<String>,
}

impl RelatedObject {
    /// The customer, if the object is one.
    #[must_use]
    pub fn customer(&self) -> Option<StripeCustomerId> {
        let id = self.id.as_deref()?;
        let is_customer = self.object_type.as_deref() == Some("customer");
        StripeCustomerId::parse(id).ok().filter(|_| is_customer)
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    /// Whole seconds; in thin events RFC 3339.
    #[serde(borrow)]
    created: &'a RawValue,
    #[serde(default)]
    livemode: bool,
    #[serde(borrow)]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<Payload<'a>>,
    // What a thin event has beside these is passed on as far as it can be read.
    #[serde(borrow)]
    related_object: Option<&'a RawValue>,
    #[serde(borrow)]
    snapshot_event: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    /// None in thin events.
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    previous_attributes: Option<&'a RawValue>,
}

impl<'a> StripeEvent<'a> {
    /// Reads an event.
    ///
    /// # Errors
    /// [`DecodeError`] when the text is no event, or its id or time are not valid.
    pub fn parse(text: &'a str) -> Result<Self, DecodeError> {
        let wire: Wire<'a> = serde_json::from_str(text).map_err(DecodeError::Event)?;
        let is_thin = is_thin(wire.object, &wire.event_type);
        let object = wire.data.as_ref().and_then(|data| data.object);
        let object = match object {
            Some(object) => object,
            None if is_thin => RawValue::NULL,
            None => {
                return Err(DecodeError::Event(serde_json::Error::missing_field(
                    "data.object",
                )));
            }
        };
        Ok(Self {
            id: Cause::parse(wire.id.into_owned()).map_err(DecodeError::Id)?,
            created: created(wire.created.get())?,
            event_type: wire.event_type,
            livemode: wire.livemode,
            api_version: wire.api_version,
            object,
            previous: wire.data.and_then(|data| data.previous_attributes),
            is_thin,
            related_object: readable(wire.related_object.filter(|_| is_thin)),
            snapshot_event: readable(wire.snapshot_event.filter(|_| is_thin)),
        })
    }
}

fn readable<T: DeserializeOwned>(raw: Option<&RawValue>) -> Option<T> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
}

fn created(text: &str) -> Result<Timestamp, DecodeError> {
    if text.starts_with('"') {
        let text: String = serde_json::from_str(text).map_err(DecodeError::Event)?;
        return Ok(Timestamp::parse(&text)?);
    }
    let seconds = serde_json::from_str(text).map_err(DecodeError::Event)?;
    Ok(Timestamp::from_unix(seconds)?)
}
