//! Reports about the shapes of objects: currencies, legacy cards, chosen ids, thin events.

use serde_json::json;

use super::Report;

/// An event names no other currency of a price: its amount is not guessed.
#[test]
fn r6_multi_currency_price() {
    Report {
        history: "multi_currency_price",
        state: |printed| {
            json!({
                "customers": [{ "billing": { "mrr": {} } }],
                "needs_refetch": [printed["subscriptions"][0]["id"]],
            })
        },
        events: &[],
        silent: &[],
    }
    .check();
}

/// The same for the amount of a coupon: the price counts, the coupon is asked for.
#[test]
fn r7_coupon_other_currency() {
    Report {
        history: "coupon_other_currency",
        state: |printed| {
            json!({
                "customers": [{ "billing": { "mrr": { "eur": 2_000 } } }],
                "needs_refetch": [printed["subscriptions"][0]["id"]],
            })
        },
        events: &[],
        silent: &[],
    }
    .check();
}

#[test]
fn r10_legacy_card() {
    Report {
        history: "legacy_card",
        state: |_| {
            json!({
                "customers": [{
                    "billing": { "payment_method": {
                        "on_file": true, "type": "card", "brand": "visa", "last4": "1881",
                        "exp_month": 9, "exp_year": 2026,
                    } },
                    "risk_signals": [{ "kind": "card_expiring", "since": "2026-09-01T00:00:00Z" }],
                }],
                "needs_refetch": [],
            })
        },
        events: &[],
        silent: &[],
    }
    .check();
}

#[test]
fn r12_old_plan_id_with_hash() {
    Report {
        history: "old_plan_id_with_hash",
        state: |_| {
            json!({
                "customers": [{ "billing": { "plan": "Gold Plan #2", "mrr": { "usd": 4_900 } } }],
                "needs_refetch": [],
            })
        },
        events: &[],
        silent: &[],
    }
    .check();
}

#[test]
fn r12_coupon_id_with_hash() {
    Report {
        history: "coupon_id_with_hash",
        state: |_| {
            json!({
                "customers": [{ "billing": { "mrr": { "usd": 1_500 } } }],
                "needs_refetch": [],
            })
        },
        events: &[],
        silent: &[],
    }
    .check();
}

#[test]
fn r13_v1_thin_only() {
    Report {
        history: "v1_thin_only",
        state: |_| json!({ "needs_refetch": [] }),
        events: &[],
        silent: &["payment_succeeded", "risk_signal_raised"],
    }
    .check();
}
