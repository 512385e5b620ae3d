//! A whole Stripe event, as the worker reads it.

use std::borrow::Cow;

use paygraph_domain::id::{Cause, InvalidId};
use paygraph_domain::time::{InvalidTime, Timestamp};
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::value::RawValue;

use crate::envelope::V2;

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
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    /// Whole seconds; in events about Stripe itself (`v2.…`) RFC 3339.
    #[serde(borrow)]
    created: &'a RawValue,
    #[serde(default)]
    livemode: bool,
    #[serde(borrow)]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<Payload<'a>>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    /// None in events about Stripe itself.
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
        let object = wire.data.as_ref().and_then(|data| data.object);
        let object = match object {
            Some(object) => object,
            None if wire.event_type.starts_with(V2) => RawValue::NULL,
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
        })
    }
}

fn created(text: &str) -> Result<Timestamp, DecodeError> {
    if text.starts_with('"') {
        let text: String = serde_json::from_str(text).map_err(DecodeError::Event)?;
        return Ok(Timestamp::parse(&text)?);
    }
    let seconds = serde_json::from_str(text).map_err(DecodeError::Event)?;
    Ok(Timestamp::from_unix(seconds)?)
}
