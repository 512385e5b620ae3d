//! The three stories, from Stripe's events through the engine and the target's queue, as lines and as
//! subjects, character by character. (The webhook's own first line is in its own tests.)

use paygraph_domain::contact::Profile;
use paygraph_domain::id::{Cause, CustomerId};
use paygraph_engine::identity::Request;
use paygraph_runtime::config::GreenlightEntity;
use paygraph_testkit::nats::NatsServer;
use serde_json::{Value, json};

use crate::support::{
    Buried, DAY, INDIVIDUAL, NOW, PRO, TEAM, TestEngine, batch, customer, deadline, deliver,
    engine, feed, invoice, subscription, target, tenant,
};

/// The lines and subjects of these messages.
async fn told(engine: &TestEngine, bodies: &[Value]) -> (Vec<String>, Vec<String>) {
    let server = NatsServer::start();
    let target = target(engine, GreenlightEntity::Email, Some(server.secret()));
    assert!(deliver(&target, bodies).await.is_empty());
    (target.log.take(), server.subjects().await)
}

#[tokio::test]
async fn sign_up_to_pro() {
    let engine = engine();
    let session = json!({ "id": "cs_1", "object": "checkout.session", "customer": "cus_abc123",
        "mode": "subscription", "status": "complete", "payment_status": "paid", "currency": "usd",
        "amount_total": 5_800, "subscription": "sub_abc123", "invoice": "in_5800", "created": NOW });
    let events = [
        customer(),
        ("checkout.session.completed", session),
        subscription("customer.subscription.created", PRO, &json!({})),
        invoice("invoice.paid", "paid", 5_800, 1),
    ];
    let bodies = feed(&engine, 0, &events).await;
    let (lines, subjects) = told(&engine, &bodies).await;
    assert_eq!(
        lines,
        [
            "[📝👤✅👉] customer_created: user@example.com — Stripe customer: cus_abc123",
            "[✅💳💼🎢] checkout_complete: user@example.com — Checkout complete: pro plan, $58",
            "[🆕⚙️💼✅] subscription_created: user@example.com — Subscription created: pro (sub_abc123)",
            "[💰✅🎢🌍] invoice_paid: user@example.com — Payment successful: $58 usd",
        ]
    );
    assert_eq!(
        subjects,
        [
            "greenlight.checkout.completed.macro.billing.cs_1",
            "greenlight.subscription.created.pro.cus_abc123",
            "greenlight.payment.succeeded.macro.billing.cus_abc123",
        ]
    );
    // Hidden, the e-mail address stands nowhere.
    let engine = self::engine();
    let bodies = feed(&engine, 0, &events).await;
    let hidden = target(&engine, GreenlightEntity::CustomerId, None);
    assert!(deliver(&hidden, &bodies).await.is_empty());
    let expected: Vec<_> = lines
        .iter()
        .map(|line| line.replace("user@example.com", "cus_abc123"))
        .collect();
    assert_eq!(hidden.log.take(), expected);
}

#[tokio::test]
async fn failed_retried_lost() {
    let engine = engine();
    let created = subscription("customer.subscription.created", PRO, &json!({}));
    feed(&engine, 0, &[customer(), created]).await;
    let charge = json!({ "id": "ch_1", "object": "charge", "customer": "cus_abc123", "status": "failed",
        "currency": "usd", "amount": 5_800, "failure_code": "card_declined", "created": NOW + DAY });
    let past_due = json!({ "status": "past_due" });
    let lost = json!({ "status": "canceled", "ended_at": NOW + 5 * DAY, "canceled_at": NOW + 5 * DAY,
        "cancellation_details": { "reason": "payment_failed", "comment": null, "feedback": null } });
    let events = [
        ("charge.failed", charge),
        invoice("invoice.payment_failed", "open", 5_800, 1),
        subscription("customer.subscription.updated", PRO, &past_due),
        invoice("invoice.payment_failed", "open", 5_800, 2),
        invoice("invoice.payment_failed", "open", 5_800, 3),
        subscription("customer.subscription.deleted", PRO, &lost),
    ];
    // Past due begins with the first failed attempt, three days before Stripe says so.
    let (attempt, later) = events.split_at(2);
    let mut bodies = feed(&engine, DAY, attempt).await;
    bodies.extend(feed(&engine, 4 * DAY + 3_600, later).await);
    let (lines, subjects) = told(&engine, &bodies).await;
    assert_eq!(
        lines,
        [
            "[❌🚨💳🔥] invoice_failed: user@example.com — Payment failed: $58 (card_declined)",
            "[⚠️🚨💼🔥] past_due: user@example.com — Subscription past due: 3 days",
            "[🔁💳⚡⭐] payment_retry: user@example.com — Payment retry attempt #1",
            "[🔁💳⚡⭐] payment_retry: user@example.com — Payment retry attempt #2",
            "[🚫⚠️💼🔥] subscription_canceled: user@example.com — Canceled pro plan. Reason: payment_failed",
        ]
    );
    assert_eq!(
        subjects,
        [
            "greenlight.payment.failed.micro.billing.cus_abc123",
            "greenlight.payment.retry.micro.billing.cus_abc123",
            "greenlight.payment.retry.micro.billing.cus_abc123",
            "greenlight.subscription.canceled.pro.cus_abc123",
        ]
    );
}

/// The tenant's own word on the e-mail address goes before Stripe's.
#[tokio::test]
async fn individual_to_team() {
    let engine = engine();
    let created = subscription("customer.subscription.created", INDIVIDUAL, &json!({}));
    feed(&engine, 0, &[customer(), created]).await;
    let given = Profile {
        email: Some("team@company.com".to_owned()),
        ..Profile::default()
    };
    let (id, cause) = (
        CustomerId::parse("cus_abc123").unwrap(),
        Cause::parse("api:1").unwrap(),
    );
    let request = Request {
        tenant: &tenant(),
        cause: &cause,
        deadline: deadline(),
    };
    engine.put_profile(&request, &id, &given).await.unwrap();
    let events = [
        subscription("customer.subscription.updated", TEAM, &json!({})),
        invoice("invoice.paid", "paid", 7_000, 1),
    ];
    let bodies = feed(&engine, 100, &events).await;
    let (lines, subjects) = told(&engine, &bodies).await;
    assert_eq!(
        lines,
        [
            "[🔄🎯👥📌] subscription_updated: team@company.com — Plan change: individual → team",
            "[💰✅🎢🌍] invoice_paid: team@company.com — Payment successful: $70 usd",
        ]
    );
    assert_eq!(
        subjects,
        [
            "greenlight.subscription.updated.individual.team.cus_abc123",
            "greenlight.payment.succeeded.macro.billing.cus_abc123",
        ]
    );
}

/// A checkout comes before its subscription: what was bought says the tier.
#[tokio::test]
async fn a_checkout_is_of_the_tier_that_was_bought() {
    let engine = engine();
    let session = json!({ "id": "cs_1", "object": "checkout.session", "customer": "cus_abc123",
        "mode": "subscription", "status": "complete", "payment_status": "paid", "currency": "usd",
        "amount_total": 9_900, "subscription": "sub_abc123", "created": NOW,
        "line_items": { "object": "list", "has_more": false,
            "data": [{ "id": "li_1", "price": { "id": TEAM } }] } });
    let events = [customer(), ("checkout.session.completed", session)];
    let bodies = feed(&engine, 0, &events).await;
    let target = target(&engine, GreenlightEntity::Email, None);
    assert!(deliver(&target, &bodies).await.is_empty());
    assert_eq!(
        target.log.take()[1],
        "[✅💳👥🎢] checkout_complete: user@example.com — Checkout complete: team plan, $99"
    );
}

/// Stripe may tell of the charge after the invoice: the contact knows by then.
#[tokio::test]
async fn a_reason_that_comes_after_the_failure_is_told() {
    let engine = engine();
    let created = subscription("customer.subscription.created", PRO, &json!({}));
    feed(&engine, 0, &[customer(), created]).await;
    let charge = json!({ "id": "ch_1", "object": "charge", "customer": "cus_abc123", "status": "failed",
        "currency": "usd", "amount": 5_800, "failure_code": "insufficient_funds",
        "invoice": "in_5800", "created": NOW + DAY });
    let events = [
        invoice("invoice.payment_failed", "open", 5_800, 1),
        ("charge.failed", charge),
    ];
    let bodies = feed(&engine, DAY, &events).await;
    let target = target(&engine, GreenlightEntity::Email, None);
    assert!(deliver(&target, &bodies).await.is_empty());
    assert_eq!(
        target.log.take(),
        [
            "[❌🚨💳🔥] invoice_failed: user@example.com — Payment failed: $58 \
             (insufficient_funds), soft decline"
        ]
    );
}

/// N1: what is no event of ours goes to the dead letters alone; the example and events that tell
/// nothing are done.
#[tokio::test]
async fn n1_only_the_unreadable_message_is_buried() {
    let engine = engine();
    let example: Value =
        serde_json::from_str(include_str!("../../../events/functions/greenlight.json")).unwrap();
    let example = example["Records"][0]["body"].as_str().unwrap();
    let silent = example.replace("subscription_created", "mrr_changed");
    let bodies = [json!("not json"), json!(example), json!(silent)];
    let target = target(&engine, GreenlightEntity::Email, None);
    let buried = Buried::default();
    let response = target.queue(&batch(&bodies), &buried).await;
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(*buried.0.lock().unwrap(), ["not json"]);
    assert_eq!(
        target.log.take(),
        ["[🆕⚙️💼✅] subscription_created: acme — Subscription created: pro (sub_example)"]
    );
}
