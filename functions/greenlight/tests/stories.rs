//! Three stories, character by character. (The webhook's own first line is in its own tests.)
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use paygraph_bus::incoming::Incoming;
use paygraph_greenlight::line::{Subject, lines};
use serde_json::{Value, json};

fn told(entity: &str, tier: &str, events: &[(&str, Value)]) -> Vec<String> {
    events
        .iter()
        .flat_map(|(name, data)| {
            let event = json!({
                "detail-type": name,
                "detail": {
                    "version": 1, "id": "evt_1abc123#1", "tenant": "default", "customer_id": "acme",
                    "stripe_customer_id": "cus_abc123", "occurred_at": "2026-11-21T00:00:00Z",
                    "source": "webhook", "cause": "evt_1abc123", "data": data,
                },
            });
            let event = Incoming::parse(&event.to_string()).unwrap();
            lines(&event, Subject { entity, tier })
        })
        .map(|line| line.to_string())
        .collect()
}

#[test]
fn sign_up_to_pro() {
    let events = [
        ("customer_created", json!({})),
        ("checkout_completed", json!({ "amount": { "usd": 5_800 } })),
        (
            "subscription_created",
            json!({ "subscription": "sub_abc123", "tier": "pro" }),
        ),
        ("payment_succeeded", json!({ "amount": { "usd": 5_800 } })),
    ];
    assert_eq!(
        told("user@example.com", "pro", &events),
        [
            "[📝👤✅👉] customer_created: user@example.com — Stripe customer: cus_abc123",
            "[✅💳💼🎢] checkout_complete: user@example.com — Checkout complete: pro plan, $58",
            "[🆕⚙️💼✅] subscription_created: user@example.com — Subscription created: pro (sub_abc123)",
            "[💰✅🎢🌍] invoice_paid: user@example.com — Payment successful: $58 usd",
        ]
    );
}

#[test]
fn failed_retried_lost() {
    let failed = |attempt: i64| {
        let data = json!({ "amount": { "usd": 5_800 }, "attempt_count": attempt, "decline_code": "card_declined" });
        ("invoice.payment_failed", data)
    };
    let events = [
        failed(1),
        (
            "subscription_past_due",
            json!({ "tier": "pro", "past_due_days": 3 }),
        ),
        failed(2),
        failed(3),
        (
            "subscription_canceled",
            json!({ "tier": "pro", "reason": "payment_failed" }),
        ),
    ];
    assert_eq!(
        told("user@example.com", "free", &events),
        [
            "[❌🚨💳🔥] invoice_failed: user@example.com — Payment failed: $58 (card_declined)",
            "[⚠️🚨💼🔥] past_due: user@example.com — Subscription past due: 3 days",
            "[🔁💳⚡⭐] payment_retry: user@example.com — Payment retry attempt #1",
            "[🔁💳⚡⭐] payment_retry: user@example.com — Payment retry attempt #2",
            "[🚫⚠️💼🔥] subscription_canceled: user@example.com — Canceled pro plan. Reason: payment_failed",
        ]
    );
}

#[test]
fn individual_to_team() {
    let events = [
        (
            "subscription_updated",
            json!({ "tier_before": "individual", "tier": "team" }),
        ),
        ("payment_succeeded", json!({ "amount": { "usd": 7_000 } })),
    ];
    assert_eq!(
        told("team@company.com", "team", &events),
        [
            "[🔄🎯👥📌] subscription_updated: team@company.com — Plan change: individual → team",
            "[💰✅🎢🌍] invoice_paid: team@company.com — Payment successful: $70 usd",
        ]
    );
}

#[test]
fn the_other_lines() {
    let events = [
        (
            "cancellation_scheduled",
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
        (
            "payment_method_updated",
            json!({ "action": "attached", "type": "card", "last4": "4242" }),
        ),
        (
            "payment_method_updated",
            json!({ "action": "detached", "type": "card", "last4": "4242" }),
        ),
        (
            "subscription_created",
            json!({ "subscription": "sub_1", "tier": "gold" }),
        ),
        (
            "subscription_canceled",
            json!({ "tier": "free", "reason": null }),
        ),
        ("payment_succeeded", json!({ "amount": { "jpy": 1_200 } })),
        ("mrr_changed", json!({})),
    ];
    assert_eq!(
        told("acme", "free", &events),
        [
            "[📅⚠️💼⭐] cancel_scheduled: acme — pro subscription ends on 2026-12-01 - retention opportunity!",
            "[🎁💳✅📌] coupon_applied: acme — Coupon HALF applied: 50% off",
            "[🎁💳✅📌] coupon_applied: acme — Coupon TEN applied: $10.50 off",
            "[🎟️🆕👤📌] trial_started: acme — Trial started: founding_pro plan, 14 days",
            "[🔐💳✅📌] payment_method: acme — Payment method added: card ending in 4242",
            "[🔒💳✅📌] tokenized: stripe — Payment method tokenized (no PAN stored)",
            "[🆕⚙️🎯✅] subscription_created: acme — Subscription created: unknown (sub_1)",
            "[🚫⚠️🆓🔥] subscription_canceled: acme — Canceled free plan. Reason: not specified",
            "[💰✅🎢🌍] invoice_paid: acme — Payment successful: $1200 jpy",
        ]
    );
}
