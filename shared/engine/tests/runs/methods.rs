//! Payment methods that a comparison asks for by customer, and by their ids.

use paygraph_engine::run::{Job, Outcome, Scope};
use paygraph_testkit::fake_stripe::FakeStripe;
use serde_json::{Value, json};

use super::leaks::{priced, subscription};
use super::stack::{START, Stack, billing, empty, whole};

fn method(id: &str, customer: Option<&str>, last4: &str) -> Value {
    json!({ "id": id, "object": "payment_method", "type": "card", "created": START,
        "customer": customer,
        "card": { "brand": "visa", "last4": last4, "exp_month": 1, "exp_year": 2034 } })
}

async fn connected() -> (FakeStripe, Stack) {
    let stripe = empty().await;
    let stack = Stack::new(&stripe);
    for object in [
        json!({ "id": "cus_sub_1", "object": "customer", "created": START,
            "invoice_settings": {}, "metadata": {} }),
        subscription("sub_1", &priced("price_small", 2_900), "active"),
    ] {
        stripe.put(object);
    }
    stack.run(Job::Backfill, whole()).await;
    (stripe, stack)
}

async fn attached(stack: &Stack, n: usize, method: &Value) {
    let event = json!({ "id": format!("evt_{n}"), "type": "payment_method.attached",
        "created": START + 10, "livemode": false, "data": { "object": method } });
    stack.deliver([&event.to_string()]).await;
}

fn on_file(stack: &Stack) -> Value {
    billing(&stack.engine.store.contacts()[0])["payment_method"].take()
}

/// T7: `payment_method.detached` was lost. The next comparison heals it, a nightly one too: the
/// method decides whether one is on file, and is asked for by its id.
#[tokio::test]
async fn t7_a_lost_detached_is_healed() {
    for recent in [true, false] {
        let (stripe, stack) = connected().await;
        let card = method("pm_1", Some("cus_sub_1"), "4242");
        stripe.put(card.clone());
        attached(&stack, 1, &card).await;
        assert_eq!(on_file(&stack)["on_file"], true);
        stripe.put(method("pm_1", None, "4242"));
        let scope = Scope { recent, ..whole() };
        let (_, drift) = stack.run(Job::Reconcile, scope.clone()).await;
        let healed: Vec<_> = drift
            .iter()
            .map(|of| (of.object.as_str(), of.outcome))
            .collect();
        assert_eq!(healed, [("pm_1", Outcome::Healed)], "recent {recent}");
        assert_eq!(on_file(&stack)["on_file"], false);
        let (run, drift) = stack.run(Job::Reconcile, scope).await;
        assert_eq!((drift.len(), run.counts.differed), (0, 0));
    }
}

/// T7: a customer was deleted, and the end of its card was lost. It has none on file, by the event and
/// by the comparison alone, and the next comparison finds nothing.
#[tokio::test]
async fn t7_a_deleted_customer_has_no_method_on_file() {
    for is_told in [true, false] {
        let (stripe, stack) = connected().await;
        let card = json!({ "id": "card_1", "object": "card", "customer": "cus_sub_1",
            "brand": "Visa", "last4": "4242", "exp_month": 1, "exp_year": 2034 });
        let created = json!({ "id": "evt_1", "type": "customer.source.created",
            "created": START + 10, "livemode": false, "data": { "object": card } });
        stack.deliver([&created.to_string()]).await;
        attached(&stack, 2, &method("pm_1", Some("cus_sub_1"), "1881")).await;
        assert_eq!(on_file(&stack)["on_file"], true);
        let gone = json!({ "id": "cus_sub_1", "object": "customer", "deleted": true });
        stripe.put(gone.clone());
        stripe.put(method("pm_1", None, "1881"));
        stripe.put(subscription(
            "sub_1",
            &priced("price_small", 2_900),
            "canceled",
        ));
        if is_told {
            let deleted = json!({ "id": "evt_3", "type": "customer.deleted",
                "created": START + 20, "livemode": false, "data": { "object": gone } });
            stack.deliver([&deleted.to_string()]).await;
            assert_eq!(on_file(&stack)["on_file"], false);
        }
        stack.run(Job::Reconcile, whole()).await;
        assert_eq!(on_file(&stack)["on_file"], false, "told {is_told}");
        let (run, drift) = stack.run(Job::Reconcile, whole()).await;
        assert_eq!((drift.len(), run.counts.differed), (0, 0));
    }
}

/// T7: an attached method and a change of a card that no event told are found too: brand, last four
/// digits and expiry are Stripe's.
#[tokio::test]
async fn t7_a_lost_attached_is_healed() {
    let (stripe, stack) = connected().await;
    stripe.put(method("pm_1", Some("cus_sub_1"), "4242"));
    // An import asks for no methods by customer, so that a new one is no difference.
    let (run, drift) = stack.run(Job::Reconcile, whole()).await;
    assert_eq!(drift, []);
    assert_eq!(
        run.counts.objects[&paygraph_engine::run::Kind::PaymentMethods],
        1
    );
    assert_eq!(on_file(&stack)["last4"], "4242");
    let mut changed = method("pm_1", Some("cus_sub_1"), "1881");
    changed["card"]["exp_year"] = json!(2039);
    stripe.put(changed);
    stack.run(Job::Reconcile, whole()).await;
    let shown = on_file(&stack);
    assert_eq!(
        (&shown["last4"], &shown["exp_year"]),
        (&json!("1881"), &json!(2039))
    );
}

/// T7: no event told of a subscription, nor of its customer's payment method. One comparison has both,
/// and the second one has nothing to do.
#[tokio::test]
async fn t7_a_subscriber_that_no_event_told_of_has_its_methods() {
    let stripe = empty().await;
    let stack = Stack::new(&stripe);
    stripe.put(
        json!({ "id": "cus_sub_1", "object": "customer", "created": START,
        "invoice_settings": {}, "metadata": {} }),
    );
    stack.run(Job::Backfill, whole()).await;
    for object in [
        subscription("sub_1", &priced("price_small", 2_900), "active"),
        method("pm_1", Some("cus_sub_1"), "4242"),
    ] {
        stripe.put(object);
    }
    stack.run(Job::Reconcile, whole()).await;
    assert_eq!(on_file(&stack)["last4"], "4242");
    let commits = stack.commits();
    stack.run(Job::Reconcile, whole()).await;
    assert_eq!(stack.commits(), commits);
}

/// T7: a change of an old card is asked for by its id, as the payment method that it also is.
#[tokio::test]
async fn t7_a_lost_change_of_an_old_card_is_healed() {
    let stripe = empty().await;
    let stack = Stack::new(&stripe);
    let card = |year: u64| {
        json!({ "id": "card_1", "object": "card", "brand": "Visa", "last4": "4242",
            "customer": "cus_sub_1", "exp_month": 1, "exp_year": year })
    };
    for object in [
        json!({ "id": "cus_sub_1", "object": "customer", "created": START, "metadata": {},
            "invoice_settings": {}, "default_source": "card_1" }),
        card(2034),
    ] {
        stripe.put(object);
    }
    stack.run(Job::Backfill, whole()).await;
    // Stripe's answers have whole seconds: of two in one second nobody can tell the later.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    stripe.put(card(2039));
    let (_, drift) = stack.run(Job::Reconcile, whole()).await;
    assert_eq!(drift.len(), 1);
    assert_eq!(on_file(&stack)["exp_year"], 2039);
    let (run, drift) = stack.run(Job::Reconcile, whole()).await;
    assert_eq!((drift.len(), run.counts.differed), (0, 0));
}

/// T7: Stripe has no default source any more, so the card of the time before payment methods is
/// gone, although `customer.source.deleted` was lost.
#[tokio::test]
async fn t7_a_lost_removal_of_an_old_card_is_healed() {
    let (stripe, stack) = connected().await;
    let event = |n: i64, kind: &str, object: Value| {
        json!({ "id": format!("evt_{n}"), "type": kind, "created": START + n, "livemode": false,
            "data": { "object": object } })
        .to_string()
    };
    let card = json!({ "id": "card_1", "object": "card", "brand": "Visa", "last4": "4242",
        "customer": "cus_sub_1", "exp_month": 1, "exp_year": 2034 });
    let customer = |source: Value| {
        json!({ "id": "cus_sub_1", "object": "customer", "created": START, "metadata": {},
            "invoice_settings": { "default_payment_method": null }, "default_source": source })
    };
    let told = [
        event(1, "customer.source.created", card),
        event(2, "customer.updated", customer(json!("card_1"))),
    ];
    stack.deliver(&told).await;
    assert_eq!(on_file(&stack)["last4"], "4242");
    stripe.put(customer(Value::Null));
    stack.run(Job::Reconcile, whole()).await;
    assert_eq!(on_file(&stack)["on_file"], false);
}

/// T7: the same within one second: the customer is without a default at its end, and no comparison can
/// find that it differs.
#[tokio::test]
async fn t7_a_lost_removal_of_an_old_card_in_the_second_of_its_creation() {
    let (stripe, stack) = connected().await;
    let event = |id: &str, kind: &str, object: &Value| {
        json!({ "id": id, "type": kind, "created": START + 1, "livemode": false,
            "data": { "object": object } })
        .to_string()
    };
    let card = json!({ "id": "card_1", "object": "card", "brand": "Visa", "last4": "4242",
        "customer": "cus_sub_1", "exp_month": 1, "exp_year": 2034 });
    let customer = json!({ "id": "cus_sub_1", "object": "customer", "created": START,
        "name": "New", "invoice_settings": {}, "metadata": {}, "default_source": null });
    stripe.put(customer.clone());
    let told = [
        event("evt_1", "customer.source.created", &card),
        event("evt_2", "customer.updated", &customer),
    ];
    stack.deliver(&told).await;
    stack.run(Job::Reconcile, whole()).await;
    assert_eq!(on_file(&stack)["on_file"], false);
}

/// An import asks for the payment methods of a customer with a live subscription if the lists have
/// told of none.
#[tokio::test]
async fn t7_an_import_has_the_methods_of_subscribers() {
    let stripe = empty().await;
    let stack = Stack::new(&stripe);
    let customer = |id: &str| {
        json!({ "id": id, "object": "customer", "created": START,
            "invoice_settings": {}, "metadata": {} })
    };
    for object in [
        customer("cus_sub_1"),
        subscription("sub_1", &priced("price_small", 2_900), "active"),
        method("pm_1", Some("cus_sub_1"), "4242"),
        customer("cus_sub_2"),
        subscription("sub_2", &priced("price_small", 2_900), "canceled"),
        method("pm_2", Some("cus_sub_2"), "1881"),
    ] {
        stripe.put(object);
    }
    let (run, _) = stack.run(Job::Backfill, whole()).await;
    let methods = paygraph_engine::run::Kind::PaymentMethods;
    assert_eq!(run.counts.objects[&methods], 1);
    let contacts = stack.engine.store.contacts();
    let on_file: Vec<_> = contacts
        .iter()
        .map(|contact| billing(contact)["payment_method"]["last4"].take())
        .collect();
    assert_eq!(on_file, [json!("4242"), Value::Null]);
}

/// T7: nightly comparisons ask for each customer's methods once a week.
#[tokio::test]
async fn t7_nightly_comparisons_come_round_in_a_week() {
    let (stripe, stack) = connected().await;
    stripe.put(method("pm_1", Some("cus_sub_1"), "4242"));
    let (mut asked, mut found) = (0, Vec::new());
    for day in 0..7 {
        let mut run = stack.begin(
            Job::Reconcile,
            Scope {
                recent: true,
                ..whole()
            },
        );
        run.started_at = run.started_at.plus(-day * 86_400);
        stack.go_on(&mut run).await.unwrap();
        let methods = run
            .counts
            .objects
            .get(&paygraph_engine::run::Kind::PaymentMethods);
        asked += methods.copied().unwrap_or(0);
        found.push(on_file(&stack)["on_file"].clone());
    }
    assert_eq!(asked, 1);
    assert_eq!(found.last(), Some(&json!(true)));
}
