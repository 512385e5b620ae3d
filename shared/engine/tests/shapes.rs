//! Amounts in other currencies, which Stripe tells only if it is asked, and ids that people chose.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use paygraph_domain::settings::Settings;
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::process::Engine;
use paygraph_engine::run::Job;
use paygraph_stripe::client::Connections;
use paygraph_testkit::fake_stripe::{Config, FakeStripe};
use serde_json::{Value, json};

use crate::common::{soon, tell};
use crate::runs::stack::{Stack, whole};
use crate::stripe_api::{OneTenant, connections};

const START: i64 = 1_790_000_000;
const CHANGED: &str = "customer.subscription.updated";

type TestEngine = Engine<MemoryStore, StoppedClock, Connections<OneTenant>>;

async fn holding(objects: &[Value]) -> FakeStripe {
    let stripe = FakeStripe::start(Config::default().unlimited())
        .await
        .unwrap();
    for object in objects {
        assert!(stripe.put(object.clone()), "{object}");
    }
    stripe
}

fn engine(stripe: &FakeStripe) -> TestEngine {
    Engine {
        store: MemoryStore::new(Settings::example().unwrap()).keeping_history(),
        clock: StoppedClock::default(),
        livemode: false,
        fetch: connections(stripe),
    }
}

async fn feed(engine: &TestEngine, id: &str, kind: &str, object: &Value) {
    tell(engine, soon(), (id, kind, START + 10), object).await;
}

/// MRR, and whether a fetch is still needed.
fn worth(store: &MemoryStore) -> (Value, bool) {
    let contact = store.contacts().remove(0);
    let marked = contact.accounts.values();
    let marked = marked
        .map(|rollup| rollup.needs_refetch.len())
        .sum::<usize>();
    let mrr = contact.billing(&Settings::example().unwrap()).mrr;
    (json!(mrr), marked > 0)
}

fn customer() -> Value {
    json!({ "id": "cus_1", "object": "customer", "created": START, "name": "Example Ltd",
        "email": null, "discount": null, "metadata": {}, "default_source": null,
        "invoice_settings": { "default_payment_method": null } })
}

/// $20.00 or 18.00 EUR a month, as Stripe holds it.
fn price(id: &str) -> Value {
    json!({ "id": id, "object": "price", "active": true, "created": START,
        "billing_scheme": "per_unit", "currency": "usd", "product": "prod_1", "type": "recurring",
        "unit_amount": 2_000, "unit_amount_decimal": "2000",
        "currency_options": { "usd": { "unit_amount": 2_000 }, "eur": { "unit_amount": 1_800 } },
        "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" } })
}

/// $5.00 or 4.50 EUR off each invoice, as Stripe holds it.
fn coupon(id: &str) -> Value {
    json!({ "id": id, "object": "coupon", "created": START, "amount_off": 500, "currency": "usd",
        "currency_options": { "usd": { "amount_off": 500 }, "eur": { "amount_off": 450 } },
        "duration": "forever", "valid": true })
}

/// As an event shows it: without its options.
fn bare(mut object: Value) -> Value {
    object.as_object_mut().unwrap().remove("currency_options");
    object
}

fn discount(coupon: &Value) -> Value {
    json!({ "id": "di_1", "object": "discount", "source": { "type": "coupon", "coupon": coupon } })
}

fn subscription(price: &Value) -> Value {
    json!({ "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active",
        "currency": "eur", "created": START, "discounts": [],
        "items": { "object": "list", "has_more": false, "data": [
            { "id": "si_1", "object": "subscription_item", "price": price, "quantity": 1,
              "discounts": [] } ] } })
}

#[tokio::test]
async fn r6_currency_options_are_asked_for() {
    let price = price("price_1");
    let stripe = holding(&[customer(), price.clone(), subscription(&price)]).await;
    let engine = engine(&stripe);
    feed(&engine, "evt_1", CHANGED, &subscription(&bare(price))).await;
    assert_eq!(worth(&engine.store), (json!({ "eur": 1_800 }), false));
    // The customer and the subscription, once each.
    assert_eq!(stripe.stats().requests, 2);
}

/// A price's own event brings its options into the catalog: subscriptions need no more requests.
#[tokio::test]
async fn r6_a_price_in_the_catalog_knows_its_options_and_their_changes() {
    let id = "Gold Plan #2/b";
    let mut known = price(id);
    let stripe = holding(&[customer(), known.clone(), subscription(&known)]).await;
    let engine = engine(&stripe);
    feed(&engine, "evt_1", "price.created", &bare(known.clone())).await;
    assert_eq!(stripe.stats().requests, 1);
    feed(
        &engine,
        "evt_2",
        CHANGED,
        &subscription(&bare(known.clone())),
    )
    .await;
    assert_eq!(worth(&engine.store), (json!({ "eur": 1_800 }), false));
    assert_eq!(stripe.stats().requests, 2, "only the customer");
    known["currency_options"]["eur"]["unit_amount"] = json!(1_900);
    // Stripe's answers have whole seconds: of two in one second nobody can tell the later.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    stripe.put(known.clone());
    feed(&engine, "evt_3", "price.updated", &bare(known.clone())).await;
    assert_eq!(stripe.stats().requests, 3);
    feed(&engine, "evt_4", CHANGED, &subscription(&bare(known))).await;
    assert_eq!(worth(&engine.store), (json!({ "eur": 1_900 }), false));
    assert_eq!(stripe.stats().requests, 3);
}

#[tokio::test]
async fn r7_a_coupons_options_are_asked_for() {
    let euro = json!({ "currency": "eur" });
    let mut in_euro = bare(price("price_1"));
    in_euro["currency"] = euro["currency"].clone();
    for (on_item, id) in [
        (false, "FIVE"),
        (true, "FIVE"),
        (false, "5 OFF#1"),
        (true, "5/OFF"),
    ] {
        let shown = |coupon: &Value| {
            let mut subscription = subscription(&in_euro);
            if on_item {
                subscription["items"]["data"][0]["discounts"] = json!([discount(coupon)]);
            } else {
                subscription["discounts"] = json!([discount(coupon)]);
            }
            subscription
        };
        let coupon = coupon(id);
        let stripe = holding(&[customer(), coupon.clone(), shown(&coupon)]).await;
        let engine = engine(&stripe);
        feed(&engine, "evt_1", CHANGED, &shown(&bare(coupon))).await;
        // The coupon of an item lies five levels deep: it is asked for by itself.
        let expected = (json!({ "eur": 1_550 }), false);
        assert_eq!(worth(&engine.store), expected, "{id} {on_item}");
        assert_eq!(
            stripe.stats().requests,
            2 + u64::from(on_item),
            "{id} {on_item}"
        );
    }
}

/// Without Stripe's answer nothing is guessed, and an import or comparison puts it right.
#[tokio::test]
async fn r6_r7_an_import_and_a_comparison_know_currency_options() {
    let (price, coupon) = (price("Old Plan"), coupon("LAUNCH#1"));
    let whole_subscription = |price: &Value, coupon: &Value| {
        let mut subscription = subscription(price);
        subscription["discounts"] = json!([discount(coupon)]);
        subscription
    };
    let objects = [
        customer(),
        price.clone(),
        coupon.clone(),
        whole_subscription(&price, &coupon),
    ];
    let stripe = holding(&objects).await;
    let stack = Stack::new(&stripe);
    stack.run(Job::Backfill, whole()).await;
    assert_eq!(worth(&stack.engine.store), (json!({ "eur": 1_350 }), false));
    let stack = Stack::new(&stripe);
    let event = json!({ "id": "evt_1", "type": CHANGED, "created": START + 10, "livemode": false,
        "data": { "object": whole_subscription(&bare(price), &bare(coupon)) } });
    let alone = Engine::alone(stack.engine.store.clone(), stack.engine.clock);
    let tenant = crate::common::tenant();
    let source = paygraph_domain::fact::Source::Webhook;
    alone
        .process(&tenant, &event.to_string(), source, soon())
        .await
        .unwrap();
    assert_eq!(worth(&stack.engine.store), (json!({}), true));
    stack.run(Job::Reconcile, whole()).await;
    assert_eq!(worth(&stack.engine.store), (json!({ "eur": 1_350 }), false));
}
