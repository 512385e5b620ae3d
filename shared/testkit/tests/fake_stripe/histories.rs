//! The histories that real accounts have: what the world invents, and how it is listed.

use std::collections::BTreeSet;

use paygraph_testkit::fake_stripe::{Config, Lazy};
use paygraph_testkit::world::{History, Shape, World};
use serde_json::{Value, json};

use crate::asking::{Fake, ids, text};

/// Some worlds with every shape, of the newest version.
fn histories() -> Vec<History> {
    let named = |seed: u64| World::new(&format!("w{seed}x"), seed, 1_790_000_000);
    let world = |seed| named(seed).with(Shape::ALL).newest();
    (0..12)
        .map(|seed| world(seed).live(4, 40).finish())
        .collect()
}

/// An id in a path.
fn encoded(id: &str) -> String {
    id.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn events(histories: &[History]) -> Vec<Value> {
    let events = histories.iter().flat_map(|history| &history.events);
    events
        .map(|event| serde_json::from_str(event).unwrap())
        .collect()
}

/// T5: every shape happens.
#[test]
fn t5_every_shape_of_history_happens() {
    let histories = histories();
    let events = events(&histories);
    let happens = |what: &str, is: &dyn Fn(&str, &Value) -> bool| {
        let found = events
            .iter()
            .any(|e| is(text(e, "type"), &e["data"]["object"]));
        assert!(found, "never: {what}");
    };
    let objects = |kind: &str| -> Vec<&Value> {
        let of = histories
            .iter()
            .filter_map(|history| history.objects.get(kind));
        of.flatten().collect()
    };
    let of_intent = |id: &Value| {
        let charges = objects("charge").into_iter();
        charges
            .filter(|charge| charge["payment_intent"] == *id)
            .count()
    };
    let intents = objects("payment_intent");
    assert!(intents.iter().any(|intent| of_intent(&intent["id"]) > 2));
    let canceled = intents
        .iter()
        .filter(|intent| intent["status"] == "canceled");
    assert!(canceled.clone().any(|intent| of_intent(&intent["id"]) == 0));
    happens("a debit", &|kind, o| {
        kind == "charge.pending" && o["status"] == "pending"
    });
    happens("a debit that fails", &|kind, o| {
        kind == "charge.failed" && text(o, "id").starts_with("py_")
    });
    happens("an open invoice that waits for a bank", &|kind, o| {
        kind == "invoice.updated"
            && o["status"] == "open"
            && o["attempt_count"] == 1
            && o["next_payment_attempt"].is_null()
    });
    happens("an invoice written off untried", &|kind, o| {
        kind == "invoice.marked_uncollectible" && o["attempt_count"] == 0
    });
    let written_off = |o: &Value| !o["status_transitions"]["marked_uncollectible_at"].is_null();
    happens("a written-off invoice that is paid", &|kind, o| {
        kind == "invoice.paid" && written_off(o)
    });
    happens("an invoice that is overdue", &|kind, o| {
        kind == "invoice.overdue" && o["collection_method"] == "send_invoice"
    });
    happens("a part that is captured", &|kind, o| {
        kind == "charge.captured" && o["amount_captured"].as_i64() < o["amount"].as_i64()
    });
    happens("a hold that expires", &|kind, o| {
        kind == "charge.expired" && o["captured"] == false
    });
    happens("a payment out of band", &|kind, o| {
        kind == "invoice_payment.paid" && o["payment"]["type"] == "payment_record"
    });
    happens("a part that is paid", &|kind, o| {
        kind == "invoice.updated" && o["status"] == "open" && o["amount_paid"].as_i64() > Some(0)
    });
    happens("an invoice that credit pays", &|kind, o| {
        kind == "invoice.paid" && o["starting_balance"].as_i64() < Some(0) && o["amount_due"] == 0
    });
    happens("a source", &|kind, o| {
        kind == "customer.source.created" && o["object"] == "card"
    });
    happens("a guest", &|kind, o| {
        kind == "checkout.session.completed"
            && o["customer"].is_null()
            && !o["payment_link"].is_null()
    });
}

/// T5: every shape of sale happens.
#[test]
fn t5_every_shape_of_sale_happens() {
    let events = events(&histories());
    let happens = |what: &str, is: &dyn Fn(&str, &Value) -> bool| {
        let found = events
            .iter()
            .any(|e| is(text(e, "type"), &e["data"]["object"]));
        assert!(found, "never: {what}");
    };
    let is_subscription = |kind: &str| kind.starts_with("customer.subscription.");
    happens("a price of another currency", &|kind, o| {
        is_subscription(kind) && o["currency"] != o["items"]["data"][0]["price"]["currency"]
    });
    happens("mixed intervals", &|kind, o| {
        let interval = |place: usize| &o["items"]["data"][place]["price"]["recurring"]["interval"];
        is_subscription(kind) && interval(1).is_string() && interval(0) != interval(1)
    });
    happens("an id that somebody chose", &|kind, o| {
        is_subscription(kind) && text(&o["items"]["data"][0]["price"], "id").contains('#')
    });
}

/// Every event has a type of Stripe's, its second is not before that of the one before, and an update
/// names what it replaced.
#[test]
fn t5_events_obey_stripes_rules() {
    for history in histories() {
        let events = events(std::slice::from_ref(&history));
        let seconds = events
            .iter()
            .map(|event| event["created"].as_i64().unwrap());
        assert!(seconds.is_sorted());
        for event in &events {
            let object = &event["data"]["object"];
            assert!(!text(object, "id").is_empty(), "{event}");
            assert!(
                object["created"].as_i64() <= event["created"].as_i64(),
                "{event}"
            );
            let hidden = object
                .as_object()
                .unwrap()
                .keys()
                .find(|k| k.starts_with('_'));
            assert_eq!(hidden, None, "{event}");
            if let Some(previous) = event["data"]["previous_attributes"].as_object() {
                assert!(!previous.is_empty());
                let same = previous.iter().find(|(name, was)| object[*name] == **was);
                assert_eq!(same, None, "{event}");
            }
        }
    }
}

/// T5, T6: what a deleted customer had stays listed, and it is known by its id.
#[test]
fn t5_the_history_of_deleted_customers_is_listed() {
    let fake = Fake::start(Config::with_world(Lazy::of(200)).unlimited());
    let world = World::new("w", 3, 1_790_000_000).with(Shape::ALL).newest();
    let history = world.live(60, 40).finish();
    fake.stripe.own().hold(&history);
    let listed = fake.all("/v1/customers");
    let listed: BTreeSet<&str> = ids(&listed).into_iter().collect();
    for path in ["subscriptions?status=all", "invoices", "charges"] {
        let all = fake.all(&format!("/v1/{path}"));
        let of = all.iter().filter_map(|object| object["customer"].as_str());
        let gone: BTreeSet<&str> = of.filter(|id| !listed.contains(id)).collect();
        assert!(gone.len() >= 10, "{path}: {gone:?}");
        for id in gone {
            let known = fake.get(&format!("/v1/customers/{id}"));
            assert_eq!(
                known,
                json!({ "id": id, "object": "customer", "deleted": true })
            );
            let path = format!("/v1/customers/{id}/payment_methods");
            assert_eq!(fake.answer(&path).status, 400);
        }
    }
}

/// A deleted product's prices stay listed; the product is known by its id only.
#[test]
fn t5_the_prices_of_deleted_products_are_listed() {
    let fake = Fake::start(Config::default().unlimited());
    fake.stripe.own().hold(&histories()[0]);
    let products = fake.all("/v1/products");
    let products: BTreeSet<&str> = ids(&products).into_iter().collect();
    let prices = fake.all("/v1/prices");
    let of = prices.iter().map(|price| text(price, "product"));
    let gone = of
        .filter(|id| !products.contains(id))
        .collect::<BTreeSet<_>>();
    assert_eq!(gone.len(), 1, "{gone:?}");
    for id in gone {
        let path = format!("/v1/products/{}", encoded(id));
        assert_eq!(fake.get(&path)["deleted"], true);
    }
}

/// Ids that people chose are asked for encoded.
#[test]
fn r12_objects_with_chosen_ids_are_found_by_them() {
    let fake = Fake::start(Config::default().unlimited());
    for history in histories() {
        fake.stripe.own().hold(&history);
    }
    let mut odd = 0;
    for kind in ["prices", "coupons"] {
        for object in fake.all(&format!("/v1/{kind}")) {
            let id = text(&object, "id");
            assert_eq!(
                text(&fake.get(&format!("/v1/{kind}/{}", encoded(id))), "id"),
                id
            );
            odd += usize::from(id.contains(['#', '/', ' ']));
        }
    }
    assert!(odd > 5, "{odd}");
}

/// R6, R7: the amounts in other currencies are there only if they are asked for.
#[test]
fn r6_currency_options_are_expanded_or_absent() {
    let fake = Fake::start(Config::default().unlimited());
    for history in histories() {
        fake.stripe.own().hold(&history);
    }
    for (kind, field) in [("prices", "unit_amount"), ("coupons", "amount_off")] {
        let plain = fake.all(&format!("/v1/{kind}"));
        assert!(
            plain
                .iter()
                .all(|object| object.get("currency_options").is_none())
        );
        let whole = fake.all(&format!("/v1/{kind}?expand[]=data.currency_options"));
        let options = whole
            .iter()
            .filter(|object| object["currency_options"].is_object());
        for object in options.clone() {
            let options = &object["currency_options"];
            assert_eq!(options["usd"][field], object[field]);
            assert!(options["eur"][field].as_i64() < object[field].as_i64());
        }
        assert!(options.count() > 0, "{kind}");
    }
    let all = fake.all("/v1/subscriptions?status=all");
    let other = |s: &&Value| s["currency"] != s["items"]["data"][0]["price"]["currency"];
    let id = text(all.iter().find(other).unwrap(), "id");
    let path = format!("/v1/subscriptions/{id}?expand[]=items.data.price.currency_options");
    let price = &fake.get(&path)["items"]["data"][0]["price"];
    assert!(price["currency_options"]["eur"]["unit_amount"].is_i64());
}

/// An invoice and its payments lead to each other.
#[test]
fn t5_payments_of_invoices_are_listed_and_expanded() {
    let fake = Fake::start(Config::with_world(Lazy::of(40)).unlimited());
    for history in histories() {
        fake.stripe.own().hold(&history);
    }
    let mut several = 0;
    for invoice in fake.all("/v1/invoices?status=paid&expand[]=data.payments") {
        let payments = invoice["payments"]["data"].as_array().unwrap();
        let id = text(&invoice, "id");
        let listed = fake.all(&format!("/v1/invoice_payments?invoice={id}"));
        assert_eq!(payments, &listed);
        let paid = payments
            .iter()
            .filter_map(|payment| payment["amount_paid"].as_i64());
        assert_eq!(
            Some(paid.sum()),
            invoice["amount_paid"].as_i64(),
            "{invoice}"
        );
        several += usize::from(payments.len() > 1);
        for payment in payments {
            let intent = &payment["payment"]["payment_intent"];
            if let Some(intent) = intent.as_str() {
                let path = format!("/v1/invoice_payments?payment[payment_intent]={intent}");
                assert!(ids(&fake.all(&path)).contains(&text(payment, "id")));
                assert_eq!(
                    text(&fake.get(&format!("/v1/payment_intents/{intent}")), "id"),
                    intent
                );
            }
        }
    }
    assert!(several > 3, "{several}");
}

/// R10: sources are listed below their customer, and expanded with it.
#[test]
fn r10_sources_are_listed_below_their_customer() {
    let fake = Fake::start(Config::default().unlimited());
    for history in histories() {
        fake.stripe.own().hold(&history);
    }
    let path = "/v1/customers?expand[]=data.sources&expand[]=data.default_source";
    let mut with_default = 0;
    for customer in fake.all(path) {
        let id = text(&customer, "id");
        let listed = fake.all(&format!("/v1/customers/{id}/sources"));
        let sources = customer["sources"]["data"].as_array().unwrap();
        assert_eq!(sources[..], listed[..listed.len().min(10)]);
        if let Some(default) = customer["default_source"].as_object() {
            with_default += 1;
            assert!(ids(&listed).contains(&default["id"].as_str().unwrap()));
        }
        let methods = fake.all(&format!("/v1/customers/{id}/payment_methods"));
        let all = fake.all(&format!("/v1/payment_methods?customer={id}"));
        assert_eq!(methods, all);
    }
    assert!(with_default > 3, "{with_default}");
}

/// U19: whatever runs has its end ahead, and nothing happens later.
#[test]
fn u19_a_computed_world_ends_now() {
    let now = 1_800_000_000;
    for customers in [1, 20, 1_000] {
        let fake = Fake::start(Config::with_world(Lazy::of(customers).ending_at(now)).unlimited());
        for path in ["customers", "invoices", "charges", "payment_intents"] {
            let newest = &fake.get(&format!("/v1/{path}?limit=1"))["data"][0];
            assert!(newest["created"].as_i64() <= Some(now), "{path}: {newest}");
        }
        for subscription in fake.all("/v1/subscriptions") {
            let item = &subscription["items"]["data"][0];
            assert!(
                item["current_period_start"].as_i64() <= Some(now),
                "{subscription}"
            );
            assert!(
                item["current_period_end"].as_i64() > Some(now),
                "{subscription}"
            );
            if subscription["status"] == "trialing" {
                assert!(
                    subscription["trial_end"].as_i64() > Some(now),
                    "{subscription}"
                );
            }
        }
        for invoice in fake.all("/v1/invoices?status=open") {
            let next = invoice["next_payment_attempt"].as_i64();
            assert!(next.is_none_or(|next| next > now), "{invoice}");
        }
    }
}
