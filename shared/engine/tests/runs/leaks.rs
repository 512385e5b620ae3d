//! What leaks between Stripe and here: named, with its money, and healed or left for review.

use paygraph_domain::settings::Settings;
use paygraph_engine::memory::MemoryStore;
use paygraph_engine::run::{Class, Job, Outcome, Scope};
use paygraph_testkit::fake_stripe::FakeStripe;
use paygraph_testkit::world::price;
use serde_json::{Value, json};

use super::stack::{START, Stack, empty, whole};
use crate::schemas::Judge;

/// A class that somebody wants to look at first is told, and stays as it is here.
#[tokio::test]
async fn what_is_to_be_reviewed_is_not_healed() {
    let stripe = empty().await;
    let mut stack = Stack::new(&stripe);
    let mut settings = Settings::example().unwrap();
    settings.review_drift.insert(Class::PlanMismatch);
    stack.engine.store = MemoryStore::new(settings).keeping_history();
    leaking(&stripe, &stack).await;
    for _ in 0..2 {
        let (_, drift) = stack.run(Job::Reconcile, whole()).await;
        let up = drift.iter().find(|drift| drift.object == "sub_up").unwrap();
        assert_eq!(
            (up.class, up.outcome),
            (Class::PlanMismatch, Outcome::Review)
        );
    }
    let plans = stack.billing();
    assert_eq!(plans["cus_sub_up"]["plan"], "price_small");
    assert_eq!(plans["cus_sub_gone"]["billing_status"], "canceled");
}

pub fn priced(id: &str, amount: u64) -> Value {
    let mut price = price(1);
    price["id"] = json!(id);
    price["unit_amount"] = json!(amount);
    price["unit_amount_decimal"] = json!(amount.to_string());
    price
}

pub fn subscription(id: &str, price: &Value, status: &str) -> Value {
    json!({
        "id": id, "object": "subscription", "customer": format!("cus_{id}"), "status": status,
        "currency": "usd", "created": START, "discounts": [],
        "items": { "object": "list", "has_more": false, "url": "/v1/subscription_items",
            "data": [{ "id": "si_1", "object": "subscription_item", "price": price, "quantity": 1 }] },
    })
}

/// An invoice over 50 dollars that was tried so often.
fn invoice(subscription: &str, reason: &str, attempts: u64, next: Option<i64>) -> Value {
    json!({
        "id": format!("in_{subscription}"), "object": "invoice", "status": "open",
        "customer": format!("cus_{subscription}"), "currency": "usd", "created": START,
        "amount_due": 5_000, "amount_paid": 0, "amount_remaining": 5_000, "total": 5_000,
        "attempt_count": attempts, "attempted": attempts > 0, "next_payment_attempt": next,
        "collection_method": "charge_automatically", "billing_reason": reason,
        "parent": { "type": "subscription_details",
            "subscription_details": { "subscription": subscription } },
        "lines": { "object": "list", "has_more": false, "data": [] },
    })
}

/// What Stripe tells us, and what it has.
async fn leaking(stripe: &FakeStripe, stack: &Stack) {
    let (small, large) = (priced("price_small", 2_900), priced("price_large", 9_900));
    let tomorrow = Some(START + 86_400);
    let ours = [
        subscription("sub_gone", &large, "active"),
        subscription("sub_up", &small, "active"),
        subscription("sub_dunning", &small, "past_due"),
        subscription("sub_unpaid", &large, "active"),
        subscription("sub_missing", &small, "active"),
        subscription("sub_more", &small, "active"),
        subscription("sub_card", &small, "active"),
        json!({ "id": "cus_sub_card", "object": "customer", "created": START,
            "invoice_settings": { "default_payment_method": "pm_old" }, "metadata": {} }),
        invoice("sub_dunning", "subscription_cycle", 1, tomorrow),
        invoice("sub_unpaid", "subscription_update", 1, tomorrow),
    ];
    for (n, object) in ours.into_iter().enumerate() {
        let kind = match object["object"].as_str() {
            Some("invoice") => "invoice.created",
            Some("customer") => "customer.created",
            _ => "customer.subscription.created",
        };
        let event = json!({ "id": format!("evt_{n}"), "type": kind, "created": START + 5,
            "livemode": false, "data": { "object": object } });
        stack.deliver([&event.to_string()]).await;
    }
    let mut more = subscription("sub_more", &small, "active");
    more["items"]["data"][0]["quantity"] = json!(3);
    for theirs in [
        more,
        subscription("sub_card", &small, "active"),
        subscription("sub_gone", &large, "canceled"),
        subscription("sub_up", &large, "active"),
        subscription("sub_dunning", &small, "past_due"),
        subscription("sub_unpaid", &large, "active"),
        subscription("sub_new", &small, "active"),
        invoice("sub_dunning", "subscription_cycle", 4, None),
        invoice("sub_unpaid", "subscription_update", 1, tomorrow),
    ] {
        let customer = &theirs["customer"];
        stripe.put(
            json!({ "id": customer, "object": "customer", "created": START,
            "invoice_settings": {}, "metadata": {} }),
        );
        stripe.put(theirs);
    }
    stripe.put(
        json!({ "id": "cus_sub_card", "object": "customer", "created": START,
        "invoice_settings": { "default_payment_method": "pm_new" }, "metadata": {} }),
    );
}

/// The leaks of the field, each with its class and its money: canceled there and active here, a
/// higher plan there, retries exhausted and nobody told, an upgrade that nobody paid, what one side
/// does not have.
#[tokio::test]
async fn the_leaks_are_named_with_their_money() {
    let stripe = empty().await;
    let stack = Stack::new(&stripe);
    leaking(&stripe, &stack).await;
    let (_, drift) = stack.run(Job::Reconcile, whole()).await;
    let found = |object: &str| drift.iter().find(|drift| drift.object == object).unwrap();
    for (object, class, money, outcome) in [
        ("sub_gone", Class::StatusMismatch, 9_900, Outcome::Healed),
        ("sub_up", Class::PlanMismatch, 7_000, Outcome::Healed),
        (
            "in_sub_dunning",
            Class::SilentDunning,
            5_000,
            Outcome::Healed,
        ),
        (
            "in_sub_unpaid",
            Class::UnpaidUpgrade,
            5_000,
            Outcome::Review,
        ),
        (
            "sub_missing",
            Class::MissingInStripe,
            2_900,
            Outcome::Review,
        ),
        ("sub_new", Class::MissingLocal, 2_900, Outcome::Healed),
        ("sub_more", Class::AmountMismatch, 5_800, Outcome::Healed),
        ("cus_sub_card", Class::Stale, 0, Outcome::Healed),
    ] {
        let drift = found(object);
        assert_eq!((drift.class, drift.outcome), (class, outcome), "{object}");
        let sum = drift.money_per_month.get("usd").copied().unwrap_or(0);
        assert_eq!(sum, money, "{object}");
    }
    let (active, none) = (json!("active"), Value::Null);
    let (small, large) = (json!("price_small"), json!("price_large"));
    for (object, field, local, theirs) in [
        ("sub_gone", Some("status"), &active, &json!("canceled")),
        ("sub_up", Some("plan"), &small, &large),
        (
            "in_sub_unpaid",
            Some("latest_invoice"),
            &large,
            &json!("in_sub_unpaid"),
        ),
        ("sub_missing", None, &active, &none),
        ("sub_new", None, &none, &active),
    ] {
        let drift = found(object);
        assert_eq!(drift.field.as_deref(), field, "{object}");
        assert_eq!((&drift.local, &drift.stripe), (local, theirs), "{object}");
    }
    let mut judge = Judge::new();
    for event in stack.bus.published() {
        judge.check(&event);
    }
    // What waits for a person is found again, and told no more.
    let told = stack.told();
    let (_, again) = stack.run(Job::Reconcile, whole()).await;
    let left: Vec<_> = again.iter().map(|drift| drift.object.as_str()).collect();
    assert_eq!(left, ["sub_missing", "in_sub_unpaid"]);
    assert_eq!(stack.told(), told);
    assert_eq!(
        (
            told["payment_retries_exhausted"],
            told["subscription_canceled"]
        ),
        (1, 1)
    );
}

/// What no list returned is asked for by its id: a customer that was deleted, and what it had; an
/// invoice and a dispute that are older than the days that are read every night.
#[tokio::test]
async fn n11_what_no_list_returns_is_asked_for() {
    for recent in [true, false] {
        let stripe = empty().await;
        let stack = Stack::new(&stripe);
        let small = priced("price_small", 2_900);
        let customer = |id: &str| {
            json!({ "id": id, "object": "customer", "created": START, "email": "user@example.com",
                "invoice_settings": {}, "metadata": {} })
        };
        let charge = json!({ "id": "ch_1", "object": "charge", "customer": "cus_sub_old",
            "status": "succeeded", "currency": "usd", "amount": 5_000, "created": START });
        let dispute = |status: &str| {
            json!({ "id": "dp_1", "object": "dispute", "charge": "ch_1", "status": status,
                "amount": 5_000, "currency": "usd", "reason": "general", "created": START })
        };
        let tomorrow = Some(START + 86_400);
        let came = [
            ("customer.created", customer("cus_sub_left")),
            ("customer.created", customer("cus_quiet")),
            ("customer.created", customer("cus_sub_old")),
            (
                "customer.subscription.created",
                subscription("sub_left", &small, "active"),
            ),
            (
                "customer.subscription.created",
                subscription("sub_old", &small, "past_due"),
            ),
            (
                "invoice.payment_failed",
                invoice("sub_old", "subscription_cycle", 1, tomorrow),
            ),
            ("charge.succeeded", charge.clone()),
            ("charge.dispute.created", dispute("needs_response")),
        ];
        for (n, (kind, object)) in came.into_iter().enumerate() {
            let event = json!({ "id": format!("evt_{n}"), "type": kind, "created": START + 5,
                "livemode": false, "data": { "object": object } });
            stack.deliver([&event.to_string()]).await;
        }
        let mut paid = invoice("sub_old", "subscription_cycle", 2, None);
        paid["status"] = json!("paid");
        paid["amount_paid"] = json!(5_000);
        for theirs in [
            json!({ "id": "cus_sub_left", "object": "customer", "deleted": true }),
            json!({ "id": "cus_quiet", "object": "customer", "deleted": true }),
            customer("cus_sub_old"),
            subscription("sub_left", &small, "canceled"),
            subscription("sub_old", &small, "active"),
            paid,
            charge,
            dispute("won"),
        ] {
            stripe.put(theirs);
        }
        let scope = Scope { recent, ..whole() };
        let (run, drift) = stack.run(Job::Reconcile, scope.clone()).await;
        let mut objects: Vec<_> = drift.iter().map(|drift| drift.object.as_str()).collect();
        objects.sort_unstable();
        let mut expected = vec![
            "cus_quiet",
            "cus_sub_left",
            "dp_1",
            "in_sub_old",
            "sub_left",
            "sub_old",
        ];
        if recent {
            // Nobody misses who has nothing: the list of everybody is compared once a week.
            expected.remove(0);
        }
        assert_eq!(
            (objects, run.counts.in_flight),
            (expected, 0),
            "recent {recent}"
        );
        let (again, drift) = stack.run(Job::Reconcile, scope).await;
        assert_eq!((drift, again.counts.in_flight), (Vec::new(), 0));
    }
}
