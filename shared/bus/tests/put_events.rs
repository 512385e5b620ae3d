//! What the emulator of the bus cannot do: take some entries and refuse others, or refuse all.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::ErrorMetadata;
use aws_sdk_eventbridge::operation::put_events::{PutEventsError, PutEventsOutput};
use aws_sdk_eventbridge::types::PutEventsResultEntry;
use aws_sdk_eventbridge::types::error::InternalException;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use paygraph_bus::EventBridge;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::envelope::{Envelope, Outgoing};
use paygraph_engine::ports::{Publisher, Unpublished};
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

async fn publish(client: Client, events: &[Outgoing]) -> Unpublished {
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
    assert_eq!(publish(client, &events).await, Unpublished::default());
    assert_eq!((first.num_calls(), second.num_calls()), (1, 1));
}

/// A bus that refuses everything: all events wait, and the caller knows which.
#[tokio::test(start_paused = true)]
async fn n5_what_could_not_be_published_is_named() {
    let never = mock!(Client::put_events)
        .then_error(|| PutEventsError::InternalException(InternalException::builder().build()));
    let client = mock_client!(aws_sdk_eventbridge, RuleMode::MatchAny, [&never]);
    let events: Vec<_> = (0..12).map(|n| event(n, json!({}))).collect();
    assert_eq!(publish(client, &events).await, Unpublished::all(12));
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
    assert_eq!(publish(client, &[huge]).await, Unpublished::default());
    assert_eq!(put.num_calls(), 1);
}

/// An entry that the bus refuses with a code.
fn refused_with(code: &str) -> PutEventsResultEntry {
    PutEventsResultEntry::builder()
        .error_code(code)
        .error_message("in its words")
        .build()
}

/// S3: an entry that is wrong in itself is not sent again, and the reason is the bus's own. Rights can
/// be mended, so a refusal of rights waits.
#[tokio::test(start_paused = true)]
async fn s3_an_entry_that_is_refused_for_good_is_sent_once() {
    let rule = mock!(Client::put_events)
        .match_requests(|request| request.entries().len() == 3)
        .then_output(|| {
            let results = vec![
                taken(),
                refused_with("MalformedDetail"),
                refused_with("AccessDeniedException"),
            ];
            PutEventsOutput::builder()
                .failed_entry_count(2)
                .set_entries(Some(results))
                .build()
        });
    let again = mock!(Client::put_events)
        .match_requests(|request| request.entries().len() == 1)
        .then_output(|| {
            PutEventsOutput::builder()
                .failed_entry_count(1)
                .entries(refused_with("AccessDeniedException"))
                .build()
        });
    let client = mock_client!(aws_sdk_eventbridge, RuleMode::MatchAny, [&rule, &again]);
    let events: Vec<_> = (0..3).map(|n| event(n, json!({}))).collect();
    let unpublished = publish(client, &events).await;
    assert_eq!(unpublished.waiting, BTreeSet::from([2]));
    let reason = "MalformedDetail: in its words".to_owned();
    assert_eq!(unpublished.refused, BTreeMap::from([(1, reason)]));
    assert_eq!(rule.num_calls(), 1);
}

/// S3: EventBridge refuses the whole request for one bad entry. The others are published, and only
/// that one is refused.
#[tokio::test(start_paused = true)]
async fn s3_one_bad_entry_does_not_take_its_request_with_it() {
    let is_bad = |request: &aws_sdk_eventbridge::operation::put_events::PutEventsInput| {
        request
            .entries()
            .iter()
            .any(|entry| entry.detail().unwrap().contains("evt_1#1"))
    };
    let bad = mock!(Client::put_events)
        .match_requests(is_bad)
        .then_error(|| {
            let meta = ErrorMetadata::builder()
                .code("ValidationException")
                .message("too long");
            PutEventsError::generic(meta.build())
        });
    let good = mock!(Client::put_events)
        .match_requests(move |request| !is_bad(request))
        .then_output(|| PutEventsOutput::builder().entries(taken()).build());
    let client = mock_client!(aws_sdk_eventbridge, RuleMode::MatchAny, [&bad, &good]);
    let events: Vec<_> = (0..3).map(|n| event(n, json!({}))).collect();
    let unpublished = publish(client, &events).await;
    let reason = "ValidationException: too long".to_owned();
    assert_eq!(unpublished.refused, BTreeMap::from([(1, reason)]));
    assert!(unpublished.waiting.is_empty());
    assert_eq!((bad.num_calls(), good.num_calls()), (2, 2));
}

/// S3: a type that is longer than EventBridge takes, in an outbox of an older release, is cut and
/// marked.
#[tokio::test(start_paused = true)]
async fn s3_a_type_that_is_too_long_is_cut_and_marked() {
    let put = mock!(Client::put_events)
        .match_requests(|request| {
            let entry = &request.entries()[0];
            let detail: Value = serde_json::from_str(entry.detail().unwrap()).unwrap();
            entry.detail_type().unwrap().len() == 128
                && detail["data"] == json!({ "type": "long", "type_truncated": true })
        })
        .then_output(|| PutEventsOutput::builder().entries(taken()).build());
    let client = mock_client!(aws_sdk_eventbridge, RuleMode::MatchAny, [&put]);
    let mut long = event(0, json!({ "type": "long" }));
    long.detail_type = "stripe.".to_owned() + &"x".repeat(300);
    assert_eq!(publish(client, &[long]).await, Unpublished::default());
    assert_eq!(put.num_calls(), 1);
}
