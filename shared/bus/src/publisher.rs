//! Publishing to the bus, looking at every entry's own result.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::ProvideErrorMetadata;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use paygraph_engine::envelope::{Outgoing, bounded_type};
use paygraph_engine::ports::{Publisher, Unpublished};
use serde_json::json;

use crate::SOURCE;
use crate::pack::{MAX_BYTES, pack};

/// How often what failed is tried again before it is left to the redelivery or the sweep.
const ATTEMPTS: u32 = 5;
/// The first wait between attempts.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The codes of an entry that EventBridge refuses for what is in it. (Refusals of rights are mended by
/// an operator, so such an entry waits.)
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html>
const REFUSALS: [&str; 3] = ["InvalidArgument", "MalformedDetail", "RedactionFailure"];
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
            detail_type: bounded_type(&event.detail_type).to_owned(),
            detail: write(event),
            seconds: event.detail.occurred_at.unix(),
        };
        if entry.detail_type.len() < event.detail_type.len() {
            // An outbox of an older release: this one cuts the type before it commits.
            let mut marked = event.clone();
            if let Some(data) = Arc::make_mut(&mut marked.detail).data.as_object_mut() {
                data.insert("type_truncated".to_owned(), json!(true));
            }
            entry.detail = write(&marked);
        }
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

/// Why a whole request failed.
enum Failure {
    /// The bus calls the request itself wrong: one of its entries is at fault.
    Refused(String),
    /// It may succeed later.
    Passing,
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

    /// Sends one pack. If the bus refuses the request as a whole, sends its entries one by one, so
    /// that only the one at fault is refused.
    async fn send(&self, entries: &[Entry], places: &[usize]) -> Unpublished {
        // Boxed: a future within many others has a type that is too deep for the compiler.
        match Box::pin(self.put(entries, places)).await {
            Ok(unpublished) => unpublished,
            Err(Failure::Refused(_)) if places.len() > 1 => {
                let mut all = Unpublished::default();
                for place in places {
                    let one = Box::pin(self.put(entries, std::slice::from_ref(place))).await;
                    let one = one.unwrap_or_else(|failure| failed(&[*place], &failure));
                    all.waiting.extend(one.waiting);
                    all.refused.extend(one.refused);
                }
                all
            }
            Err(failure) => failed(places, &failure),
        }
    }

    /// Makes one request, and looks at the result of every entry.
    async fn put(&self, entries: &[Entry], places: &[usize]) -> Result<Unpublished, Failure> {
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
        let answer = sent.map_err(|error| {
            tracing::warn!(error = %aws_sdk_eventbridge::error::DisplayErrorContext(&error), "The bus took nothing");
            let service = error.as_service_error();
            match service.and_then(ProvideErrorMetadata::code) {
                Some(code @ "ValidationException") => {
                    let message = service.and_then(ProvideErrorMetadata::message);
                    Failure::Refused(format!("{code}: {}", message.unwrap_or("no message")))
                }
                Some(_) | None => Failure::Passing,
            }
        })?;
        let mut unpublished = Unpublished::default();
        if answer.failed_entry_count() == 0 {
            return Ok(unpublished);
        }
        for (place, result) in places.iter().zip(answer.entries()) {
            if result.event_id().is_some() {
                continue;
            }
            let code = result.error_code().unwrap_or_default();
            tracing::warn!(error.code = code, "The bus left an event out");
            if REFUSALS.contains(&code) {
                let reason = format!("{code}: {}", result.error_message().unwrap_or("no message"));
                unpublished.refused.insert(*place, reason);
            } else {
                unpublished.waiting.insert(*place);
            }
        }
        Ok(unpublished)
    }
}

/// What becomes of the events of a request that failed.
fn failed(places: &[usize], failure: &Failure) -> Unpublished {
    let mut unpublished = Unpublished::default();
    for place in places {
        match failure {
            Failure::Refused(reason) => {
                unpublished.refused.insert(*place, reason.clone());
            }
            Failure::Passing => {
                unpublished.waiting.insert(*place);
            }
        }
    }
    unpublished
}

impl Publisher for EventBridge {
    async fn publish(&self, events: &[&Outgoing]) -> Unpublished {
        let entries: Vec<Entry> = events.iter().map(|event| Entry::new(event)).collect();
        let mut unpublished = Unpublished::all(entries.len());
        for attempt in 0..ATTEMPTS {
            let sizes = unpublished
                .waiting
                .iter()
                .filter_map(|place| entries.get(*place).map(|entry| (*place, entry.bytes())));
            let mut waiting = BTreeSet::new();
            for places in pack(sizes) {
                let left = self.send(&entries, &places).await;
                waiting.extend(left.waiting);
                unpublished.refused.extend(left.refused);
            }
            unpublished.waiting = waiting;
            if unpublished.waiting.is_empty() {
                break;
            }
            tokio::time::sleep(FIRST_WAIT * 2_u32.saturating_pow(attempt)).await;
        }
        unpublished
    }
}
