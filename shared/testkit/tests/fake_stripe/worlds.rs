//! A simulated world behind the API: what is listed is what its truth says.

use std::collections::{BTreeMap, BTreeSet};

use paygraph_testkit::fake_stripe::Config;
use paygraph_testkit::world::{History, World};
use serde_json::{Value, json};

use crate::asking::{Fake, ids, text};

fn history(seed: u64) -> History {
    World::new("w", seed, 1_700_000_000).live(40, 40).finish()
}

fn fake(history: &History) -> Fake {
    let fake = Fake::start(Config::default().unlimited());
    fake.stripe.own().hold(history);
    fake
}

/// The statuses of a customer's objects, by id.
fn statuses(fake: &Fake, path: &str) -> BTreeMap<String, String> {
    let named = |o: &Value| (text(o, "id").to_owned(), text(o, "status").to_owned());
    fake.all(path).iter().map(named).collect()
}

#[test]
fn a_world_is_listed_as_its_truth_is() {
    for seed in 0..4 {
        let history = history(seed);
        let fake = fake(&history);
        let listed = fake.all("/v1/customers");
        let listed: BTreeSet<_> = ids(&listed).into_iter().collect();
        for truth in &history.truths {
            let id = truth.customer.as_str();
            assert_eq!(listed.contains(id), !truth.deleted, "{id}");
            assert_eq!(
                fake.get(&format!("/v1/customers/{id}"))["deleted"] == true,
                truth.deleted
            );
            let found = statuses(
                &fake,
                &format!("/v1/subscriptions?status=all&customer={id}"),
            );
            let subscriptions = truth.subscriptions.iter();
            let expected = subscriptions.map(|(id, of)| (id.clone(), of.status.clone()));
            assert_eq!(found, expected.collect());
            let found = statuses(&fake, &format!("/v1/invoices?customer={id}"));
            let invoices = truth.invoices.iter();
            let expected = invoices.map(|(id, of)| (id.clone(), of.status.clone()));
            assert_eq!(found, expected.collect());
            let methods = fake.all(&format!("/v1/payment_methods?customer={id}"));
            assert_eq!(!methods.is_empty(), truth.on_file);
        }
        assert_eq!(fake.all("/v1/events").len(), history.events.len());
    }
}

#[test]
fn the_last_event_of_an_object_shows_what_the_api_shows() {
    let history = history(7);
    let fake = fake(&history);
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    for event in &history.events {
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(
            event["api_version"], "2026-10-28.endive",
            "choose another seed"
        );
        let object = event["data"]["object"].clone();
        last.insert(text(&object, "id").to_owned(), object);
    }
    let mut compared = BTreeSet::new();
    for mut object in last.into_values() {
        let kind = text(&object, "object").to_owned();
        let path = match kind.as_str() {
            "checkout.session" => "checkout/sessions".to_owned(),
            kind => format!("{kind}s"),
        };
        let expand = match kind.as_str() {
            "subscription" => "?expand[]=discounts.source.coupon",
            _ => "",
        };
        let mut shown = fake.get(&format!("/v1/{path}/{}{expand}", text(&object, "id")));
        if shown["deleted"] == true {
            continue;
        }
        for list in ["items", "lines"] {
            for object in [&mut shown, &mut object] {
                if let Some(list) = object[list].as_object_mut() {
                    list.insert("url".to_owned(), json!(null));
                }
            }
        }
        assert_eq!(shown, object);
        compared.insert(kind);
    }
    assert!(compared.len() >= 7, "{compared:?}");
}

#[test]
fn what_was_sold_is_listed_too() {
    let fake = fake(&history(7));
    for subscription in fake.all("/v1/subscriptions?status=all&expand[]=data.discounts.source") {
        let item = &subscription["items"]["data"][0];
        let price = fake.get(&format!("/v1/prices/{}", text(&item["price"], "id")));
        assert_eq!(price["unit_amount"], item["price"]["unit_amount"]);
        fake.get(&format!("/v1/products/{}", text(&price, "product")));
        if let Some(coupon) = subscription["discounts"][0]["source"]["coupon"].as_str() {
            fake.get(&format!("/v1/coupons/{coupon}"));
        }
    }
}
