//! The reports, and what each comes to.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON that is not there reads as null"
)]

use serde_json::{Value, json};

use super::{Report, of_shapes};

/// Every report, by its row.
#[must_use]
pub fn all() -> Vec<Report> {
    let own = [
        CONTROL_FIRST_FAILURE,
        UNCOLLECTIBLE_THEN_FIRST_FAILURE,
        PAUSE_MARK_UNCOLLECTIBLE,
        BANK_DEBIT_PROCESSING,
        BANK_DEBIT_FAILS_DAYS_LATER,
        SEND_INVOICE_PAST_DUE,
        SEND_INVOICE_DECLINED_THEN_PAST_DUE,
        YEARLY_PRORATION_PAST_DUE,
        DIRECT_CHARGE_REFUND,
        GUEST_CHECKOUT,
        GUEST_CHECKOUT_WITH_REFERENCE,
    ];
    own.into_iter().chain(of_shapes::ALL).collect()
}

const FAILED: [&str; 3] = ["failed_payment", "dunning", "past_due"];

/// What a first failed attempt comes to: grace for fourteen days, and three signals since then.
fn in_grace(since: &str, until: &str, kinds: &[&str]) -> Value {
    let signals = kinds.iter();
    let signals: Vec<_> = signals
        .map(|kind| json!({ "kind": kind, "since": since }))
        .collect();
    json!({ "customers": [{
        "billing": {
            "billing_status": "past_due",
            "access": { "level": "grace", "until": until },
        },
        "risk_signals": signals,
    }], "needs_refetch": [] })
}

/// The history of the project and the report have days of their own.
fn either(printed: &Value, own: Value, report: Value) -> Value {
    let id = printed["customers"][0]["stripe_customer_ids"][0].as_str();
    if id.is_some_and(|id| id.starts_with("cus_Pg")) {
        own
    } else {
        report
    }
}

fn first_failure(printed: &Value) -> Value {
    either(
        printed,
        in_grace("2026-10-03T10:00:00Z", "2026-10-17T10:00:00Z", &FAILED),
        in_grace("2026-10-31T13:00:00Z", "2026-11-14T13:00:00Z", &FAILED),
    )
}

fn since_due(printed: &Value) -> Value {
    either(
        printed,
        in_grace(
            "2026-09-04T10:00:00Z",
            "2026-09-18T10:00:00Z",
            &["past_due"],
        ),
        in_grace(
            "2026-10-01T12:00:00Z",
            "2026-10-15T12:00:00Z",
            &["past_due"],
        ),
    )
}

fn either_guest(printed: &Value, own: i64, report: i64) -> i64 {
    let id = printed["customers"][0]["customer_id"].as_str();
    let is_own = id.is_some_and(|id| id.starts_with("cs_test_Pg"));
    if is_own { own } else { report }
}

const CONTROL_FIRST_FAILURE: Report = Report {
    history: "control_first_failure",
    state: first_failure,
    events: &[("invoice.payment_failed", || json!({ "attempt_count": 1 }))],
    silent: &["payment_retries_exhausted"],
    is_dated: false,
};

const UNCOLLECTIBLE_THEN_FIRST_FAILURE: Report = Report {
    history: "uncollectible_then_first_failure",
    state: first_failure,
    events: &[("invoice.payment_failed", || json!({ "attempt_count": 1 }))],
    silent: &["payment_retries_exhausted"],
    is_dated: false,
};

const PAUSE_MARK_UNCOLLECTIBLE: Report = Report {
    history: "pause_mark_uncollectible",
    state: |_| {
        json!({ "customers": [{
            "billing": { "billing_status": "paused", "access": { "level": "full" } },
            "health_score": 100, "risk_signals": [],
        }] })
    },
    events: &[],
    silent: &["risk_signal_raised", "payment_retries_exhausted"],
    is_dated: false,
};

const BANK_DEBIT_PROCESSING: Report = Report {
    history: "bank_debit_processing",
    state: |_| {
        json!({ "customers": [{
            "billing": { "billing_status": "active", "access": { "level": "full" } },
            "health_score": 100, "risk_signals": [],
        }] })
    },
    events: &[],
    silent: &["risk_signal_raised", "payment_retries_exhausted"],
    is_dated: false,
};

const BANK_DEBIT_FAILS_DAYS_LATER: Report = Report {
    history: "bank_debit_fails_days_later",
    state: |_| {
        json!({ "customers": [{
            "billing": { "billing_status": "past_due", "access": { "level": "restricted" } },
            "risk_signals": [
                { "kind": "failed_payment", "since": "2026-08-11T06:00:01Z",
                    "evidence": { "decline_code": null } },
                { "kind": "past_due", "since": "2026-08-11T06:00:01Z", "severity": "critical" },
            ],
        }] })
    },
    events: &[(
        "payment_retries_exhausted",
        || json!({ "attempt_count": 1, "decline_code": null }),
    )],
    silent: &[],
    is_dated: false,
};

const SEND_INVOICE_PAST_DUE: Report = Report {
    history: "send_invoice_past_due",
    state: since_due,
    events: &[("subscription_past_due", || json!({ "past_due_days": 0 }))],
    silent: &["payment_retries_exhausted"],
    is_dated: false,
};

/// A card that is declined on the hosted page makes nobody past due before the due date.
const SEND_INVOICE_DECLINED_THEN_PAST_DUE: Report = Report {
    history: "send_invoice_declined_then_past_due",
    state: since_due,
    events: &[
        ("invoice.payment_failed", || {
            json!({ "decline_code": "do_not_honor", "advice_code": "try_again_later",
                "decline_kind": "soft" })
        }),
        (
            "subscription_past_due",
            || json!({ "past_due_days": 0, "past_due_since": "2026-09-04T10:00:00Z" }),
        ),
    ],
    silent: &["payment_retries_exhausted"],
    is_dated: false,
};

const YEARLY_PRORATION_PAST_DUE: Report = Report {
    history: "yearly_proration_past_due",
    state: |printed| {
        either(
            printed,
            in_grace("2026-10-10T16:00:05Z", "2026-10-24T16:00:05Z", &FAILED),
            in_grace("2026-09-01T12:00:05Z", "2026-09-15T12:00:05Z", &FAILED),
        )
    },
    events: &[("subscription_past_due", || json!({ "past_due_days": 0 }))],
    silent: &["payment_retries_exhausted"],
    is_dated: false,
};

const DIRECT_CHARGE_REFUND: Report = Report {
    history: "direct_charge_refund",
    state: |_| json!({ "customers": [{ "billing": { "lifetime_value": {} } }] }),
    events: &[],
    silent: &[],
    is_dated: false,
};

/// Whoever pays without a customer is published, counted and listed under the session's id.
const GUEST_CHECKOUT: Report = Report {
    history: "guest_checkout",
    state: |printed| {
        let paid = either_guest(printed, 6_100, 4_900);
        json!({ "customers": [{
            "stripe_customer_ids": [], "billing": { "lifetime_value": { "usd": paid } },
        }] })
    },
    events: &[
        ("checkout_completed", || json!({ "mode": "payment" })),
        ("payment_succeeded", || json!({ "mode": "payment" })),
    ],
    silent: &[],
    is_dated: false,
};

const GUEST_CHECKOUT_WITH_REFERENCE: Report = Report {
    history: "guest_checkout_with_reference",
    state: |_| {
        json!({ "customers": [{
            "customer_id": "team-42", "billing": { "lifetime_value": { "usd": 6_100 } },
        }] })
    },
    events: &[
        ("checkout_completed", || json!({ "mode": "payment" })),
        (
            "payment_succeeded",
            || json!({ "amount": { "usd": 6_100 } }),
        ),
    ],
    silent: &[],
    is_dated: false,
};
