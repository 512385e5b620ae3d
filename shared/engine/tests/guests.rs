//! Checkout sessions without a customer: published, counted, and listed for review.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use paygraph_domain::settings::Settings;
use paygraph_engine::memory::MemoryBus;
use serde_json::{Value, json};

use super::common::{TestEngine, engine, feed};

const START: i64 = 1_790_000_000;

fn event(n: i64, kind: &str, object: &Value) -> String {
    json!({
        "id": format!("evt_guest_{n}"), "type": kind, "created": START + n, "livemode": false,
        "data": { "object": object },
    })
    .to_string()
}

fn session(reference: Option<&str>) -> Value {
    json!({
        "id": "cs_test_1", "object": "checkout.session", "mode": "payment", "status": "complete",
        "payment_status": "paid", "customer": null, "client_reference_id": reference,
        "amount_total": 4_900, "currency": "usd", "payment_intent": "pi_1", "metadata": {},
        "payment_link": "plink_1", "created": START,
    })
}

fn charge(refunded: i64) -> Value {
    json!({
        "id": "ch_1", "object": "charge", "customer": null, "status": "succeeded",
        "payment_intent": "pi_1", "amount": 4_900, "amount_captured": 4_900, "captured": true,
        "amount_refunded": refunded, "currency": "usd", "created": START,
    })
}

fn refund() -> Value {
    json!({
        "id": "re_1", "object": "refund", "charge": "ch_1", "payment_intent": "pi_1",
        "amount": 900, "currency": "usd", "status": "succeeded", "created": START + 9,
    })
}

fn lifetime_value(engine: &TestEngine) -> Vec<(String, Value)> {
    let settings = Settings::example().unwrap();
    let contacts = engine.store.contacts().into_iter();
    contacts
        .map(|contact| {
            let value = contact.billing(&settings).lifetime_value;
            (contact.id.to_string(), serde_json::to_value(value).unwrap())
        })
        .collect()
}

/// R11: in any order with its charge and its refund; a guest of whom nobody knows more is listed.
#[tokio::test]
async fn r11_a_guest_is_published_counted_and_listed() {
    let events = [
        ("checkout.session.completed", session(None)),
        ("charge.succeeded", charge(0)),
        ("refund.created", refund()),
        ("charge.refunded", charge(900)),
    ];
    for first in 0..events.len() {
        let (engine, bus) = (engine(), MemoryBus::default());
        for turn in 0..2 * events.len() {
            let n = (first + turn) % events.len();
            let (kind, object) = &events[n];
            let text = event(i64::try_from(n).unwrap(), kind, object);
            feed(&engine, &bus, &text).await;
        }
        let told: Vec<_> = bus.published().into_iter().map(|e| e.detail_type).collect();
        for name in ["checkout_completed", "payment_succeeded"] {
            let times = told.iter().filter(|told| *told == name).count();
            assert_eq!(times, 1, "{name}, from event {first}");
        }
        let expected = ("cs_test_1".to_owned(), json!({ "usd": 4_000 }));
        assert_eq!(lifetime_value(&engine), [expected]);
        assert!(engine.store.all_parked().is_empty());
        let reviews = engine.store.reviews();
        let listed: Vec<_> = reviews.iter().map(|(guest, _)| guest.as_str()).collect();
        assert_eq!(listed, ["cs_test_1"]);
    }
}

/// R11: a reference finds the contact, as in any other session, and nothing is left to review.
#[tokio::test]
async fn r11_a_reference_finds_the_guests_contact() {
    let (engine, bus) = (engine(), MemoryBus::default());
    let named = session(Some("team-42"));
    feed(
        &engine,
        &bus,
        &event(0, "checkout.session.completed", &named),
    )
    .await;
    let expected = ("team-42".to_owned(), json!({ "usd": 4_900 }));
    assert_eq!(lifetime_value(&engine), [expected]);
    assert_eq!(engine.store.reviews(), []);
    let own = bus.published().into_iter();
    let mut own = own.filter(|event| event.detail_type == "payment_succeeded");
    let detail = own.next().unwrap().detail;
    assert_eq!(detail.customer_id.as_ref().unwrap().as_str(), "team-42");
    assert_eq!(
        detail.stripe_customer_id, None,
        "Stripe has no such customer"
    );
}

/// R11: who left without paying is no customer.
#[tokio::test]
async fn r11_a_guest_who_left_is_nobody() {
    let (engine, bus) = (engine(), MemoryBus::default());
    let mut left = session(None);
    left["status"] = json!("expired");
    left["payment_status"] = json!("unpaid");
    feed(&engine, &bus, &event(0, "checkout.session.expired", &left)).await;
    assert_eq!(lifetime_value(&engine), []);
}
