//! What the emulator of the bus cannot do: take some entries and refuse others, or refuse all.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::operation::put_events::{PutEventsError, PutEventsOutput};
use aws_sdk_eventbridge::types::PutEventsResultEntry;
use aws_sdk_eventbridge::types::error::InternalException;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use paygraph_bus::EventBridge;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::envelope::{Envelope, Outgoing};
use paygraph_engine::ports::Publisher;
use serde_json::{Value, json};

fn event(n: usize, data: Value) -> Outgoing {
    let cause = Cause::parse("evt_1").unwrap();
    Outgoing {
        detail_type: "mrr_changed".to_owned(),
        detail: Arc::new(Envelope {
            version: 1,
            id: format!("{cause}#{n}"),
            tenant: TenantId::parse("default").unwrap(),
            customer_id: None,
            stripe_customer_id: None,
            occurred_at: Timestamp::default(),
            source: Source::Webhook,
            cause,
            data,
        }),
    }
}

fn taken() -> PutEventsResultEntry {
    PutEventsResultEntry::builder().event_id("1").build()
}

fn refused() -> PutEventsResultEntry {
    PutEventsResultEntry::builder()
        .error_code("ThrottlingException")
        .build()
}

async fn publish(client: Client, events: &[Outgoing]) -> BTreeSet<usize> {
    EventBridge::new(client, "bus")
        .publish(&events.iter().collect::<Vec<_>>())
        .await
}

/// N5: 7 of 10 are taken; the other 3 are sent again, with the same ids.
#[tokio::test(start_paused = true)]
async fn n5_entries_that_were_left_out_are_sent_again_with_their_ids() {
    let first = mock!(Client::put_events)
        .match_requests(|request| request.entries().len() == 10)
        .then_output(|| {
            let results = (0..10).map(|n| if n < 7 { taken() } else { refused() });
            let results = results.collect();
            PutEventsOutput::builder()
                .failed_entry_count(3)
                .set_entries(Some(results))
                .build()
        });
    let second = mock!(Client::put_events)
        .match_requests(|request| {
            let ids: Vec<String> = request
                .entries()
                .iter()
                .map(|entry| serde_json::from_str::<Value>(entry.detail().unwrap()).unwrap())
                .map(|detail| detail["id"].as_str().unwrap().to_owned())
                .collect();
            ids == ["evt_1#7", "evt_1#8", "evt_1#9"]
        })
        .then_output(|| {
            PutEventsOutput::builder()
                .set_entries(Some(vec![taken(); 3]))
                .build()
        });
    let client = mock_client!(aws_sdk_eventbridge, RuleMode::Sequential, [&first, &second]);
    let events: Vec<_> = (0..10).map(|n| event(n, json!({}))).collect();
    assert!(publish(client, &events).await.is_empty());
    assert_eq!((first.num_calls(), second.num_calls()), (1, 1));
}

/// A bus that refuses everything: all events wait, and the caller knows which.
#[tokio::test(start_paused = true)]
async fn n5_what_could_not_be_published_is_named() {
    let never = mock!(Client::put_events)
        .then_error(|| PutEventsError::InternalException(InternalException::builder().build()));
    let client = mock_client!(aws_sdk_eventbridge, RuleMode::MatchAny, [&never]);
    let events: Vec<_> = (0..12).map(|n| event(n, json!({}))).collect();
    assert_eq!(publish(client, &events).await, (0..12).collect());
}

/// N23: an event that no request takes is published without its data, rather than never.
#[tokio::test(start_paused = true)]
async fn n23_an_entry_that_is_too_large_goes_without_its_data() {
    let put = mock!(Client::put_events)
        .match_requests(|request| {
            request
                .entries()
                .iter()
                .all(|e| e.detail().unwrap().contains("too_large"))
        })
        .then_output(|| {
            PutEventsOutput::builder()
                .set_entries(Some(vec![taken()]))
                .build()
        });
    let client = mock_client!(aws_sdk_eventbridge, RuleMode::MatchAny, [&put]);
    let huge = event(0, json!({ "text": "x".repeat(300_000) }));
    assert!(publish(client, &[huge]).await.is_empty());
    assert_eq!(put.num_calls(), 1);
}
