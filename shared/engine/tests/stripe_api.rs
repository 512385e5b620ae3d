//! What no event can tell is asked of Stripe's API: here of a fake one, over HTTP.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::time::Duration;

use paygraph_domain::contact::Contact;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_engine::Deadline;
use paygraph_engine::fetch::Fetch;
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::process::Engine;
use paygraph_runtime::secrets::{SecretSource, SecretsError};
use paygraph_stripe::client::{Connections, Limits};
use paygraph_testkit::fake_stripe::{Config, FakeStripe, Fault, FaultKind, KEY};
use paygraph_testkit::world::price;
use secrecy::SecretString;
use serde_json::{Value, json};

const START: i64 = 1_790_000_000;

/// Only the tenant `default` is connected.
pub struct OneTenant;

impl SecretSource for OneTenant {
    async fn fetch(&self, name: &str) -> Result<Option<SecretString>, SecretsError> {
        let secret = json!({ "key": KEY, "account": null }).to_string();
        Ok((name == "stripe/default").then(|| secret.into()))
    }
}

type TestEngine = Engine<MemoryStore, StoppedClock, Connections<OneTenant>>;

async fn stripe() -> FakeStripe {
    FakeStripe::start(Config::default().unlimited())
        .await
        .unwrap()
}

pub fn connections(stripe: &FakeStripe) -> Connections<OneTenant> {
    let limits = Limits {
        share: 10_000,
        ..Limits::default()
    };
    Connections::new(OneTenant, stripe.url(), limits)
}

fn engine(stripe: &FakeStripe) -> TestEngine {
    Engine {
        store: MemoryStore::new(Settings::example().unwrap()).keeping_history(),
        clock: StoppedClock::default(),
        livemode: false,
        fetch: connections(stripe),
    }
}

pub fn default() -> TenantId {
    TenantId::parse("default").unwrap()
}

/// Delivers the n-th event: a subscription changed.
async fn feed(engine: &TestEngine, n: usize, subscription: &Value) {
    feed_to(engine, &default(), n, subscription).await;
}

async fn feed_to(engine: &TestEngine, tenant: &TenantId, n: usize, subscription: &Value) {
    let event = json!({
        "id": format!("evt_{n}"), "type": "customer.subscription.updated", "created": START + 10,
        "livemode": false, "data": { "object": subscription },
    });
    let deadline = Deadline::after(Duration::from_secs(60));
    let text = event.to_string();
    engine
        .process(tenant, &text, Source::Webhook, deadline)
        .await
        .unwrap();
}

fn subscription(quantity: u64) -> Value {
    json!({
        "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active",
        "currency": "usd", "created": START, "discounts": [],
        "items": { "object": "list", "has_more": false, "url": "/v1/subscription_items?subscription=sub_1",
            "data": [{ "id": "si_01", "object": "subscription_item", "price": price(1), "quantity": quantity }] },
    })
}

fn customer() -> Value {
    json!({ "id": "cus_1", "object": "customer", "created": START, "name": "Example Ltd",
        "email": "billing@example.com", "discount": null, "metadata": { "customer_id": "c-77" } })
}

fn only(engine: &TestEngine) -> Contact {
    let mut contacts = engine.store.contacts();
    assert_eq!(contacts.len(), 1);
    contacts.remove(0)
}

/// I1: the first event is about somebody never seen: Stripe says who that is, in the same commit.
#[tokio::test]
async fn i1_a_customer_never_seen_is_asked_for() {
    let stripe = stripe().await;
    stripe.put(customer());
    let engine = engine(&stripe);
    feed(&engine, 1, &subscription(2)).await;
    let contact = only(&engine);
    assert_eq!(
        (contact.id.as_str(), contact.name()),
        ("c-77", Some("Example Ltd"))
    );
    assert_eq!((engine.store.commits(), stripe.stats().requests), (1, 1));
    // Now it is known.
    feed(&engine, 2, &subscription(2)).await;
    assert_eq!(stripe.stats().requests, 1);
}

/// I2: it is deleted at Stripe, or there is no trace of it: neither is an error.
#[tokio::test]
async fn i2_a_customer_that_is_gone_is_no_error() {
    for deleted in [true, false] {
        let stripe = stripe().await;
        if deleted {
            stripe.put(customer());
            stripe.remove("cus_1");
        }
        let engine = engine(&stripe);
        feed(&engine, 1, &subscription(2)).await;
        assert_eq!(only(&engine).is_deleted(), deleted);
    }
}

/// D8: two updates of one second that do not say what they replaced.
#[tokio::test]
async fn d8_what_events_cannot_tell_is_fetched() {
    for truth in [3, 5] {
        let stripe = stripe().await;
        stripe.put(customer());
        stripe.put(subscription(truth));
        let engine = engine(&stripe);
        feed(&engine, 1, &subscription(3)).await;
        feed(&engine, 2, &subscription(5)).await;
        let rollup = only(&engine).accounts.into_values().next().unwrap();
        assert!(rollup.needs_refetch.is_empty());
        let (_, account, _) = engine.store.accounts().remove(0);
        let state = account.subscriptions.into_values().next().unwrap();
        assert_eq!(
            state.value.subscription.get().items[0].quantity,
            Some(truth)
        );
    }
}

/// L14: of twelve items an event shows ten.
#[tokio::test]
async fn l14_the_items_that_an_event_lacks_are_fetched() {
    let stripe = stripe().await;
    stripe.put(customer());
    let mut whole = subscription(1);
    let item = whole["items"]["data"][0].clone();
    let items = (1..=12).map(|n| {
        let mut item = item.clone();
        item["id"] = json!(format!("si_{n:02}"));
        item
    });
    whole["items"]["data"] = items.collect();
    stripe.put(whole.clone());
    let mut cut = whole.clone();
    cut["items"]["data"].as_array_mut().unwrap().truncate(10);
    cut["items"]["has_more"] = json!(true);
    let engine = engine(&stripe);
    feed(&engine, 1, &cut).await;
    let (_, account, _) = engine.store.accounts().remove(0);
    let state = account.subscriptions.into_values().next().unwrap();
    assert_eq!(state.value.subscription.get().items.len(), 12);
}

/// N8: Stripe's API is down: the event is processed with what it says, and marked where that is
/// not enough.
#[tokio::test]
async fn n8_an_event_does_not_wait_for_the_api() {
    let stripe = stripe().await;
    stripe.put(customer());
    let engine = engine(&stripe);
    feed(&engine, 1, &subscription(3)).await;
    stripe.faults([Fault::share(100, "/v1", FaultKind::Revoked)]);
    feed(&engine, 2, &subscription(5)).await;
    let rollup = only(&engine).accounts.into_values().next().unwrap();
    assert_eq!(rollup.needs_refetch.len(), 1);
}

/// A tenant that is not connected has nobody to ask, and is served from events alone.
#[tokio::test]
async fn who_is_not_connected_is_not_asked_for() {
    let stripe = stripe().await;
    stripe.put(customer());
    let engine = engine(&stripe);
    let other = TenantId::parse("other").unwrap();
    feed_to(&engine, &other, 1, &subscription(3)).await;
    assert_eq!(only(&engine).id.as_str(), "cus_1");
    assert_eq!(stripe.stats().requests, 0);
}

/// P7: of an event that was too large for the queue, the id is enough.
#[tokio::test]
async fn p7_an_event_is_fetched_by_its_id() {
    let stripe = stripe().await;
    let event = stripe.own().happen("customer.created", customer()).unwrap();
    let engine = engine(&stripe);
    let id = Cause::parse(event["id"].as_str().unwrap()).unwrap();
    stripe.faults([Fault::next(1_000, "/v1/events", FaultKind::Broken)]);
    let down = engine.fetch.event(&default(), &id).await;
    assert!(down.unwrap_err().retry, "it waits in the queue meanwhile");
    stripe.faults([]);
    let text = engine.fetch.event(&default(), &id).await.unwrap().unwrap();
    let deadline = Deadline::after(Duration::from_secs(60));
    engine
        .process(&default(), &text, Source::Webhook, deadline)
        .await
        .unwrap();
    assert_eq!(only(&engine).id.as_str(), "c-77");
    let unknown = Cause::parse("evt_none").unwrap();
    assert_eq!(
        engine.fetch.event(&default(), &unknown).await.unwrap(),
        None
    );
}
