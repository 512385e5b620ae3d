//! Every line and every message, by the event that tells it.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use paygraph_bus::incoming::Incoming;
use paygraph_domain::analytics::{Figure, Revenue};
use paygraph_domain::id::TenantId;
use paygraph_domain::money::Currency;
use paygraph_domain::time::Timestamp;
use paygraph_greenlight::daily;
use paygraph_greenlight::message::{About, Message};
use paygraph_greenlight::told::{Told, events, told};
use paygraph_greenlight::webhook;
use paygraph_greenlight::whom::Whom;
use paygraph_testkit::golden::GoldenFiles;
use serde_json::{Value, json};

fn incoming(name: &str, data: &Value) -> Incoming {
    let event = json!({
        "detail-type": name,
        "detail": {
            "version": 1, "id": "evt_1abc123#1", "tenant": "default", "customer_id": "acme",
            "stripe_customer_id": "cus_abc123", "occurred_at": "2026-11-21T00:00:00Z",
            "source": "webhook", "cause": "evt_1abc123", "data": data,
        },
    });
    Incoming::parse(&event.to_string()).unwrap()
}

fn whom() -> Whom {
    Whom {
        entity: "user@example.com".to_owned(),
        tier: "pro".to_owned(),
        decline: None,
        decline_kind: None,
    }
}

/// Examples of each event: every case in which it tells something else.
fn examples(name: &str) -> Vec<Value> {
    let usd = |cents: i64| json!({ "usd": cents });
    let session = json!({ "tier": "pro", "amount": usd(5_800), "checkout_session": "cs_1" });
    match name {
        "customer_created" => vec![json!({})],
        "payment_method_updated" => vec![
            json!({ "action": "attached", "type": "card", "last4": "4242" }),
            json!({ "action": "detached", "type": "card", "last4": "4242" }),
        ],
        "coupon_applied" => vec![
            json!({ "coupon": "HALF", "percent_off": "50" }),
            json!({ "coupon": "TEN", "amount_off": 1_050, "currency": "usd" }),
        ],
        "checkout_completed" | "checkout_abandoned" => vec![session],
        "payment_succeeded" => vec![
            json!({ "amount": usd(5_800), "invoice": "in_1" }),
            json!({ "amount": { "jpy": 1_200 }, "invoice": "in_1" }),
        ],
        "invoice.payment_failed" => vec![
            json!({ "amount": usd(5_800), "attempt_count": 1, "decline_code": "insufficient_funds" }),
            json!({ "amount": usd(5_800), "attempt_count": 1 }),
            json!({ "amount": usd(5_800), "attempt_count": 3 }),
        ],
        "subscription_created" => vec![json!({ "tier": "pro", "subscription": "sub_abc123" })],
        "subscription_updated" => vec![json!({ "tier": "team", "tier_before": "individual" })],
        "subscription_canceled" => vec![
            json!({ "tier": "pro", "reason": "payment_failed" }),
            json!({ "tier": "enterprise_eu" }),
        ],
        "subscription_expired" => vec![json!({ "tier": "pro" })],
        "subscription_past_due" => vec![json!({ "tier": "pro", "past_due_days": 3 })],
        "subscription_expiring" | "cancellation_scheduled" => {
            vec![json!({ "tier": "pro", "cancel_at": "2026-12-01T10:00:00Z" })]
        }
        "trial_started" => vec![json!({ "tier": "pro", "trial_days": 14 })],
        other => unreachable!("{other} has no example"),
    }
}

/// A line and a message as they are published.
fn shown(about: &About<'_>, told: &Told) -> Value {
    let message = Message::of(about, told).map(|message| {
        let payload: Value = serde_json::from_slice(&message.payload).unwrap();
        json!({ "subject": message.subject, "id": message.id, "payload": payload })
    });
    let line = told.line.as_ref().map(ToString::to_string);
    json!({ "line": line, "message": message })
}

#[test]
fn every_line_and_message_of_an_event_is_golden() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "events");
    for name in events() {
        let shown = examples(name).into_iter().map(|data| {
            let incoming = incoming(name, &data);
            let told = told(&incoming, &whom());
            let told = told
                .iter()
                .map(|told| shown(&About::from(&incoming.detail), told));
            json!({ "data": data, "told": told.collect::<Vec<_>>() })
        });
        golden.json(name, &Value::from_iter(shown).to_string());
    }
    golden.compare();
}

#[test]
fn every_figure_of_a_day_is_golden() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "daily");
    let (usd, tenant) = (
        || Currency::parse("usd").unwrap(),
        TenantId::parse("default").unwrap(),
    );
    let figures = [
        Figure::Revenue(
            usd(),
            Revenue {
                amount: 5_850,
                payments: 2,
            },
        ),
        Figure::Mrr {
            currency: usd(),
            amount: 5_800,
            delta: -1_200,
        },
        Figure::Churn {
            rate: 35,
            cancellations: 4,
        },
        Figure::Ltv {
            currency: usd(),
            average: 11_650,
            change: Some(991),
        },
        Figure::Trials {
            rate: 400,
            converted: 2,
            ended: 5,
        },
    ];
    for figure in &figures {
        // A new figure needs an example above.
        let name = match figure {
            Figure::Revenue(..) => "revenue",
            Figure::Mrr { .. } => "mrr",
            Figure::Churn { .. } => "churn",
            Figure::Ltv { .. } => "ltv",
            Figure::Trials { .. } => "trial_conversion",
        };
        let about = About {
            id: "2026-11-21:usd",
            tenant: &tenant,
            customer_id: None,
            stripe_customer_id: None,
            occurred_at: Timestamp::parse("2026-11-21T23:59:59Z").unwrap(),
            cause: "daily",
        };
        golden.json(
            name,
            &shown(&about, &daily::told(&tenant, figure)).to_string(),
        );
    }
    golden.compare();
}

#[test]
fn every_message_of_a_webhook_is_golden() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "webhooks");
    let incoming = incoming("stripe.invoice.paid", &json!({}));
    let (about, event_type) = (About::from(&incoming.detail), "invoice.paid");
    for (name, told) in [
        ("received", webhook::received(event_type, "evt_1abc123")),
        ("processed", webhook::processed(event_type)),
        ("failed", webhook::failed(event_type)),
    ] {
        golden.json(name, &shown(&about, &told).to_string());
    }
    golden.compare();
}

/// S8: whatever stands in a name, an address or a reason, one line stays one line.
#[test]
fn s8_no_text_forges_a_line() {
    let forged = "x\r\n[💰✅🎢🌍] invoice_paid: eve@evil.example — Payment successful: $9999 usd";
    for name in events() {
        for mut data in examples(name) {
            for value in data.as_object_mut().unwrap().values_mut() {
                if value.is_string() && value != "attached" {
                    *value = json!(forged);
                }
            }
            let whom = Whom {
                entity: forged.to_owned(),
                tier: forged.to_owned(),
                decline: Some(forged.to_owned()),
                decline_kind: None,
            };
            let incoming = incoming(name, &data);
            for told in told(&incoming, &whom) {
                let line = told
                    .line
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(!line.chars().any(char::is_control), "{name}: {line:?}");
                let message = Message::of(&About::from(&incoming.detail), &told);
                let subject = message.map(|message| message.subject).unwrap_or_default();
                assert!(
                    !subject.contains(char::is_whitespace),
                    "{name}: {subject:?}"
                );
            }
        }
    }
}
