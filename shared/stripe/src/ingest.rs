//! What the webhook puts into the ingest queue, and the worker takes out.
//!
//! The event travels as the very text that Stripe signed. What the webhook verified (whose secret
//! it was, when it came) travels beside it and is never derived again.

use paygraph_domain::id::{Cause, InvalidId, StripeId, TenantId};
use paygraph_domain::time::{InvalidTime, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{DecodeError, StripeEvent};

/// The most bytes of one message that the queue takes, 1 MiB
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
pub const QUEUE_LIMIT_BYTES: usize = 1_048_576;

/// The version of the message that is written, and the only one that is read.
pub const VERSION: u64 = 1;

/// Why a message cannot be read. It will not get better by trying again.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The message is not JSON, or not of this shape.
    #[error("the ingest message is not readable")]
    Json(#[from] serde_json::Error),
    /// The message is of a version that this code does not know.
    #[error("the ingest message has version {0}, known is {VERSION}")]
    Version(u64),
    /// The tenant, the account or the pointer's event cannot be part of a key.
    #[error("the ingest message's `{field}` is not valid")]
    Id {
        /// Which of them.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: InvalidId,
    },
    /// An instant is out of range.
    #[error("a time of the ingest message is not valid")]
    Time(#[from] InvalidTime),
    /// The message has neither an event nor a pointer, or both.
    #[error("the ingest message must have either `event` or `pointer`")]
    Content,
    /// What was read from Stripe is no event.
    #[error("what Stripe gave is no event")]
    Event(#[from] DecodeError),
}

/// One message of the ingest queue.
#[derive(Debug)]
pub struct IngestMessage<'a> {
    /// The tenant whose secret verified the event; none when the platform's did and the event's
    /// account belongs to no known tenant.
    pub tenant: Option<TenantId>,
    /// The connected account that the event names, `acct_…`.
    pub account: Option<StripeId>,
    /// When the webhook took it.
    pub received_at: Timestamp,
    /// The event, or where to find it.
    pub content: IngestContent<'a>,
}

/// The event, or where to find it.
#[derive(Debug)]
pub enum IngestContent<'a> {
    /// The event as Stripe sent it.
    Event(&'a RawValue),
    /// The event was larger than the queue takes: it must be fetched from Stripe.
    Pointer(EventPointer),
}

/// What is known of an event that was too large for the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPointer {
    /// `evt_…`.
    pub id: Cause,
    /// `invoice.paid`, …
    pub event_type: String,
    /// Stripe's second.
    pub created: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    version: u64,
    tenant: Option<String>,
    account: Option<String>,
    received_at: i64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    event: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pointer: Option<WirePointer>,
}

#[derive(Serialize, Deserialize)]
struct WirePointer {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    created: i64,
}

#[derive(Deserialize)]
struct WireVersion {
    version: u64,
}

impl<'a> IngestMessage<'a> {
    /// The body of the queue's message. The event is copied, not written anew: only the two
    /// characters that SQS refuses, U+FFFE and U+FFFF, become their JSON escapes.
    ///
    /// # Errors
    /// [`serde_json::Error`], which no value of this type causes.
    pub fn to_body(&self) -> Result<String, serde_json::Error> {
        let (event, pointer) = match &self.content {
            IngestContent::Event(raw) => (Some(*raw), None),
            IngestContent::Pointer(pointer) => (None, Some(WirePointer::from(pointer))),
        };
        let body = serde_json::to_string(&Wire {
            version: VERSION,
            tenant: self.tenant.as_ref().map(|id| id.as_str().to_owned()),
            account: self.account.as_ref().map(|id| id.as_str().to_owned()),
            received_at: self.received_at.unix(),
            event,
            pointer,
        })?;
        Ok(sendable(body))
    }

    /// Reads the body of a queue's message.
    ///
    /// # Errors
    /// [`IngestError`]; such a message can only go to the dead letters.
    pub fn parse(body: &'a str) -> Result<Self, IngestError> {
        let WireVersion { version } = serde_json::from_str(body)?;
        if version != VERSION {
            return Err(IngestError::Version(version));
        }
        let wire: Wire<'a> = serde_json::from_str(body)?;
        let content = match (wire.event, wire.pointer) {
            (Some(event), None) => IngestContent::Event(event),
            (None, Some(pointer)) => IngestContent::Pointer(EventPointer::try_from(pointer)?),
            (None, None) | (Some(_), Some(_)) => return Err(IngestError::Content),
        };
        Ok(Self {
            tenant: id("tenant", wire.tenant, TenantId::parse)?,
            account: id("account", wire.account, StripeId::parse_generated)?,
            received_at: Timestamp::from_unix(wire.received_at)?,
            content,
        })
    }
}

/// The body of a message with an event that was read from Stripe, and not sent by it: whole where
/// the queue takes it, else its pointer. Gives the event's id with it.
///
/// # Errors
/// [`IngestError::Event`] when it is no event.
pub fn read_from_stripe(
    tenant: &TenantId,
    event: &RawValue,
    now: Timestamp,
) -> Result<(Cause, String), IngestError> {
    let known = StripeEvent::parse(event.get())?;
    let message = |content| IngestMessage {
        tenant: Some(tenant.clone()),
        account: None,
        received_at: now,
        content,
    };
    let mut body = message(IngestContent::Event(event)).to_body()?;
    if body.len() > QUEUE_LIMIT_BYTES {
        let pointer = EventPointer {
            id: known.id.clone(),
            event_type: known.event_type.to_string(),
            created: known.created,
        };
        body = message(IngestContent::Pointer(pointer)).to_body()?;
    }
    Ok((known.id, body))
}

impl From<&EventPointer> for WirePointer {
    fn from(pointer: &EventPointer) -> Self {
        Self {
            id: pointer.id.as_str().to_owned(),
            event_type: pointer.event_type.clone(),
            created: pointer.created.unix(),
        }
    }
}

impl TryFrom<WirePointer> for EventPointer {
    type Error = IngestError;
    fn try_from(wire: WirePointer) -> Result<Self, IngestError> {
        Ok(Self {
            id: Cause::parse(wire.id).map_err(|source| IngestError::Id {
                field: "pointer.id",
                source,
            })?,
            event_type: wire.event_type,
            created: Timestamp::from_unix(wire.created)?,
        })
    }
}

fn id<T>(
    field: &'static str,
    text: Option<String>,
    parse: impl Fn(String) -> Result<T, InvalidId>,
) -> Result<Option<T>, IngestError> {
    text.map(parse)
        .transpose()
        .map_err(|source| IngestError::Id { field, source })
}

/// A JSON document as SQS takes it, which refuses a message with U+FFFE or U+FFFF. In JSON they can
/// only stand inside a text, where the escape means the same.
#[must_use]
pub fn sendable(body: String) -> String {
    if body.contains(['\u{fffe}', '\u{ffff}']) {
        body.replace('\u{fffe}', "\\ufffe")
            .replace('\u{ffff}', "\\uffff")
    } else {
        body
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
