//! Every payload is accepted: the project's own, and recorded ones where they are at hand.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed test says where"
)]

use std::fs;
use std::path::{Path, PathBuf};

use paygraph_domain::fact::{Body, Fact};
use paygraph_domain::objects::subscription::Subscription;
use paygraph_domain::order::Tracked;
use paygraph_stripe::decode::{about, decode};
use paygraph_stripe::event::StripeEvent;
use paygraph_stripe::event_types::REQUIRED;
use proptest::prelude::*;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Recorded payloads beside the project; not part of it.
fn recorded(folder: &str) -> Vec<(String, Value)> {
    read_all(&root().join("../shared/fixtures").join(folder))
}

fn own() -> Vec<(String, Value)> {
    read_all(&root().join("events/stripe"))
}

fn read_all(folder: &Path) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(read_all(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            found.push((name, serde_json::from_str(&text).unwrap()));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn read(event: &Value) -> Result<Option<Fact>, String> {
    let text = event.to_string();
    let event = StripeEvent::parse(&text).map_err(|error| error.to_string())?;
    let _ = about(&event);
    decode(&event).map_err(|error| format!("{error:?}"))
}

fn wrap(kind: &str, object: &Value) -> Value {
    json!({ "id": "evt_1", "type": kind, "created": 1_795_000_000, "data": { "object": object } })
}

#[test]
fn every_payload_of_the_project_is_read() {
    let newest = root().join("events/stripe");
    let missing: Vec<_> = REQUIRED
        .iter()
        .filter(|kind| !newest.join(format!("{kind}.json")).is_file())
        .collect();
    assert!(missing.is_empty(), "required, but no payload: {missing:?}");
    for (name, event) in own() {
        let fact = read(&event).unwrap_or_else(|error| panic!("{name}: {error}"));
        let kind = event["type"].as_str().unwrap();
        assert_eq!(kind, name);
        assert_eq!(fact.is_some(), kind != "invoice.upcoming", "{name}");
    }
}

#[test]
fn every_recorded_event_is_accepted() {
    for (name, event) in recorded("stripe-sync-engine") {
        read(&event).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_sample_object_is_accepted() {
    let kinds = [
        ("subscription", "customer.subscription.updated"),
        ("customer", "customer.updated"),
        ("invoice", "invoice.updated"),
        ("payment_method", "payment_method.attached"),
        ("charge", "charge.updated"),
        ("refund", "refund.updated"),
        ("dispute", "charge.dispute.updated"),
        ("checkout.session", "checkout.session.completed"),
        ("subscription_schedule", "subscription_schedule.updated"),
        ("product", "product.updated"),
        ("price", "price.updated"),
        ("coupon", "coupon.updated"),
        ("discount", "customer.discount.updated"),
    ];
    for (name, object) in recorded("stripe-openapi") {
        let kind = kinds
            .iter()
            .find(|(known, _)| *known == name)
            .map_or("other.thing", |(_, k)| k);
        let fact = read(&wrap(kind, &object)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fact.is_some(), kind != "other.thing", "{name}");
    }
}

#[test]
fn p5_every_known_type_with_the_least_of_objects_gets_an_answer() {
    let path = root().join("../shared/fixtures/event_types.json");
    let Ok(text) = fs::read_to_string(path) else {
        return;
    };
    let all: Value = serde_json::from_str(&text).unwrap();
    for kind in all["event_types"].as_array().unwrap() {
        let _ = read(&wrap(kind.as_str().unwrap(), &json!({ "id": "x_1" })));
    }
}

fn subscription(object: &Value) -> Subscription {
    let fact = read(&wrap("customer.subscription.updated", object))
        .unwrap()
        .unwrap();
    let Body::Subscription(subscription) = fact.body else {
        panic!("{:?}", fact.body)
    };
    *subscription
}

/// The subscription that an invoice is for.
fn subscription_of(invoice: &Value) -> Option<String> {
    let fact = read(&wrap("invoice.updated", invoice)).unwrap().unwrap();
    let Body::Invoice(invoice) = fact.body else {
        panic!("{:?}", fact.body)
    };
    invoice.subscription.get().clone().map(String::from)
}

fn old_and_new() -> [Value; 2] {
    let price = json!({ "id": "price_1", "product": "prod_1", "currency": "usd", "unit_amount": 2_900,
        "recurring": { "interval": "month", "interval_count": 1 } });
    let plan = json!({ "id": "price_1", "product": "prod_1", "currency": "usd", "amount": 2_900,
        "interval": "month", "interval_count": 1 });
    let old = json!({ "id": "sub_1", "customer": "cus_1", "status": "active", "currency": "usd",
        "created": 1_790_000_000, "start_date": 1_790_000_000, "cancel_at": null, "trial_end": null,
        "current_period_start": 1_795_000_000, "current_period_end": 1_797_592_000,
        "items": { "data": [{ "id": "si_1", "plan": plan, "quantity": 2 }] },
        "discount": { "id": "di_1", "coupon": { "id": "co_1", "duration": "forever", "percent_off": 10.5 } } });
    let new = json!({ "id": "sub_1", "customer": "cus_1", "status": "active", "currency": "usd",
        "created": 1_790_000_000, "start_date": 1_790_000_000, "cancel_at": null, "trial_end": null,
        "items": { "data": [{ "id": "si_1", "price": price, "quantity": 2,
            "current_period_start": 1_795_000_000, "current_period_end": 1_797_592_000 }] },
        "discounts": [{ "id": "di_1", "source": { "type": "coupon",
            "coupon": { "id": "co_1", "duration": "forever", "percent_off": 10.5 } } }] });
    [old, new]
}

/// P4: a field is found in every place where a version has had it.
#[test]
fn p4_both_places_of_a_field_are_read() {
    let [old, new] = old_and_new().map(|object| subscription(&object));
    assert_eq!(old.period, new.period);
    assert!(old.period.get().is_some());
    assert_eq!(old.discounts, new.discounts);
    assert_eq!(
        old.items.first().unwrap().price,
        new.items.first().unwrap().price
    );

    let base = json!({ "id": "in_1", "customer": "cus_1", "currency": "usd", "created": 1, "status": "paid" });
    let (mut old, mut new) = (base.clone(), base);
    old["subscription"] = json!("sub_1");
    new["parent"] = json!({ "subscription_details": { "subscription": { "id": "sub_1" } } });
    assert_eq!(subscription_of(&old).as_deref(), Some("sub_1"));
    assert_eq!(subscription_of(&new).as_deref(), Some("sub_1"));
}

#[test]
fn p4_recorded_versions_of_one_object_say_the_same() {
    let all = recorded("derived");
    let of = |prefix: &str| {
        all.iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .collect::<Vec<_>>()
    };
    let subscriptions: Vec<_> = of("sub_")
        .into_iter()
        .map(|(_, object)| subscription(object))
        .collect();
    let bought = |subscription: &Subscription| -> Vec<_> {
        let items = subscription.items.iter();
        items
            .map(|item| (item.id.clone(), item.price.clone(), item.quantity))
            .collect()
    };
    for pair in subscriptions.windows(2) {
        let [a, b] = pair else { continue };
        assert!(a.period.get().is_some());
        assert_eq!(a.period, b.period);
        assert_eq!(bought(a), bought(b));
    }
    for (name, object) in of("inv_") {
        assert!(subscription_of(object).is_some(), "{name}");
    }
}

/// P4: a version that does not send a field never wipes what another one sent; null does.
#[test]
fn p4_absent_never_wipes_and_null_does() {
    let seen = |at: i64, cancel_at: Option<Value>| {
        let [_, mut object] = old_and_new();
        object.as_object_mut().unwrap().remove("cancel_at");
        if let Some(cancel_at) = cancel_at {
            object["cancel_at"] = cancel_at;
        }
        let mut event = wrap("customer.subscription.updated", &object);
        event["created"] = json!(at);
        let fact = read(&event).unwrap().unwrap();
        let Body::Subscription(subscription) = &fact.body else {
            panic!("{:?}", fact.body)
        };
        fact.version(subscription.as_ref().clone())
    };
    let [set, absent, null] = [
        seen(1, Some(json!(1_800_000_000))),
        seen(2, None),
        seen(3, Some(json!(null))),
    ];
    for [first, second] in [[&set, &absent], [&absent, &set]] {
        let mut tracked = Tracked::first(first.clone());
        tracked.observe(second.clone());
        assert!(tracked.get().cancel_at.get().is_some());
        tracked.observe(null.clone());
        assert_eq!(tracked.get().cancel_at.get(), &None);
    }
}

/// P5: an unknown status is kept, new fields are skipped.
#[test]
fn p5_unknown_words_and_fields_are_accepted() {
    let [_, mut object] = old_and_new();
    object["status"] = json!("hibernating");
    object["brand_new"] = json!({ "deep": [1, 2, { "er": null }] });
    assert_eq!(subscription(&object).status.as_str(), "hibernating");
    assert_eq!(read(&wrap("brand.new", &json!(7))).unwrap(), None);
}

/// P8: wrong types are a clear error that names the event.
#[test]
fn p8_wrong_types_are_a_clear_error() {
    let [_, good] = old_and_new();
    for (field, value) in [
        ("items", json!([1])),
        ("status", json!(7)),
        ("id", json!(null)),
        ("created", json!("x")),
    ] {
        let mut object = good.clone();
        object[field] = value;
        let error = read(&wrap("customer.subscription.updated", &object)).unwrap_err();
        assert!(error.contains("evt_1"), "{error}");
    }
}

/// Every value in a document, by its path.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                places(value, &format!("{path}/{name}"), found);
            }
        }
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                places(value, &format!("{path}/{place}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Something of another type, or out of every range.
fn other_values() -> [Value; 5] {
    [
        json!(null),
        json!(i64::MIN),
        json!(1e300),
        json!("é\u{0}#"),
        json!([null, 1, { "id": [] }]),
    ]
}

/// P8: whatever value is in a field's place, the event is read or refused; nothing panics.
#[test]
fn p8_every_field_may_be_of_another_type() {
    let mut events: Vec<Value> = own().into_iter().map(|(_, event)| event).collect();
    events.extend(old_and_new().map(|object| wrap("customer.subscription.updated", &object)));
    for event in events {
        let mut found = Vec::new();
        places(&event, "", &mut found);
        for place in found {
            for other in other_values() {
                let mut changed = event.clone();
                *changed.pointer_mut(&place).unwrap() = other;
                let _ = read(&changed);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// P8: a damaged event is read or refused; nothing panics.
    #[test]
    fn p8_damaged_events_never_panic(which: prop::sample::Index, at: prop::sample::Index, byte: u8, cut: bool) {
        let mut all: Vec<Value> = own().into_iter().map(|(_, event)| event).collect();
        all.extend(old_and_new().iter().map(|object| wrap("customer.subscription.updated", object)));
        let mut text = which.get(&all).to_string().into_bytes();
        let at = at.index(text.len());
        if cut {
            text.truncate(at);
        } else if let Some(place) = text.get_mut(at) {
            *place = byte;
        }
        let text = String::from_utf8_lossy(&text);
        if let Ok(event) = StripeEvent::parse(&text) {
            let _ = about(&event);
            let _ = decode(&event);
        }
    }
}
