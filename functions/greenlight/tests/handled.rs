//! The stories again, from Stripe's events through the engine and the target's queue.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use paygraph_domain::contact::Profile;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::fetch::NoFetch;
use paygraph_engine::identity::Request;
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::process::Engine;
use paygraph_greenlight::handler::handle;
use paygraph_runtime::config::GreenlightEntity;
use serde_json::{Value, json};

const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;
const INDIVIDUAL: &str = "price_1SWQXAChUUSEbzyhAykgEy5K";
const PRO: &str = "price_1ShMKtChUUSEbzyhitCMw6z3";
const TEAM: &str = "price_1SWQXKChUUSEbzyhLSObMBLT";

type TestEngine = Engine<MemoryStore, StoppedClock>;

fn engine() -> TestEngine {
    Engine {
        store: MemoryStore::new(Settings::example().unwrap()),
        clock: StoppedClock(Timestamp::from_unix(NOW).unwrap()),
        livemode: false,
        fetch: NoFetch,
    }
}

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// Processes events, one a second, and gives what they put on the bus as the target's queue has it.
async fn feed(engine: &TestEngine, from: i64, events: &[(&str, Value)]) -> Vec<Value> {
    let mut bodies = Vec::new();
    for (kind, object) in events {
        let at = NOW + from + i64::try_from(bodies.len()).unwrap();
        let event = json!({ "id": format!("evt_{at}"), "type": kind, "created": at, "livemode": false,
            "data": { "object": object } });
        let processed = engine
            .process(&tenant(), &event.to_string(), Source::Webhook, deadline())
            .await
            .unwrap();
        for outgoing in processed.into_entries().into_iter().flat_map(|e| e.outbox) {
            bodies.push(json!({ "detail-type": outgoing.detail_type, "detail": outgoing.detail }));
        }
    }
    bodies
}

fn batch(bodies: &[String]) -> SqsEvent {
    let records: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(place, body)| json!({ "messageId": place.to_string(), "body": body }))
        .collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

/// What the target writes of these messages.
async fn lines(engine: &TestEngine, entity: GreenlightEntity, bodies: &[Value]) -> Vec<String> {
    let bodies: Vec<_> = bodies.iter().map(Value::to_string).collect();
    let (lines, response) = handle(&engine.store, entity, &batch(&bodies)).await;
    assert!(response.batch_item_failures.is_empty());
    lines.iter().map(ToString::to_string).collect()
}

fn customer() -> (&'static str, Value) {
    let object = json!({ "id": "cus_abc123", "object": "customer", "email": "user@example.com" });
    ("customer.created", object)
}

fn subscription(kind: &'static str, price: &str, fields: &Value) -> (&'static str, Value) {
    let mut object = json!({ "id": "sub_abc123", "object": "subscription", "customer": "cus_abc123",
        "status": "active", "currency": "usd", "created": NOW, "items": { "data": [{ "id": "si_1",
            "quantity": 1, "current_period_start": NOW, "current_period_end": NOW + 30 * DAY,
            "price": { "id": price, "product": "prod_1", "currency": "usd", "unit_amount": 5_800,
                "recurring": { "interval": "month", "interval_count": 1 } } }] } });
    let fields = fields.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(fields);
    (kind, object)
}

fn invoice(kind: &'static str, status: &str, amount: i64, attempt: i64) -> (&'static str, Value) {
    let paid = if status == "paid" { amount } else { 0 };
    let object = json!({ "id": format!("in_{amount}"), "object": "invoice", "customer": "cus_abc123",
        "status": status, "currency": "usd", "amount_due": amount, "amount_paid": paid, "total": amount,
        "attempt_count": attempt, "created": NOW,
        "parent": { "subscription_details": { "subscription": "sub_abc123" } } });
    (kind, object)
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
    let told = lines(&engine, GreenlightEntity::Email, &bodies).await;
    assert_eq!(
        told,
        [
            "[📝👤✅👉] customer_created: user@example.com — Stripe customer: cus_abc123",
            "[✅💳💼🎢] checkout_complete: user@example.com — Checkout complete: pro plan, $58",
            "[🆕⚙️💼✅] subscription_created: user@example.com — Subscription created: pro (sub_abc123)",
            "[💰✅🎢🌍] invoice_paid: user@example.com — Payment successful: $58 usd",
        ]
    );
    // Hidden, the e-mail address stands nowhere.
    let hidden = lines(&engine, GreenlightEntity::CustomerId, &bodies).await;
    let expected: Vec<_> = told
        .iter()
        .map(|line| line.replace("user@example.com", "cus_abc123"))
        .collect();
    assert_eq!(hidden, expected);
}

#[tokio::test]
async fn failed_retried_lost() {
    let engine = engine();
    let created = subscription("customer.subscription.created", PRO, &json!({}));
    feed(&engine, 0, &[customer(), created]).await;
    let charge = json!({ "id": "ch_1", "object": "charge", "customer": "cus_abc123", "status": "failed",
        "currency": "usd", "amount": 5_800, "failure_code": "card_declined", "created": NOW + 3 * DAY });
    let past_due = json!({ "status": "past_due" });
    let lost = json!({ "status": "canceled", "ended_at": NOW + 4 * DAY, "canceled_at": NOW + 4 * DAY,
        "cancellation_details": { "reason": "payment_failed", "comment": null, "feedback": null } });
    let events = [
        ("charge.failed", charge),
        invoice("invoice.payment_failed", "open", 5_800, 1),
        subscription("customer.subscription.updated", PRO, &past_due),
        invoice("invoice.payment_failed", "open", 5_800, 2),
        invoice("invoice.payment_failed", "open", 5_800, 3),
        subscription("customer.subscription.deleted", PRO, &lost),
    ];
    let bodies = feed(&engine, 3 * DAY, &events).await;
    assert_eq!(
        lines(&engine, GreenlightEntity::Email, &bodies).await,
        [
            "[❌🚨💳🔥] invoice_failed: user@example.com — Payment failed: $58 (card_declined)",
            "[⚠️🚨💼🔥] past_due: user@example.com — Subscription past due: 3 days",
            "[🔁💳⚡⭐] payment_retry: user@example.com — Payment retry attempt #1",
            "[🔁💳⚡⭐] payment_retry: user@example.com — Payment retry attempt #2",
            "[🚫⚠️💼🔥] subscription_canceled: user@example.com — Canceled pro plan. Reason: payment_failed",
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
    assert_eq!(
        lines(&engine, GreenlightEntity::Email, &bodies).await,
        [
            "[🔄🎯👥📌] subscription_updated: team@company.com — Plan change: individual → team",
            "[💰✅🎢🌍] invoice_paid: team@company.com — Payment successful: $70 usd",
        ]
    );
}

/// N1: what is no event of ours goes back alone; the example and events without a line are done.
#[tokio::test]
async fn n1_only_the_unreadable_message_goes_back() {
    let engine = engine();
    let example: Value =
        serde_json::from_str(include_str!("../../../events/functions/greenlight.json")).unwrap();
    let example = example["Records"][0]["body"].as_str().unwrap();
    let silent = example.replace("subscription_created", "mrr_changed");
    let bodies = ["not json".to_owned(), example.to_owned(), silent];
    let (lines, response) = handle(&engine.store, GreenlightEntity::Email, &batch(&bodies)).await;
    let failed = response.batch_item_failures.into_iter();
    let failed: Vec<_> = failed.map(|failure| failure.item_identifier).collect();
    assert_eq!(failed, ["0"]);
    let told: Vec<_> = lines.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["[🆕⚙️💼✅] subscription_created: acme — Subscription created: pro (sub_example)"]
    );
}
