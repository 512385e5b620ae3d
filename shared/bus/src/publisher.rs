//! Publishing to the bus, looking at every entry's own result.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use paygraph_engine::envelope::Outgoing;
use paygraph_engine::ports::Publisher;
use serde_json::json;

use crate::SOURCE;
use crate::pack::{MAX_BYTES, pack};

/// How often what failed is tried again before it is left to the redelivery or the sweep.
const ATTEMPTS: u32 = 5;
/// The first wait between attempts.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// What EventBridge counts of an entry beside its texts: the time.
const FIXED_BYTES: usize = 14;

/// An event bus.
#[derive(Debug, Clone)]
pub struct EventBridge {
    client: Client,
    bus: String,
}

/// An event as text, ready to be sent.
struct Entry {
    detail_type: String,
    detail: String,
    seconds: i64,
}

impl Entry {
    fn new(event: &Outgoing) -> Self {
        let write = |event: &Outgoing| serde_json::to_string(&event.detail).unwrap_or_default();
        let mut entry = Self {
            detail_type: event.detail_type.clone(),
            detail: write(event),
            seconds: event.detail.occurred_at.unix(),
        };
        if entry.bytes() > MAX_BYTES {
            tracing::error!(
                event.id = event.detail.id,
                bytes = entry.bytes(),
                "An event is too large for the bus: its data is left out"
            );
            let mut short = event.clone();
            Arc::make_mut(&mut short.detail).data = json!({ "too_large": true });
            entry.detail = write(&short);
        }
        entry
    }

    fn bytes(&self) -> usize {
        SOURCE.len() + self.detail_type.len() + self.detail.len() + FIXED_BYTES
    }
}

impl EventBridge {
    /// The publisher to a bus.
    #[must_use]
    pub fn new(client: Client, bus: impl Into<String>) -> Self {
        Self {
            client,
            bus: bus.into(),
        }
    }

    /// Sends one pack. Gives the places of those entries that the bus did not take.
    async fn send(&self, entries: &[Entry], places: &[usize]) -> BTreeSet<usize> {
        let chosen = places.iter().filter_map(|place| entries.get(*place));
        let request = chosen.map(|entry| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.bus)
                .source(SOURCE)
                .detail_type(&entry.detail_type)
                .detail(&entry.detail)
                .time(DateTime::from_secs(entry.seconds))
                .build()
        });
        let sent = self
            .client
            .put_events()
            .set_entries(Some(request.collect()))
            .send()
            .await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(error = %aws_sdk_eventbridge::error::DisplayErrorContext(&error), "The bus took nothing");
                return places.iter().copied().collect();
            }
        };
        if answer.failed_entry_count() == 0 {
            return BTreeSet::new();
        }
        let results = places.iter().zip(answer.entries());
        let failed = results.filter(|(_, result)| result.event_id().is_none());
        failed
            .map(|(place, result)| {
                tracing::warn!(
                    error.code = result.error_code(),
                    "The bus left an event out"
                );
                *place
            })
            .collect()
    }
}

impl Publisher for EventBridge {
    async fn publish(&self, events: &[&Outgoing]) -> BTreeSet<usize> {
        let entries: Vec<Entry> = events.iter().map(|event| Entry::new(event)).collect();
        let mut waiting: BTreeSet<usize> = (0..entries.len()).collect();
        for attempt in 0..ATTEMPTS {
            let sizes = waiting
                .iter()
                .filter_map(|place| entries.get(*place).map(|entry| (*place, entry.bytes())));
            let mut failed = BTreeSet::new();
            for places in pack(sizes) {
                failed.extend(self.send(&entries, &places).await);
            }
            waiting = failed;
            if waiting.is_empty() {
                break;
            }
            tokio::time::sleep(FIRST_WAIT * 2_u32.saturating_pow(attempt)).await;
        }
        waiting
    }
}
