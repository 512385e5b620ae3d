//! What a target finds in its queue: an event as EventBridge delivers it.

use paygraph_engine::envelope::Envelope;
use serde::Deserialize;

/// An event from the bus.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Incoming {
    /// The event's name.
    #[serde(rename = "detail-type")]
    pub detail_type: String,
    /// The envelope.
    pub detail: Envelope,
}

/// A message that is no event of ours.
#[derive(Debug, thiserror::Error)]
#[error("the message is not an event of the bus")]
pub struct Unreadable(#[source] serde_json::Error);

impl Incoming {
    /// Reads the body of a queue message.
    ///
    /// # Errors
    /// [`Unreadable`] when it is something else.
    pub fn parse(body: &str) -> Result<Self, Unreadable> {
        serde_json::from_str(body).map_err(Unreadable)
    }
}
