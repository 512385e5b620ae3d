//! What Stripe's objects tell only to whom asks for it: the products that a coupon is for, what was
//! bought, the lines of a long invoice. No event has it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

use std::time::{Duration, Instant};

use futures::future::join_all;
use paygraph_domain::id::StripeId;
use paygraph_domain::objects::catalog::Limit;
use paygraph_domain::settings::Settings;
use paygraph_engine::Deadline;
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::process::Engine;
use paygraph_engine::run::Job;
use paygraph_stripe::client::Connections;
use paygraph_testkit::fake_stripe::{Config, FakeStripe, Fault, FaultKind};
use serde_json::{Value, json};

use crate::common::{soon, tell};
use crate::runs::stack::{Stack, whole};
use crate::stripe_api::{OneTenant, connections, default};

const START: i64 = 1_790_000_000;
/// A price of the example settings that is kept for good, and its product, which is one too.
const FOUNDER: [&str; 2] = ["price_1ScfRCChUUSEbzyhhCiqFmUB", "prod_TZp5ecvCkxHcQh"];

type TestEngine = Engine<MemoryStore, StoppedClock, Connections<OneTenant>>;

async fn stripe() -> FakeStripe {
    let config = Config::default().unlimited();
    FakeStripe::start(config).await.unwrap()
}

fn engine(stripe: &FakeStripe) -> TestEngine {
    engine_with(stripe, Settings::example().unwrap())
}

fn engine_with(stripe: &FakeStripe, settings: Settings) -> TestEngine {
    Engine {
        store: MemoryStore::new(settings).keeping_history(),
        clock: StoppedClock::default(),
        livemode: false,
        fetch: connections(stripe),
    }
}

async fn feed(engine: &TestEngine, id: &str, kind: &str, t: i64, object: &Value) {
    tell(engine, soon(), (id, kind, t), object).await;
}

fn customer(id: &str) -> Value {
    json!({ "id": id, "object": "customer", "created": START, "name": "Example Ltd",
        "email": null, "discount": null, "metadata": {},
        "invoice_settings": { "default_payment_method": null } })
}

fn price(id: &str, product: &str, amount: i64) -> Value {
    json!({
        "id": id, "object": "price", "active": true, "billing_scheme": "per_unit",
        "currency": "usd", "product": product, "type": "recurring", "unit_amount": amount,
        "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
    })
}

/// Half off forever, for these products or for all, as Stripe holds it.
fn coupon(products: Option<&[&str]>) -> Value {
    let mut coupon = json!({ "id": "HALF", "object": "coupon", "created": START,
        "percent_off": 50, "duration": "forever", "valid": true });
    if let Some(products) = products {
        coupon["applies_to"] = json!({ "products": products });
    }
    coupon
}

/// The same as an event, or an answer that was not asked for it, shows it.
fn bare() -> Value {
    coupon(None)
}

/// $100 for the base and $50 for the add-on, with that coupon.
fn subscription(coupon: &Value) -> Value {
    let item = |id: &str, price: Value| {
        json!({ "id": id, "object": "subscription_item", "price": price, "quantity": 1,
            "discounts": [] })
    };
    json!({
        "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active",
        "currency": "usd", "created": START,
        "discounts": [{ "id": "di_1", "object": "discount",
            "source": { "type": "coupon", "coupon": coupon } }],
        "items": { "object": "list", "has_more": false, "data": [
            item("si_1", price("price_base", "prod_base", 10_000)),
            item("si_2", price("price_add_on", "prod_add_on", 5_000)),
        ] },
    })
}

/// The subscription as events show it: with its discount whole but for the products, or by its id.
fn shown(whole: bool) -> Value {
    let mut subscription = subscription(&bare());
    if !whole {
        subscription["discounts"] = json!(["di_1"]);
    }
    subscription
}

async fn holding(coupon: &Value) -> FakeStripe {
    let stripe = stripe().await;
    for object in [customer("cus_1"), coupon.clone(), subscription(coupon)] {
        assert!(stripe.put(object));
    }
    stripe
}

/// MRR in cents, and whether a fetch is still needed.
fn worth(store: &MemoryStore) -> (i64, bool) {
    let contact = store.contacts().remove(0);
    let marked = contact.accounts.values();
    let marked = marked
        .map(|rollup| rollup.needs_refetch.len())
        .sum::<usize>()
        > 0;
    let mrr = contact.billing(&Settings::example().unwrap()).mrr;
    (mrr.iter().map(|(_, minor)| minor).sum(), marked)
}

const CHANGED: &str = "customer.subscription.updated";

/// L13: half off the add-on only: $100 and $25. The event does not tell, so Stripe is asked.
#[tokio::test]
async fn l13_the_products_of_a_coupon_are_asked_for() {
    for (products, mrr) in [
        (Some(["prod_add_on"].as_slice()), 12_500),
        (Some(["prod_base", "prod_add_on"].as_slice()), 7_500),
        (Some(["prod_other"].as_slice()), 15_000),
        (None, 7_500),
    ] {
        for whole in [true, false] {
            let stripe = holding(&coupon(products)).await;
            let engine = engine(&stripe);
            feed(&engine, "evt_1", CHANGED, START + 10, &shown(whole)).await;
            assert_eq!(worth(&engine.store), (mrr, false), "{products:?} {whole}");
            // The customer and the subscription, once each.
            assert_eq!(stripe.stats().requests, 2);
            if whole {
                // A newer event, from after the answer, tells as little: what is known stays.
                let later = crate::runs::stack::now() + 60;
                let mut newer = shown(true);
                newer["items"]["data"][0]["quantity"] = json!(1);
                newer["metadata"] = json!({ "a": "b" });
                feed(&engine, "evt_2", CHANGED, later, &newer).await;
                assert_eq!(worth(&engine.store), (mrr, false), "{products:?}");
                assert_eq!(stripe.stats().requests, 2);
            }
        }
    }
}

/// L13: a coupon's own event does not tell its products either: they are asked for once, and no
/// later event wipes them.
#[tokio::test]
async fn l13_a_coupon_in_the_catalog_knows_its_products() {
    let products: &[&str] = &["prod_add_on"];
    let stripe = holding(&coupon(Some(products))).await;
    let engine = engine(&stripe);
    feed(&engine, "evt_1", "coupon.created", START, &bare()).await;
    let id = StripeId::parse("HALF").unwrap();
    let limit = [StripeId::parse("prod_add_on").unwrap()];
    let known = || engine.store.whole_catalog(&default()).coupons[&id].clone();
    assert_eq!(known().limit(), Limit::To(&limit));
    assert_eq!(stripe.stats().requests, 1);
    let mut renamed = bare();
    renamed["name"] = json!("Half");
    let later = crate::runs::stack::now() + 60;
    feed(&engine, "evt_2", "coupon.updated", later, &renamed).await;
    assert_eq!(known().name.as_deref(), Some("Half"));
    assert_eq!(known().limit(), Limit::To(&limit));
    feed(&engine, "evt_0", "coupon.updated", START - 5, &bare()).await;
    assert_eq!(known().limit(), Limit::To(&limit));
    assert_eq!(stripe.stats().requests, 1);
    // The subscription needs nothing but its customer.
    feed(&engine, "evt_3", CHANGED, START + 10, &shown(true)).await;
    assert_eq!(worth(&engine.store), (12_500, false));
    assert_eq!(stripe.stats().requests, 2);
}

/// L13: an import lists coupons with their products, and subscriptions without.
#[tokio::test]
async fn l13_an_import_knows_the_products_of_coupons() {
    for (products, mrr) in [(Some(["prod_add_on"].as_slice()), 12_500), (None, 7_500)] {
        let stripe = holding(&coupon(products)).await;
        let stack = Stack::new(&stripe);
        stack.run(Job::Backfill, whole()).await;
        assert_eq!(worth(&stack.engine.store), (mrr, false), "{products:?}");
        let asked = stripe.stats().requests;
        stack.run(Job::Backfill, whole()).await;
        assert_eq!(worth(&stack.engine.store), (mrr, false), "{products:?}");
        assert_eq!(stripe.stats().requests - asked, asked, "nothing by its id");
    }
}

/// A session in payment mode, as Stripe holds it.
fn session([price, product]: [&str; 2]) -> Value {
    json!({
        "id": "cs_1", "object": "checkout.session", "customer": "cus_1", "mode": "payment",
        "status": "complete", "payment_status": "paid", "currency": "usd", "amount_total": 49_900,
        "client_reference_id": null, "metadata": {}, "created": START, "invoice": null,
        "subscription": null, "payment_intent": "pi_1",
        "line_items": { "object": "list", "has_more": false, "data": [
            { "id": "li_1", "object": "item", "quantity": 1,
              "price": { "id": price, "object": "price", "product": product } } ] },
    })
}

fn tier(store: &MemoryStore) -> String {
    let contact = store.contacts().remove(0);
    contact.billing(&Settings::example().unwrap()).tier
}

const BOUGHT: &str = "checkout.session.completed";

/// L11: a session's event does not tell what was bought: Stripe is asked, if anything is sold for
/// good.
#[tokio::test]
async fn l11_what_a_session_bought_is_asked_for() {
    for bought in [FOUNDER, ["price_other", FOUNDER[1]], ["price_x", "prod_x"]] {
        let stripe = stripe().await;
        stripe.put(customer("cus_1"));
        let event = stripe.own().happen(BOUGHT, session(bought)).unwrap();
        let object = &event["data"]["object"];
        assert_eq!(object.get("line_items"), None, "no event has them");
        let engine = engine(&stripe);
        feed(&engine, "evt_1", BOUGHT, START + 10, object).await;
        let expected = if bought[1] == FOUNDER[1] {
            "founder"
        } else {
            "free"
        };
        assert_eq!(tier(&engine.store), expected, "{bought:?}");
        assert_eq!(stripe.stats().requests, 2);
        // Paid once, whatever was asked.
        let totals = engine.store.contacts()[0]
            .accounts
            .values()
            .next()
            .unwrap()
            .totals
            .clone();
        assert_eq!(
            totals
                .lifetime_value()
                .iter()
                .map(|(_, minor)| minor)
                .sum::<i64>(),
            49_900
        );
    }
    let stripe = stripe().await;
    stripe.put(customer("cus_1"));
    stripe.put(session(FOUNDER));
    let mut settings = Settings::example().unwrap();
    settings.prices.retain(|_, of| !of.lifetime);
    settings.products.retain(|_, of| !of.lifetime);
    let engine = engine_with(&stripe, settings);
    let mut object = session(FOUNDER);
    object.as_object_mut().unwrap().remove("line_items");
    feed(&engine, "evt_1", BOUGHT, START + 10, &object).await;
    assert_eq!(stripe.stats().requests, 1, "only who it is");
}

/// L11: the answer may be from the very second of the event.
#[tokio::test]
async fn l11_what_a_session_bought_is_asked_for_at_once() {
    let stripe = stripe().await;
    stripe.put(customer("cus_1"));
    stripe.put(session(FOUNDER));
    let mut object = session(FOUNDER);
    object.as_object_mut().unwrap().remove("line_items");
    let engine = engine(&stripe);
    feed(&engine, "evt_1", BOUGHT, crate::runs::stack::now(), &object).await;
    assert_eq!(tier(&engine.store), "founder");
    assert_eq!(stripe.stats().requests, 2);
}

/// L11: an import reads what sessions bought with them.
#[tokio::test]
async fn l11_an_import_knows_what_sessions_bought() {
    let stripe = stripe().await;
    stripe.put(customer("cus_1"));
    stripe.put(session(FOUNDER));
    let stack = Stack::new(&stripe);
    stack.run(Job::Backfill, whole()).await;
    assert_eq!(tier(&stack.engine.store), "founder");
}

fn incomplete(n: usize) -> Value {
    let mut subscription = shown(false);
    subscription["id"] = json!(format!("sub_{n}"));
    subscription["customer"] = json!(format!("cus_{n}"));
    subscription
}

/// N8: a Stripe that does not answer is waited for once, not once for each message.
#[tokio::test]
async fn n8_a_stripe_that_is_away_costs_a_batch_one_patience() {
    let patience = Duration::from_secs(2);
    let stripe = stripe().await;
    for n in 0..8 {
        stripe.put(customer(&format!("cus_{n}")));
    }
    let mut engine = engine(&stripe);
    engine.fetch = connections(&stripe).patient_for(patience);
    stripe.faults([Fault::share(100, "/v1", FaultKind::Broken)]);
    let begun = Instant::now();
    // As a worker does: customers side by side, and each one's events in order.
    let each = (0..8).map(|n| {
        let engine = &engine;
        async move {
            for k in 0..4 {
                let id = format!("evt_{n}_{k}");
                feed(engine, &id, CHANGED, START + k, &incomplete(n)).await;
            }
        }
    });
    join_all(each).await;
    let took = begun.elapsed();
    assert!(took < patience + patience / 2, "{took:?}");
    for contact in engine.store.contacts() {
        let mut marked = contact.accounts.values();
        assert!(marked.all(|rollup| rollup.needs_refetch.len() == 1));
    }
    // It is left alone for a while, and asked again once it has answered anybody.
    stripe.faults([]);
    stripe.reset_stats();
    feed(&engine, "evt_left", CHANGED, START + 20, &incomplete(0)).await;
    assert_eq!(stripe.stats().requests, 0);
    let client = engine.fetch.client(&default()).await.unwrap().unwrap();
    client.get("/customers/cus_0", &[]).await.unwrap();
    feed(&engine, "evt_again", CHANGED, START + 30, &incomplete(0)).await;
    assert!(stripe.stats().requests > 1);
}

/// N8: no fetch is begun that would outlast the message.
#[tokio::test]
async fn n8_no_fetch_is_begun_without_the_time_for_it() {
    for (seconds, requests) in [(12, 0), (60, 2)] {
        let stripe = holding(&coupon(None)).await;
        let engine = engine(&stripe);
        let deadline = Deadline::after(Duration::from_secs(seconds));
        let object = shown(false);
        tell(&engine, deadline, ("evt_1", CHANGED, START), &object).await;
        assert_eq!(stripe.stats().requests, requests);
        assert_eq!(worth(&engine.store).1, requests == 0, "it is marked");
    }
}

fn invoice(lines: usize, status: &str) -> Value {
    let line = |n: usize| {
        json!({ "id": format!("il_{n:03}"), "object": "line_item", "amount": 100, "quantity": 1,
            "pricing": { "price_details": { "price": "price_x", "product": "prod_x" } },
            "period": { "start": START, "end": START } })
    };
    json!({
        "id": "in_1", "object": "invoice", "customer": "cus_1", "status": status,
        "currency": "usd", "amount_due": 1_200, "amount_paid": 0, "total": 1_200, "created": START,
        "attempt_count": 0, "next_payment_attempt": START + 3_600,
        "collection_method": "charge_automatically", "billing_reason": "manual",
        "status_transitions": { "paid_at": null },
        "lines": { "object": "list", "has_more": false,
            "data": (0..lines).map(line).collect::<Vec<_>>() },
    })
}

fn cut(mut invoice: Value) -> Value {
    let lines = invoice["lines"]["data"].as_array_mut().unwrap();
    lines.truncate(10);
    invoice["lines"]["has_more"] = json!(true);
    invoice
}

/// L14: an event shows ten lines of an invoice: the others are asked for once it is no draft any
/// more, up to those that are kept.
#[tokio::test]
async fn l14_the_lines_that_an_event_lacks_are_fetched() {
    for (lines, kept) in [(12, 12), (130, 100)] {
        let stripe = stripe().await;
        stripe.put(customer("cus_1"));
        stripe.put(invoice(lines, "open"));
        let engine = engine(&stripe);
        let count = || {
            let (.., beside) = engine.store.accounts().remove(0);
            let beside = json!(beside);
            let text = beside.to_string();
            text.matches("\"il_").count()
        };
        let draft = cut(invoice(lines, "draft"));
        feed(&engine, "evt_1", "invoice.created", START, &draft).await;
        assert_eq!((count(), stripe.stats().requests), (10, 1));
        let open = cut(invoice(lines, "open"));
        feed(&engine, "evt_2", "invoice.finalized", START + 10, &open).await;
        assert_eq!(count(), kept);
        let asked = stripe.stats().requests;
        let mut paid = cut(invoice(lines, "paid"));
        paid["amount_paid"] = json!(1_200);
        let later = crate::runs::stack::now() + 60;
        feed(&engine, "evt_3", "invoice.paid", later, &paid).await;
        assert_eq!((count(), stripe.stats().requests), (kept, asked));
    }
}
