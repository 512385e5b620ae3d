//! The watch over Stripe's events and the webhook endpoint, on a fake Stripe over HTTP.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use paygraph_domain::id::{Cause, StripeId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::ports::{ParkReason, StoreError, UNCONNECTED};
use paygraph_engine::watch::{Ingest, Watched, Watcher};
use paygraph_stripe::event_types::REQUIRED;
use paygraph_stripe::ingest::{IngestContent, IngestMessage};
use paygraph_testkit::fake_stripe::FakeStripe;
use serde_json::{Value, json};

use crate::runs::stack::{START, Stack, empty, history, holding, same};
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
        account: None,
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
    let told = &watched.reasons["missed_deliveries"];
    assert_eq!(told, "5 events were not delivered");
    let events = kept.events();
    let ids = events.iter().map(|event| {
        let event: Value = serde_json::from_str(event).unwrap();
        event["id"].as_str().unwrap().to_owned()
    });
    assert_eq!(ids.collect::<BTreeSet<_>>(), lost);
    stack.deliver(&events).await;
    same(&truth, &stack);

    let watched = watch(&stack, &kept, None, now + 300).await;
    assert_eq!(watched.missed, 0);
    assert_eq!(
        kinds(&watched),
        ["missed_deliveries"],
        "nothing has come since"
    );
    for (later, expected) in [(600, "delivered"), (900, "nothing new")] {
        if later == 600 {
            let event = happened(&stripe, "cus_late", now + 100);
            stack.deliver([&event]).await;
        }
        let watched = watch(&stack, &kept, None, now + later).await;
        assert_eq!(
            (watched.missed, kinds(&watched)),
            (0, Vec::new()),
            "{expected}"
        );
    }
    let told = stack.told();
    assert_eq!(told["webhook_endpoint_unhealthy"], 1);
    assert_eq!(told["webhook_endpoint_recovered"], 1);
    let mut judge = Judge::new();
    for event in stack.bus.published() {
        judge.check(&event);
    }
}

/// An event that Stripe lists; nobody has delivered it.
fn happened(stripe: &FakeStripe, customer: &str, at: i64) -> String {
    let event = json!({ "id": format!("evt_{customer}"), "object": "event", "type": "customer.created",
        "created": at, "livemode": false, "api_version": "2026-10-28.endive",
        "data": { "object": { "id": customer, "object": "customer", "created": at } } });
    stripe.own().put_event(event.clone(), false);
    event.to_string()
}

/// N14: one event at a time that does not come adds up to an alarm; one that waits for something was
/// delivered.
#[tokio::test]
async fn n14_missed_deliveries_add_up_over_rounds() {
    let stripe = empty().await;
    let (stack, kept) = (Stack::new(&stripe), Kept::default());
    watch(&stack, &kept, None, START).await;
    for (round, expected) in [&[][..], &[], &["missed_deliveries"]].iter().enumerate() {
        let now = START + (i64::try_from(round).unwrap() + 2) * 300;
        happened(&stripe, &format!("cus_{round}"), now - 400);
        let watched = watch(&stack, &kept, None, now).await;
        assert_eq!((watched.missed, kinds(&watched)), (1, expected.to_vec()));
    }
    let parked = happened(&stripe, "cus_parked", START + 1_400);
    let event: Value = serde_json::from_str(&parked).unwrap();
    let cause = Cause::parse(event["id"].as_str().unwrap()).unwrap();
    let reason = ParkReason::UnknownCharge("ch_1".to_owned());
    let tenant = default();
    let parking = stack.engine.park(&tenant, cause, reason, &parked);
    parking.await.unwrap();
    let watched = watch(&stack, &kept, None, START + 1_800).await;
    assert_eq!((watched.missed, kinds(&watched)), (0, Vec::new()));
    for (round, customer) in [(7, "cus_a"), (8, "cus_b"), (9, "cus_c")] {
        // One that came is between two and the third.
        let event = happened(&stripe, customer, START + round * 300 - 400);
        if customer == "cus_b" {
            stack.deliver([&event]).await;
        }
        let watched = watch(&stack, &kept, None, START + round * 300).await;
        assert_eq!(kinds(&watched), Vec::<&str>::new(), "{customer}");
    }
}

/// N14: no event for far longer than usual.
#[tokio::test]
async fn n14_silence_is_told() {
    let stripe = empty().await;
    let (stack, kept) = (Stack::new(&stripe), Kept::default());
    watch(&stack, &kept, None, START).await;
    let hours = 48;
    for n in 0..hours * 4 {
        let event = happened(&stripe, &format!("cus_{n}"), START + n * 900 + 1);
        stack.deliver([&event]).await;
    }
    let end = START + hours * 3_600;
    for (later, expected) in [(3, &[][..]), (14, &["silence"])] {
        let watched = watch(&stack, &kept, None, end + later * 3_600).await;
        assert_eq!(kinds(&watched), expected);
    }
}

/// P7, I8: what could not be fetched when it came, and what came before the account was connected,
/// is taken in once there is a connection.
#[tokio::test]
async fn p7_i8_what_waited_for_the_connection_is_taken_in() {
    let stripe = empty().await;
    let (stack, kept) = (Stack::new(&stripe), Kept::default());
    let event = happened(&stripe, "cus_early", START);
    let unconnected = TenantId::parse(UNCONNECTED).unwrap();
    let parking = [
        (default(), "evt_large", ParkReason::TooLarge, ""),
        (
            unconnected.clone(),
            "evt_cus_early",
            ParkReason::UnknownAccount("acct_1".to_owned()),
            event.as_str(),
        ),
        (
            unconnected,
            "evt_other",
            ParkReason::UnknownAccount("acct_2".to_owned()),
            event.as_str(),
        ),
    ];
    for (tenant, cause, reason, text) in parking {
        let cause = Cause::parse(cause).unwrap();
        let parking = stack.engine.park(&tenant, cause, reason, text);
        parking.await.unwrap();
    }
    let client = stack.engine.fetch.client(&default()).await.unwrap();
    let watcher = Watcher {
        engine: &stack.engine,
        publisher: &stack.bus,
        ingest: &kept,
        client: client.unwrap(),
        endpoint: None,
        account: Some(StripeId::parse("acct_1").unwrap()),
    };
    let deadline = Deadline::after(Duration::from_secs(60));
    let now = Timestamp::from_unix(crate::runs::stack::now()).unwrap();
    for expected in [2, 0] {
        let watched = watcher.watch(&default(), now, deadline).await.unwrap();
        assert_eq!(watched.released, expected);
    }
    let bodies = std::mem::take(&mut *kept.0.lock().unwrap());
    let messages = bodies
        .iter()
        .map(|body| IngestMessage::parse(body).unwrap());
    let (mut events, mut pointers) = (Vec::new(), Vec::new());
    for message in messages {
        assert_eq!(message.tenant, Some(default()));
        match message.content {
            IngestContent::Event(raw) => events.push(raw.get().to_owned()),
            IngestContent::Pointer(pointer) => pointers.push(pointer.id.to_string()),
        }
    }
    assert_eq!(
        (events, pointers),
        (vec![event], vec!["evt_large".to_owned()])
    );
    let left = stack.engine.store.all_parked();
    assert_eq!(left.len(), 1, "another's");
}

/// N14: an endpoint that is disabled, lacks event types, or is gone.
#[tokio::test]
async fn n14_an_endpoint_in_trouble_is_told() {
    let stripe = empty().await;
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

    let other = empty().await;
    let gone = watch(&Stack::new(&other), &kept, Some("we_1"), START).await;
    assert_eq!(kinds(&gone), ["deleted"]);
    let nobody = watch(&Stack::new(&other), &kept, None, START).await;
    assert_eq!(nobody, Watched::default());
    for path in ["", "/default"] {
        other.put(
            json!({ "id": "we_2", "object": "webhook_endpoint", "created": START, "metadata": {},
            "url": format!("https://example.com/api/integrations/stripe/webhook{path}"),
            "status": "disabled", "enabled_events": ["*"] }),
        );
        let by_hand = watch(&Stack::new(&other), &kept, None, START).await;
        assert_eq!(kinds(&by_hand), ["disabled"], "{path}");
    }
}
