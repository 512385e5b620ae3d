//! What stays bounded, and whose clock counts.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::time::Duration;

use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::process::Engine;
use paygraph_testkit::world::{World, price};
use serde_json::{Value, json};

type TestEngine = Engine<MemoryStore, StoppedClock>;

fn engine(clock: i64) -> TestEngine {
    let store = MemoryStore::new(Settings::example().unwrap());
    Engine::alone(store, StoppedClock(Timestamp::from_unix(clock).unwrap()))
}

async fn feed(engine: &TestEngine, event: &str) {
    let tenant = TenantId::parse("default").unwrap();
    let deadline = Deadline::after(Duration::from_secs(60));
    engine
        .process(&tenant, event, Source::Webhook, deadline)
        .await
        .unwrap();
}

fn event(n: usize, kind: &str, at: usize, object: Value) -> String {
    json!({
        "id": format!("evt_{n}"), "type": kind, "created": 1_790_000_000 + at, "livemode": false,
        "data": { "object": object },
    })
    .to_string()
}

/// N4: a contact does not grow with its history: hundreds of subscriptions, invoices and purchases
/// later its item is far from 400 KB.
#[tokio::test]
async fn n4_a_contact_does_not_grow_with_its_history() {
    let engine = engine(1_790_000_000);
    for n in 0..150 {
        let status = if n % 2 == 0 { "canceled" } else { "active" };
        let subscription = json!({
            "id": format!("sub_{n}"), "customer": "cus_1", "status": status, "currency": "usd",
            "created": 1_790_000_000 + n, "items": { "data": [{ "id": "si_1", "price": price(n), "quantity": 1 }] },
            "discounts": [format!("di_{n}")],
        });
        feed(
            &engine,
            &event(n * 3, "customer.subscription.updated", n, subscription),
        )
        .await;
        let invoice = json!({
            "id": format!("in_{n}"), "customer": "cus_1", "status": "paid", "currency": "usd",
            "amount_paid": 500_000, "created": 1_790_000_000 + n, "lines": { "data": [
                { "id": "il_1", "amount": 500_000, "price": "price_1ScfRCChUUSEbzyhhCiqFmUB" }] },
        });
        feed(&engine, &event(n * 3 + 1, "invoice.paid", n, invoice)).await;
        let charge = json!({
            "id": format!("ch_{n}"), "customer": "cus_1", "status": "failed", "currency": "usd",
            "amount": 100, "failure_code": "card_declined", "created": 1_790_000_000 + n,
        });
        feed(&engine, &event(n * 3 + 2, "charge.failed", n, charge)).await;
    }
    let contacts = engine.store.contacts();
    let size = serde_json::to_string(&contacts[0]).unwrap().len();
    assert!(size < 20_000, "the contact has {size} bytes");
}

/// N4: however many Stripe customers name one contact, it holds a bounded number of them; the
/// others keep a contact of their own, and none is lost.
#[tokio::test]
async fn n4_a_contact_holds_a_bounded_number_of_stripe_customers() {
    let engine = engine(1_790_000_000);
    for n in 0..130 {
        let customer = json!({
            "id": format!("cus_{n}"), "object": "customer", "created": 1_790_000_000,
            "metadata": { "customer_id": "everybody" },
        });
        feed(&engine, &event(n, "customer.created", n, customer)).await;
    }
    let contacts = engine.store.contacts();
    let most = contacts
        .iter()
        .map(|contact| contact.accounts.len())
        .max()
        .unwrap();
    let all: usize = contacts.iter().map(|contact| contact.accounts.len()).sum();
    assert_eq!((most, all), (100, 130));
}

/// N4: attempts and lines of an invoice are bounded.
#[tokio::test]
async fn n4_an_invoice_keeps_a_bounded_number_of_lines_and_attempts() {
    let engine = engine(1_790_000_000);
    for n in 0..60 {
        let lines: Vec<_> = (0..150)
            .map(|line| json!({ "id": format!("il_{line}"), "amount": 1 }))
            .collect();
        let invoice = json!({
            "id": "in_1", "customer": "cus_1", "status": "open", "currency": "usd",
            "created": 1_790_000_000, "attempt_count": n + 1, "lines": { "data": lines },
        });
        feed(&engine, &event(n, "invoice.payment_failed", n, invoice)).await;
    }
    let (_, _, beside) = engine.store.accounts().remove(0);
    let stored = serde_json::to_value(&beside[0]).unwrap();
    assert_eq!(stored["value"]["attempts"].as_object().unwrap().len(), 20);
    assert_eq!(
        stored["value"]["invoice"]["head"]["object"]["lines"]
            .as_array()
            .unwrap()
            .len(),
        100
    );
}

/// D11: our own clock makes no versions: the state is the same whatever it says.
#[tokio::test]
async fn d11_only_stripes_clock_makes_versions() {
    let events = World::new("w", 4, 1_790_000_000).run(2, 25);
    let mut states = Vec::new();
    for clock in [0, 1_790_000_000, 250_000_000_000] {
        let engine = engine(clock);
        for event in &events {
            feed(&engine, event).await;
        }
        states.push((engine.store.contacts(), engine.store.accounts()));
    }
    assert_eq!(states[0], states[1]);
    assert_eq!(states[1], states[2]);
}

/// I10: a dispute and a refund that come before their charge wait, and count once it comes.
#[tokio::test]
async fn i10_a_dispute_waits_for_its_charge() {
    let engine = engine(1_790_000_000);
    let dispute = json!({
        "id": "dp_1", "object": "dispute", "charge": "ch_1", "payment_intent": "pi_1",
        "status": "needs_response", "amount": 100, "currency": "usd",
    });
    let refund = json!({
        "id": "re_1", "object": "refund", "charge": "ch_1", "amount": 40, "currency": "usd",
        "status": "succeeded",
    });
    feed(&engine, &event(1, "charge.dispute.created", 2, dispute)).await;
    feed(&engine, &event(2, "refund.created", 2, refund)).await;
    assert_eq!(engine.store.all_parked().len(), 2);
    assert!(engine.store.contacts().is_empty());
    let charge = json!({
        "id": "ch_1", "object": "charge", "customer": "cus_1", "payment_intent": "pi_1",
        "status": "succeeded", "amount": 100, "currency": "usd",
    });
    feed(&engine, &event(3, "charge.succeeded", 1, charge)).await;
    assert!(engine.store.all_parked().is_empty());
    let (contacts, accounts) = (engine.store.contacts(), engine.store.accounts());
    assert_eq!(accounts[0].1.disputes.len(), 1);
    let billing = contacts[0].billing(&Settings::example().unwrap());
    assert_eq!(
        serde_json::to_value(billing.lifetime_value).unwrap(),
        json!({ "usd": 60 })
    );
}

/// I10: a stale event that names a charge makes no link to it, and lets nobody go who waits for it.
#[tokio::test]
async fn i10_a_stale_event_lets_nobody_go() {
    let engine = engine(1_790_000_000);
    let invoice = |status: &str, charge: Value| {
        json!({
            "id": "in_1", "object": "invoice", "customer": "cus_1", "status": status,
            "currency": "usd", "amount_due": 100, "amount_paid": 0, "created": 1_790_000_000,
            "charge": charge, "lines": { "data": [] },
        })
    };
    let stale = event(2, "invoice.updated", 5, invoice("open", json!("ch_1")));
    let dispute = json!({
        "id": "dp_1", "object": "dispute", "charge": "ch_1", "status": "needs_response",
        "amount": 100, "currency": "usd",
    });
    feed(
        &engine,
        &event(1, "invoice.voided", 9, invoice("void", Value::Null)),
    )
    .await;
    feed(&engine, &stale).await;
    feed(&engine, &event(3, "charge.dispute.created", 6, dispute)).await;
    let before = engine.store.all_parked().len();
    feed(&engine, &stale).await;
    let disputes = engine.store.accounts().remove(0).1.disputes.len();
    assert_eq!(
        engine.store.all_parked().len() + disputes,
        1,
        "{before} waited"
    );
}
