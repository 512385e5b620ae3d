//! A coupon or price that comes after its subscription: the record is right once both are there, in
//! any order, without a further event.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

use std::time::Duration;

use crate::common::{TestEngine, engine, run, shuffled, torn_engine};
use paygraph_domain::account::CatalogKey;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{StripeId, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_engine::Deadline;
use paygraph_engine::memory::MemoryBus;
use paygraph_engine::ports::{LedgerEntry, Store};
use paygraph_engine::process::{Done, ProcessError};
use paygraph_testkit::world::price;
use serde_json::{Value, json};

const START: i64 = 1_790_000_000;

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

fn event(id: &str, kind: &str, object: &Value) -> String {
    let event = json!({
        "id": id, "type": kind, "created": START, "livemode": false, "data": { "object": object },
    });
    event.to_string()
}

/// A subscription for $58.00 a month whose discount only names its coupon.
fn discounted(n: usize) -> String {
    let object = json!({
        "id": format!("sub_{n}"), "customer": format!("cus_{n}"), "status": "active",
        "currency": "usd", "created": START,
        "discounts": [{ "id": format!("di_{n}"), "source": { "type": "coupon", "coupon": "HALF" } }],
        "items": { "has_more": false, "data": [{ "id": "si_1", "price": price(1), "quantity": 1 }] },
    });
    event(
        &format!("evt_sub{n}"),
        "customer.subscription.created",
        &object,
    )
}

fn coupon() -> String {
    let object = json!({
        "id": "HALF", "object": "coupon", "percent_off": 50, "duration": "forever", "valid": true,
    });
    event("evt_coupon", "coupon.created", &object)
}

/// A price by tiers, with them or as events have it: without.
fn tiered(tiers: bool) -> Value {
    let mut tiered = price(1);
    tiered["id"] = json!("price_tiered");
    tiered["billing_scheme"] = json!("tiered");
    tiered["tiers_mode"] = json!("volume");
    tiered["unit_amount"] = Value::Null;
    tiered["unit_amount_decimal"] = Value::Null;
    if tiers {
        tiered["tiers"] = json!([{ "up_to": null, "unit_amount": 1000, "flat_amount": null }]);
    }
    tiered
}

async fn process(engine: &TestEngine, event: &str, source: Source) -> Vec<LedgerEntry> {
    let deadline = Deadline::after(Duration::from_secs(60));
    let tenant = tenant();
    let processed = engine.process(&tenant, event, source, deadline);
    processed.await.unwrap().into_entries()
}

/// MRR in cents, and whether anything is still marked as not known, of every contact.
fn worth(engine: &TestEngine) -> Vec<(i64, bool)> {
    let settings = Settings::example().unwrap();
    let contacts = engine.store.contacts().into_iter();
    contacts
        .map(|contact| {
            let mut rollups = contact.accounts.values();
            let marked = rollups.any(|r| !r.needs_refetch.is_empty() || !r.awaits.is_empty());
            let mrr = contact.billing(&settings).mrr;
            (mrr.iter().map(|(_, minor)| minor).sum(), marked)
        })
        .collect()
}

/// What was told by which cause, without what is passed on.
fn told(entries: &[LedgerEntry]) -> Vec<(&str, &str)> {
    let told = entries.iter().flat_map(|entry| &entry.outbox);
    told.filter(|event| !event.detail_type.starts_with("stripe."))
        .map(|event| (event.detail_type.as_str(), event.detail.cause.as_str()))
        .collect()
}

/// The subscription first, then its coupon: the coupon's event makes it right, and tells it once.
#[test]
fn a_coupon_that_comes_late_changes_who_waits_for_it() {
    run(async {
        let engine = engine();
        for n in 0..3 {
            process(&engine, &discounted(n), Source::Webhook).await;
        }
        assert_eq!(worth(&engine), [(5800, true); 3]);
        let entries = process(&engine, &coupon(), Source::Webhook).await;
        assert_eq!(worth(&engine), [(2900, false); 3]);
        let changed = [0, 1, 2].map(|n| ("mrr_changed", format!("evt_coupon:cus_{n}")));
        let told = told(&entries);
        let expected = changed.iter().map(|(name, cause)| (*name, cause.as_str()));
        assert_eq!(told, expected.collect::<Vec<_>>());
        let audit = engine.store.audit();
        let fields = audit
            .iter()
            .filter(|entry| entry.cause.as_str().contains(':'));
        assert_eq!(fields.count(), 3);
        // Again, it finds nothing to do, and nobody waits any more.
        let commits = engine.store.commits();
        let again = process(&engine, &coupon(), Source::Webhook).await;
        assert!(self::told(&again).is_empty());
        assert_eq!(engine.store.commits(), commits);
        let key = CatalogKey::Coupon(StripeId::parse("HALF").unwrap());
        let waiting = engine.store.awaiting(&tenant(), &key).await.unwrap();
        assert_eq!(waiting, []);
    });
}

/// A trial counts nothing, and its plan is still the item that is worth most: where one has its amount
/// in another currency only, the record says that it needs Stripe, and the price settles it.
#[test]
fn r6_a_price_that_comes_late_decides_the_plan_of_a_trial() {
    let item = |id: &str, currency: &str, amount: u32| {
        let mut price = price(1);
        price["id"] = json!(id);
        price["currency"] = json!(currency);
        price["unit_amount"] = json!(amount);
        price["unit_amount_decimal"] = json!(amount.to_string());
        json!({ "id": format!("si_{id}"), "price": price, "quantity": 1 })
    };
    let trial = |items: &[Value]| {
        let object = json!({
            "id": "sub_1", "customer": "cus_1", "status": "trialing", "currency": "eur",
            "created": START, "items": { "has_more": false, "data": items },
        });
        event("evt_sub", "customer.subscription.created", &object)
    };
    let own = item("price_own", "eur", 1_900);
    let other = item("price_other", "usd", 3_300);
    let mut told = other["price"].clone();
    told["currency_options"] =
        json!({ "eur": { "unit_amount": 3_000, "unit_amount_decimal": "3000" } });
    let told = event("evt_price", "price.updated", &told);
    let plan = |engine: &TestEngine| {
        let contacts = engine.store.contacts();
        let rollup = contacts[0].accounts.values().next().unwrap();
        let plan = rollup.plan.as_ref().unwrap().price.to_string();
        let marks = (rollup.needs_refetch.len(), rollup.awaits.len());
        (plan, marks)
    };
    run(async {
        let engine = engine();
        process(
            &engine,
            &trial(&[own.clone(), other.clone()]),
            Source::Webhook,
        )
        .await;
        assert_eq!(plan(&engine), ("price_own".to_owned(), (1, 1)));
        process(&engine, &told, Source::Backfill).await;
        assert_eq!(plan(&engine), ("price_other".to_owned(), (0, 0)));
        // The plan of a single item is known, whatever it costs.
        let alone = self::engine();
        process(&alone, &trial(&[other]), Source::Webhook).await;
        assert_eq!(plan(&alone), ("price_other".to_owned(), (0, 1)));
    });
}

/// L13: events do not tell which products a coupon is for: where it may matter and nobody can be
/// asked, all of them is the guess, and the subscription is marked, in any order. What lists tell
/// settles it.
#[test]
fn l13_a_coupon_that_may_be_limited_is_a_guess() {
    let item = |product: &str, amount: u32| {
        let mut price = price(1);
        price["id"] = json!(format!("price_of_{product}"));
        price["product"] = json!(product);
        price["unit_amount"] = json!(amount);
        price["unit_amount_decimal"] = json!(amount.to_string());
        json!({ "id": format!("si_{product}"), "price": price, "quantity": 1 })
    };
    let half = json!({ "id": "HALF", "percent_off": 50, "duration": "forever" });
    let subscription = |source: Value| {
        let object = json!({
            "id": "sub_1", "customer": "cus_1", "status": "active", "currency": "usd",
            "created": START, "discounts": [{ "id": "di_1", "source": source }],
            "items": { "data": [item("base", 10_000), item("add_on", 5_000)] },
        });
        event("evt_sub", "customer.subscription.created", &object)
    };
    run(async {
        for coupon_of in [half, json!("HALF")] {
            let source = json!({ "type": "coupon", "coupon": coupon_of });
            let events = [subscription(source), coupon()];
            for order in [[0, 1], [1, 0]] {
                let engine = engine();
                for place in order {
                    process(&engine, &events[place], Source::Webhook).await;
                }
                assert_eq!(worth(&engine), [(7_500, true)]);
                // As if a list had told it.
                let object = json!({ "id": "HALF", "percent_off": 50, "duration": "forever",
                    "applies_to": { "products": ["add_on"] } });
                let told = event("evt_told", "coupon.updated", &object);
                process(&engine, &told, Source::Reconcile).await;
                assert_eq!(worth(&engine), [(12_500, false)]);
            }
        }
    });
}

/// Stripe's events have no tiers: a price without them changes nothing, and one with them does.
#[test]
fn a_tiered_price_is_awaited_until_its_tiers_are_there() {
    run(async {
        let engine = engine();
        let object = json!({
            "id": "sub_1", "customer": "cus_1", "status": "active", "currency": "usd",
            "created": START,
            "items": { "data": [{ "id": "si_1", "price": tiered(false), "quantity": 7 }] },
        });
        let subscription = event("evt_sub", "customer.subscription.created", &object);
        process(&engine, &subscription, Source::Webhook).await;
        let bare = event("evt_1", "price.created", &tiered(false));
        assert_eq!(process(&engine, &bare, Source::Webhook).await.len(), 1);
        assert_eq!(worth(&engine), [(0, true)]);
        let whole = event("evt_2", "price.updated", &tiered(true));
        let entries = process(&engine, &whole, Source::Backfill).await;
        assert_eq!(worth(&engine), [(7000, false)]);
        // What the history import finds is marked as such, so that nobody is written to.
        let outbox = entries.iter().flat_map(|entry| &entry.outbox);
        assert!(outbox.clone().count() > 1);
        for event in outbox {
            assert_eq!(event.detail.source, Source::Backfill);
        }
    });
}

/// Whoever no longer needs it does not wait for it, and one that moved is found where it is now.
#[test]
fn who_waits_follows_the_subscription() {
    run(async {
        let engine = engine();
        process(&engine, &discounted(0), Source::Webhook).await;
        process(&engine, &discounted(1), Source::Webhook).await;
        let ended = json!({
            "id": "sub_0", "customer": "cus_0", "status": "canceled", "currency": "usd",
            "created": START, "items": { "data": [] },
        });
        let ended = event("evt_end", "customer.subscription.deleted", &ended);
        process(&engine, &ended, Source::Webhook).await;
        let named = json!({ "id": "cus_1", "metadata": { "customer_id": "acme" } });
        let named = event("evt_named", "customer.created", &named);
        process(&engine, &named, Source::Webhook).await;
        let key = CatalogKey::Coupon(StripeId::parse("HALF").unwrap());
        let waiting = engine.store.awaiting(&tenant(), &key).await.unwrap();
        assert_eq!(waiting.len(), 1);
        let entries = process(&engine, &coupon(), Source::Webhook).await;
        assert_eq!(told(&entries), [("mrr_changed", "evt_coupon:acme")]);
        assert_eq!(worth(&engine), [(2900, false), (0, false)]);
    });
}

/// D5: the worker dies after the coupon is there and before it looked who waits: the next delivery
/// does.
#[test]
fn d5_a_redelivery_does_what_the_first_one_did_not() {
    run(async {
        let engine = engine();
        process(&engine, &discounted(0), Source::Webhook).await;
        let (tenant, coupon) = (tenant(), coupon());
        let late = Deadline::after(Duration::ZERO);
        let died = engine.process(&tenant, &coupon, Source::Webhook, late);
        assert!(matches!(died.await, Err(ProcessError::Busy)));
        assert_eq!(worth(&engine), [(5800, true)]);
        let soon = Deadline::after(Duration::from_secs(60));
        let again = engine.process(&tenant, &coupon, Source::Webhook, soon);
        let again = again.await.unwrap();
        assert!(matches!(again.done, Done::Duplicate(_)));
        assert_eq!(told(&again.released), [("mrr_changed", "evt_coupon:cus_0")]);
        assert_eq!(worth(&engine), [(2900, false)]);
    });
}

/// D2, D7: in any order, by several workers at once over torn reads, twice: always the same.
#[test]
fn d2_d7_in_any_order_by_workers_at_once_it_comes_to_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    for seed in 0..300 {
        let engine = torn_engine();
        let bus = MemoryBus::default();
        let mut events: Vec<String> = (0..3).map(discounted).collect();
        events.push(coupon());
        let events = shuffled(&events, seed, 3);
        runtime.block_on(async {
            let workers = (0..4).map(|worker| {
                let own = events.iter().skip(worker).step_by(4);
                let (engine, bus) = (&engine, &bus);
                async move {
                    for event in own {
                        crate::common::feed(engine, bus, event).await;
                    }
                }
            });
            futures::future::join_all(workers).await;
        });
        assert_eq!(worth(&engine), [(2900, false); 3], "seed {seed}");
    }
}
