//! A bus in memory, with the limits of EventBridge.

use std::sync::{Arc, Mutex, PoisonError};

use crate::envelope::{MAX_DETAIL_TYPE, Outgoing};
use crate::ports::{Publisher, Unpublished, json_bytes};

/// A bus in memory: it keeps what was published. Its clones are the same bus.
#[derive(Debug, Clone, Default)]
pub struct MemoryBus(Arc<Mutex<Vec<Outgoing>>>);

impl MemoryBus {
    /// Everything that was published, in order, with repeats.
    #[must_use]
    pub fn published(&self) -> Vec<Outgoing> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The most bytes of an entry that EventBridge takes.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html>
const MAX_ENTRY_BYTES: usize = 256 * 1024;

impl Publisher for MemoryBus {
    /// Takes what EventBridge takes, and refuses the rest for good.
    async fn publish(&self, events: &[&Outgoing]) -> Unpublished {
        let mut published = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unpublished = Unpublished::default();
        for (place, event) in events.iter().enumerate() {
            let bytes = event.detail_type.len() + json_bytes(&event.detail);
            if (1..=MAX_DETAIL_TYPE).contains(&event.detail_type.len()) && bytes <= MAX_ENTRY_BYTES
            {
                published.push((*event).clone());
            } else {
                let reason = "InvalidArgument: the entry is over a limit".to_owned();
                unpublished.refused.insert(place, reason);
            }
        }
        unpublished
    }
}
