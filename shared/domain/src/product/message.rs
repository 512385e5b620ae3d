//! Product events on the ingest queue: `{"product":1,"tenant","received_at","events":[…]}`.
//!
//! The webhook writes it, and so does the rule on the bus of Segment's own destination, in
//! `template.yaml`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::said::Moment;
use super::{ProductEvent, segment};
use crate::id::TenantId;

/// The version of the message that is written, and the only one that is read.
pub const VERSION: u64 = 1;

/// Why a message cannot be read. It will not get better by trying again.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableMessage {
    /// It is not of this shape.
    #[error("the message of product events is not readable")]
    Json(#[from] serde_json::Error),
    /// It is of a version that this code does not know.
    #[error("the message of product events has version {0}, known is {VERSION}")]
    Version(u64),
    /// It does not say when it came.
    #[error("the message of product events does not say when it came")]
    Time,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProductMessage {
    /// Its version.
    product: u64,
    /// Whose secret verified it, or whose bus brought it.
    pub tenant: TenantId,
    /// When it came, in RFC 3339.
    received_at: String,
    /// Segment's events, as they were sent.
    pub events: Vec<Value>,
}

#[derive(Deserialize)]
struct Kind {
    product: Option<u64>,
}

impl ProductMessage {
    /// A message of events that came at a moment.
    #[must_use]
    pub fn new(tenant: TenantId, received_at: crate::time::Timestamp, events: Vec<Value>) -> Self {
        Self {
            product: VERSION,
            tenant,
            received_at: received_at.to_string(),
            events,
        }
    }

    /// Reads a message of the queue; none when it is of another kind.
    ///
    /// # Errors
    /// [`UnreadableMessage`]; it can only go to the dead letters.
    pub fn read(body: &str) -> Result<Option<Self>, UnreadableMessage> {
        let kind = serde_json::from_str::<Kind>(body).ok();
        match kind.and_then(|kind| kind.product) {
            None => Ok(None),
            Some(VERSION) => Ok(Some(serde_json::from_str(body)?)),
            Some(version) => Err(UnreadableMessage::Version(version)),
        }
    }

    /// What its events say, in their order; what says nothing is left out.
    ///
    /// # Errors
    /// [`UnreadableMessage::Time`].
    pub fn say(&self) -> Result<Vec<ProductEvent>, UnreadableMessage> {
        let came = Moment::parse(&self.received_at).map_err(|_| UnreadableMessage::Time)?;
        let events = self.events.iter();
        Ok(events.filter_map(|raw| segment::read(raw, came)).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let tenant = TenantId::parse("acme").unwrap();
        let at = crate::time::Timestamp::from_unix(1_790_000_000).unwrap();
        let identify = json!({ "type": "identify", "userId": "u1", "messageId": "m1" });
        let events = vec![identify, json!({ "type": "page" })];
        let message = ProductMessage::new(tenant, at, events);
        let body = serde_json::to_string(&message).unwrap();
        assert_eq!(ProductMessage::read(&body).unwrap(), Some(message.clone()));
        let said = message.say().unwrap();
        assert_eq!((said.len(), said[0].id.as_str()), (1, "m1"));
        assert_eq!(said[0].at.second(), at);
    }

    #[test]
    fn other_messages_are_not_its_own() {
        for body in [r#"{"version":1,"event":{}}"#, "no json", "{}", "[]"] {
            assert!(matches!(ProductMessage::read(body), Ok(None)), "{body}");
        }
        assert!(ProductMessage::read(r#"{"product":2}"#).is_err());
        assert!(ProductMessage::read(r#"{"product":1}"#).is_err());
        let untimed = r#"{"product":1,"tenant":"a","received_at":"noon","events":[]}"#;
        assert!(
            ProductMessage::read(untimed)
                .unwrap()
                .unwrap()
                .say()
                .is_err()
        );
    }
}
