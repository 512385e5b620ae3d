//! Reports about the shapes of objects: currencies, legacy cards, chosen ids, thin events.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON that is not there reads as null"
)]

use serde_json::json;

use super::Report;

/// All of them.
pub(super) const ALL: [Report; 6] = [
    MULTI_CURRENCY_PRICE,
    COUPON_OTHER_CURRENCY,
    LEGACY_CARD,
    OLD_PLAN_ID_WITH_HASH,
    COUPON_ID_WITH_HASH,
    V1_THIN_ONLY,
];

/// An event names no other currency of a price: its amount is not guessed.
const MULTI_CURRENCY_PRICE: Report = Report {
    history: "multi_currency_price",
    state: |printed| {
        json!({
            "customers": [{ "billing": { "mrr": {} } }],
            "needs_refetch": [printed["subscriptions"][0]["id"]],
        })
    },
    events: &[],
    silent: &[],
    is_dated: false,
};

/// The same for the amount of a coupon: the price counts, the coupon is asked for.
const COUPON_OTHER_CURRENCY: Report = Report {
    history: "coupon_other_currency",
    state: |printed| {
        json!({
            "customers": [{ "billing": { "mrr": { "eur": 2_000 } } }],
            "needs_refetch": [printed["subscriptions"][0]["id"]],
        })
    },
    events: &[],
    silent: &[],
    is_dated: false,
};

const LEGACY_CARD: Report = Report {
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
    is_dated: true,
};

const OLD_PLAN_ID_WITH_HASH: Report = Report {
    history: "old_plan_id_with_hash",
    state: |_| {
        json!({
            "customers": [{ "billing": { "plan": "Gold Plan #2", "mrr": { "usd": 4_900 } } }],
            "needs_refetch": [],
        })
    },
    events: &[],
    silent: &[],
    is_dated: false,
};

const COUPON_ID_WITH_HASH: Report = Report {
    history: "coupon_id_with_hash",
    state: |_| {
        json!({
            "customers": [{ "billing": { "mrr": { "usd": 1_500 } } }],
            "needs_refetch": [],
        })
    },
    events: &[],
    silent: &[],
    is_dated: false,
};

const V1_THIN_ONLY: Report = Report {
    history: "v1_thin_only",
    state: |_| json!({ "needs_refetch": [] }),
    events: &[],
    silent: &["payment_succeeded", "risk_signal_raised"],
    is_dated: false,
};
