//! A whole Stripe event, as the worker reads it.

use std::borrow::Cow;

use paygraph_domain::id::{Cause, InvalidId};
use paygraph_domain::time::{InvalidTime, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

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
    created: i64,
    #[serde(default)]
    livemode: bool,
    #[serde(borrow)]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Payload<'a>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
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
        Ok(Self {
            id: Cause::parse(wire.id.into_owned()).map_err(DecodeError::Id)?,
            event_type: wire.event_type,
            created: Timestamp::from_unix(wire.created)?,
            livemode: wire.livemode,
            api_version: wire.api_version,
            object: wire.data.object,
            previous: wire.data.previous_attributes,
        })
    }
}
