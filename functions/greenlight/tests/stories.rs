//! The lines that the three stories do not have, and what a message says.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use paygraph_bus::incoming::Incoming;
use paygraph_greenlight::message::{About, Message};
use paygraph_greenlight::told::{Told, told};
use paygraph_greenlight::whom::Whom;
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

fn all(name: &str, data: &Value) -> Vec<Told> {
    let whom = Whom {
        entity: "acme".to_owned(),
        tier: "free".to_owned(),
        decline: None,
        decline_kind: None,
    };
    told(&incoming(name, data), &whom)
}

fn lines(events: &[(&str, Value)]) -> Vec<String> {
    let told = events.iter().flat_map(|(name, data)| all(name, data));
    told.filter_map(|told| Some(told.line?.to_string()))
        .collect()
}

fn subjects(events: &[(&str, Value)]) -> Vec<String> {
    let told = events.iter().flat_map(|(name, data)| all(name, data));
    told.filter_map(|told| told.subject).collect()
}

#[test]
fn the_other_lines() {
    let method = |action: &str| json!({ "action": action, "type": "card", "last4": "4242" });
    let events = [
        (
            "cancellation_scheduled",
            json!({ "tier": "pro", "cancel_at": "2026-12-01T10:00:00Z" }),
        ),
        (
            "subscription_expiring",
            json!({ "tier": "pro", "cancel_at": "2026-12-01T10:00:00Z" }),
        ),
        (
            "coupon_applied",
            json!({ "coupon": "HALF", "percent_off": "50" }),
        ),
        (
            "coupon_applied",
            json!({ "coupon": "TEN", "amount_off": 1_050, "currency": "usd" }),
        ),
        (
            "trial_started",
            json!({ "tier": "founding_pro", "trial_days": 14 }),
        ),
        ("payment_method_updated", method("attached")),
        ("payment_method_updated", method("detached")),
        (
            "subscription_created",
            json!({ "subscription": "sub_1", "tier": "gold" }),
        ),
        (
            "subscription_canceled",
            json!({ "tier": "free", "reason": null }),
        ),
        ("payment_succeeded", json!({ "amount": { "jpy": 1_200 } })),
        (
            "invoice.payment_failed",
            json!({ "amount": { "usd": 5_850 }, "attempt_count": 1, "decline_code": null }),
        ),
        ("mrr_changed", json!({})),
    ];
    assert_eq!(
        lines(&events),
        [
            "[📅⚠️💼⭐] cancel_scheduled: acme — pro subscription ends on 2026-12-01 - retention opportunity!",
            "[⏸️📅💼⭐] subscription_expiring: acme — pro subscription ends on 2026-12-01 - retention opportunity!",
            "[🎁💳✅📌] coupon_applied: acme — Coupon HALF applied: 50% off",
            "[🎁💳✅📌] coupon_applied: acme — Coupon TEN applied: $10.50 off",
            "[🎟️🆕👤📌] trial_started: acme — Trial started: founding_pro plan, 14 days",
            "[🔐💳✅📌] payment_method: acme — Payment method added: card ending in 4242",
            "[🔒💳✅📌] tokenized: stripe — Payment method tokenized (no PAN stored)",
            "[🆕⚙️🎯✅] subscription_created: acme — Subscription created: unknown (sub_1)",
            "[🚫⚠️🆓🔥] subscription_canceled: acme — Canceled free plan. Reason: not specified",
            "[💰✅🎢🌍] invoice_paid: acme — Payment successful: $1200 jpy",
            "[❌🚨💳🔥] invoice_failed: acme — Payment failed: $58.50 (declined)",
        ]
    );
}

#[test]
fn what_has_a_subject_and_no_line() {
    let events = [
        ("checkout_abandoned", json!({ "checkout_session": "cs_1" })),
        ("subscription_expired", json!({ "tier": "gold" })),
    ];
    assert_eq!(lines(&events), [""; 0]);
    assert_eq!(
        subjects(&events),
        [
            "greenlight.checkout.abandoned.micro.billing.cs_1",
            "greenlight.subscription.expired.unknown.cus_abc123",
        ]
    );
}

/// A5: the line has the decline code, and whether the same card may still pay.
#[test]
fn a5_a_failed_payment_tells_hard_from_soft() {
    let failed = |code: &str, kind: Value| {
        let data = json!({ "amount": { "usd": 5_800 }, "attempt_count": 1, "decline_code": code,
            "decline_kind": kind });
        lines(&[("invoice.payment_failed", data)])
    };
    let line = "[❌🚨💳🔥] invoice_failed: acme — Payment failed: $58";
    for (code, kind, end) in [
        (
            "insufficient_funds",
            json!("soft"),
            " (insufficient_funds), soft decline",
        ),
        ("lost_card", json!("hard"), " (lost_card), hard decline"),
        ("card_declined", Value::Null, " (card_declined)"),
    ] {
        assert_eq!(failed(code, kind), [format!("{line}{end}")]);
    }
}

#[test]
fn a_message_says_it_all() {
    let event = incoming(
        "invoice.payment_failed",
        &json!({ "amount": { "usd": 5_800 }, "attempt_count": 1, "decline_code": "card_declined" }),
    );
    let told = all("invoice.payment_failed", &event.detail.data);
    let message = Message::of(&About::from(&event.detail), &told[0]).unwrap();
    assert_eq!(message.id, "default:evt_1abc123#1:invoice_failed");
    let payload: Value = serde_json::from_slice(&message.payload).unwrap();
    let expected = json!({
        "version": 1, "event_id": "evt_1abc123#1", "tenant": "default", "customer_id": "acme",
        "stripe_customer_id": "cus_abc123", "occurred_at": "2026-11-21T00:00:00Z",
        "cause": "evt_1abc123", "action": "invoice_failed", "codes": "❌🚨💳🔥", "entity": "acme",
        "message": "Payment failed: $58 (card_declined)",
        "line": "[❌🚨💳🔥] invoice_failed: acme — Payment failed: $58 (card_declined)",
        "code": "payment_failed", "trinary": -1,
        "step": { "number": 16, "name": "Detect", "emoji": "🚨❌", "from": "executing", "to": "detect" },
    });
    assert_eq!(payload, expected);
}
