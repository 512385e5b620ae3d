//! The watch over Stripe's events and the webhook endpoint, on a fake Stripe over HTTP.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::ports::StoreError;
use paygraph_engine::watch::{Ingest, Watched, Watcher};
use paygraph_stripe::event_types::REQUIRED;
use paygraph_stripe::ingest::{IngestContent, IngestMessage};
use paygraph_testkit::fake_stripe::{Config, FakeStripe};
use serde_json::{Value, json};

use crate::runs::stack::{START, Stack, history, holding, same};
use crate::schemas::Judge;
use crate::stripe_api::default;

const DAY: i64 = 86_400;

/// Keeps what it is given.
#[derive(Default)]
struct Kept(Mutex<Vec<String>>);

impl Ingest for Kept {
    async fn ingest(&self, body: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().push(body.to_owned());
        Ok(())
    }
}

impl Kept {
    /// The events that it was given since the last time.
    fn events(&self) -> Vec<String> {
        let bodies = std::mem::take(&mut *self.0.lock().unwrap());
        let events = bodies.iter().map(|body| {
            let message = IngestMessage::parse(body).unwrap();
            assert_eq!(message.tenant, Some(default()));
            let IngestContent::Event(event) = message.content else {
                return String::new();
            };
            event.get().to_owned()
        });
        events.collect()
    }
}

async fn watch(stack: &Stack, kept: &Kept, endpoint: Option<&str>, now: i64) -> Watched {
    let client = stack.engine.fetch.client(&default()).await.unwrap();
    let watcher = Watcher {
        engine: &stack.engine,
        publisher: &stack.bus,
        ingest: kept,
        client: client.unwrap(),
        endpoint: endpoint.map(str::to_owned),
    };
    let now = Timestamp::from_unix(now).unwrap();
    let deadline = Deadline::after(Duration::from_secs(60));
    watcher.watch(&default(), now, deadline).await.unwrap()
}

fn kinds(watched: &Watched) -> Vec<&str> {
    watched.reasons.keys().map(String::as_str).collect()
}

/// N14: what Stripe says it sent and our ledger lacks is taken in at once; three or more are an
/// alarm, which is told once, and once more when it is over.
#[tokio::test]
async fn n14_deliveries_that_failed_are_found_and_taken_in() {
    let history = history(31, 20);
    let stripe = holding(&history).await;
    let (truth, stack, kept) = (Stack::new(&stripe), Stack::new(&stripe), Kept::default());
    truth.deliver(&history.events).await;
    let (begin, now) = (START + 60 * DAY, START + 80 * DAY);
    let mut lost = BTreeSet::new();
    let mut came = Vec::new();
    for event in &history.events {
        let read: Value = serde_json::from_str(event).unwrap();
        let at = read["created"].as_i64().unwrap();
        let needed = REQUIRED.contains(&read["type"].as_str().unwrap());
        if needed && at > begin && at < now - 600 && lost.len() < 5 {
            lost.insert(read["id"].as_str().unwrap().to_owned());
        } else {
            came.push(event);
        }
    }
    assert_eq!(lost.len(), 5);
    stack.deliver(came).await;

    let first = watch(&stack, &kept, None, begin).await;
    assert_eq!(
        first,
        Watched::default(),
        "nobody had to send what was before"
    );
    let watched = watch(&stack, &kept, None, now).await;
    assert_eq!(
        (watched.missed, kinds(&watched)),
        (5, vec!["missed_deliveries"])
    );
    assert!(watched.events > 5);
    let events = kept.events();
    let ids = events.iter().map(|event| {
        let event: Value = serde_json::from_str(event).unwrap();
        event["id"].as_str().unwrap().to_owned()
    });
    assert_eq!(ids.collect::<BTreeSet<_>>(), lost);
    stack.deliver(&events).await;
    same(&truth, &stack);

    for later in [300, 600] {
        let watched = watch(&stack, &kept, None, now + later).await;
        assert_eq!((watched.missed, kinds(&watched)), (0, Vec::new()));
    }
    let told = stack.told();
    assert_eq!(told["webhook_endpoint_unhealthy"], 1);
    assert_eq!(told["webhook_endpoint_recovered"], 1);
    let mut judge = Judge::new();
    for event in stack.bus.published() {
        judge.check(&event);
    }
}

/// N14: an endpoint that is disabled, lacks event types, or is gone.
#[tokio::test]
async fn n14_an_endpoint_in_trouble_is_told() {
    let stripe = FakeStripe::start(Config::default().unlimited())
        .await
        .unwrap();
    let (stack, kept) = (Stack::new(&stripe), Kept::default());
    let endpoint = |status: &str, events: &[&str]| {
        json!({ "id": "we_1", "object": "webhook_endpoint", "created": START, "status": status,
            "url": "https://example.com/hook", "enabled_events": events,
            "metadata": { "paygraph_tenant": "default" } })
    };
    for (n, (status, events, expected)) in [
        ("enabled", &["*"][..], &[][..]),
        ("enabled", &["invoice.paid"], &["missing_event_types"]),
        (
            "disabled",
            &["invoice.paid"],
            &["disabled", "missing_event_types"],
        ),
        ("disabled", &["*"], &["disabled"]),
        ("enabled", REQUIRED, &[]),
    ]
    .into_iter()
    .enumerate()
    {
        stripe.put(endpoint(status, events));
        let now = START + i64::try_from(n).unwrap() * 300;
        let watched = watch(&stack, &kept, Some("we_1"), now).await;
        assert_eq!(kinds(&watched), expected);
    }
    let told = stack.told();
    assert_eq!(told["webhook_endpoint_unhealthy"], 2, "one per new reason");
    assert_eq!(told["webhook_endpoint_recovered"], 1);

    let other = FakeStripe::start(Config::default().unlimited())
        .await
        .unwrap();
    let gone = watch(&Stack::new(&other), &kept, Some("we_1"), START).await;
    assert_eq!(kinds(&gone), ["deleted"]);
    let by_hand = watch(&Stack::new(&other), &kept, None, START).await;
    assert_eq!(by_hand, Watched::default());
}
