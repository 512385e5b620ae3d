//! What people who run Stripe syncs have reported, as histories, each with the right result.
//!
//! An entry is a test that is named after the report's row and calls [`Report::check`]:
//!
//! ```text
//! #[test]
//! fn r2_pause_mark_uncollectible() {
//!     Report {
//!         history: "pause_mark_uncollectible",   // events/histories/<history>.ndjson
//!         state: |_| json!({ "customers": [{ "health_score": 100 }] }),
//!         events: &[],                           // each must be published, with at least this data
//!         silent: &["risk_signal_raised"],       // none of these is ever published
//!     }
//!     .check();
//! }
//! ```
//!
//! The project's own history is always folded. The file of the same name in `../shared/reports` is
//! folded too where that folder exists, so `state` names no ids. Each file is folded in order and
//! in twenty shuffles with repeats. `state` and `silent` hold in every order, `events` in the
//! history's own order, because an event tells only what is known by then.
//!
//! `state` is given what was printed, for histories whose days differ. It is a subset of what
//! `paygraph fold` prints: an object needs at least these fields, a list needs exactly these elements
//! in this order.

mod shapes;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;

/// How often a history is shuffled.
const SHUFFLES: u64 = 20;

/// The type of an event, and a subset of its data.
type Published = (&'static str, fn() -> Value);

/// A history with what it must come to.
struct Report {
    /// The file's name without its ending.
    history: &'static str,
    /// What `fold` prints, as a subset without ids.
    state: fn(&Value) -> Value,
    /// Events that must be published when the history comes in order: type and a subset of the data.
    events: &'static [Published],
    /// Types of events that must never be published.
    silent: &'static [&'static str],
}

impl Report {
    fn check(&self) {
        for file in Self::files(self.history) {
            let history = std::fs::read_to_string(&file).unwrap();
            let history: Vec<&str> = history.lines().filter(|line| !line.is_empty()).collect();
            assert!(!history.is_empty(), "{} is empty", file.display());
            let straight = print(&history);
            let place = file.display().to_string();
            self.check_state(&straight, &format!("{place} in order"));
            for (name, data) in self.events {
                let published = straight["events"].as_array().unwrap().iter();
                let mut published = published.filter(|event| event["detail_type"] == *name);
                let data = data();
                assert!(
                    published.any(|event| lacks(&data, &event["data"], name).is_none()),
                    "{place}: no {name} with {data}"
                );
            }
            for seed in 0..SHUFFLES {
                let shuffled = shuffle(&history, seed);
                self.check_state(&print(&shuffled), &format!("{place}, shuffle {seed}"));
            }
        }
    }

    /// The project's own history, and the report's where it is at hand.
    fn files(history: &str) -> Vec<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let name = format!("{history}.ndjson");
        let own = root.join("events/histories").join(&name);
        let report = root.join("../shared/reports").join(&name);
        std::iter::once(own)
            .chain(Some(report).filter(|report| report.exists()))
            .collect()
    }

    fn check_state(&self, printed: &Value, place: &str) {
        assert!(printed["rejected"].is_null(), "{place}: {printed:#}");
        if let Some(missing) = lacks(&(self.state)(printed), printed, "") {
            panic!("{place}: {missing}");
        }
        for event in printed["events"].as_array().unwrap() {
            let name = event["detail_type"].as_str().unwrap();
            assert!(!self.silent.contains(&name), "{place}: {event:#}");
        }
    }
}

/// All that `paygraph fold` prints for a history.
fn print(history: &[&str]) -> Value {
    let input = Box::new(io::Cursor::new(history.join("\n")));
    let bus = Lines::new().unwrap();
    let folded = fold(input, Settings::example().unwrap(), None, &bus).unwrap();
    let mut out = b"{\"events\":[".to_vec();
    bus.copy_to(&mut out).unwrap();
    out.push(b']');
    folded.write(&mut out).unwrap();
    out.push(b'}');
    serde_json::from_slice(&out).unwrap()
}

/// The history in another order, with every fourth event twice.
fn shuffle<'h>(history: &[&'h str], seed: u64) -> Vec<&'h str> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut shuffled = history.to_vec();
    shuffled.extend(history.iter().filter(|_| random.u8(0..4) == 0));
    random.shuffle(&mut shuffled);
    shuffled
}

/// Where a value lacks something that is expected.
fn lacks(expected: &Value, found: &Value, path: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) if !expected.is_empty() => {
            expected.iter().find_map(|(name, expected)| {
                let found = found.get(name).unwrap_or(&Value::Null);
                lacks(expected, found, &format!("{path}.{name}"))
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let pairs = expected.iter().zip(found).enumerate();
            pairs
                .map(|(place, (expected, found))| {
                    lacks(expected, found, &format!("{path}[{place}]"))
                })
                .find_map(|missing| missing)
        }
        _ if expected == found => None,
        _ => Some(format!("{path}: expected {expected}, found {found}")),
    }
}

#[test]
fn a_subset_names_what_is_missing() {
    let found = json!({ "a": { "b": [1, 2], "c": {} }, "d": null });
    let holds = |expected: Value| lacks(&expected, &found, "").is_none();
    assert!(holds(json!({ "a": { "b": [1, 2] } })));
    assert!(holds(json!({ "a": { "c": {} }, "d": null, "e": null })));
    assert!(!holds(json!({ "a": {} })), "an empty object means empty");
    assert!(!holds(json!({ "a": { "b": [1] } })), "a list is whole");
    assert!(
        !holds(json!({ "a": { "b": [2, 1] } })),
        "a list has an order"
    );
    assert!(!holds(json!({ "d": 0 })));
}

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

const FAILED: [&str; 3] = ["failed_payment", "dunning", "past_due"];

fn first_failure(printed: &Value) -> Value {
    either(
        printed,
        in_grace("2026-10-03T10:00:00Z", "2026-10-17T10:00:00Z", &FAILED),
        in_grace("2026-10-31T13:00:00Z", "2026-11-14T13:00:00Z", &FAILED),
    )
}

#[test]
fn r1_control_first_failure() {
    Report {
        history: "control_first_failure",
        state: first_failure,
        events: &[("invoice.payment_failed", || json!({ "attempt_count": 1 }))],
        silent: &["payment_retries_exhausted"],
    }
    .check();
}

#[test]
fn r1_uncollectible_then_first_failure() {
    Report {
        history: "uncollectible_then_first_failure",
        state: first_failure,
        events: &[("invoice.payment_failed", || json!({ "attempt_count": 1 }))],
        silent: &["payment_retries_exhausted"],
    }
    .check();
}

#[test]
fn r2_pause_mark_uncollectible() {
    Report {
        history: "pause_mark_uncollectible",
        state: |_| {
            json!({ "customers": [{
                "billing": { "billing_status": "paused", "access": { "level": "full" } },
                "health_score": 100, "risk_signals": [],
            }] })
        },
        events: &[],
        silent: &["risk_signal_raised", "payment_retries_exhausted"],
    }
    .check();
}

#[test]
fn r3_bank_debit_processing() {
    Report {
        history: "bank_debit_processing",
        state: |_| {
            json!({ "customers": [{
                "billing": { "billing_status": "active", "access": { "level": "full" } },
                "health_score": 100, "risk_signals": [],
            }] })
        },
        events: &[],
        silent: &["risk_signal_raised", "payment_retries_exhausted"],
    }
    .check();
}

#[test]
fn r3_bank_debit_fails_days_later() {
    Report {
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
    }
    .check();
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

#[test]
fn r4_send_invoice_past_due() {
    Report {
        history: "send_invoice_past_due",
        state: since_due,
        events: &[("subscription_past_due", || json!({ "past_due_days": 0 }))],
        silent: &["payment_retries_exhausted"],
    }
    .check();
}

/// A card that is declined on the hosted page makes nobody past due before the due date.
#[test]
fn r4_send_invoice_declined_then_past_due() {
    Report {
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
    }
    .check();
}

#[test]
fn r5_yearly_proration_past_due() {
    Report {
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
    }
    .check();
}

#[test]
fn r9_direct_charge_refund() {
    Report {
        history: "direct_charge_refund",
        state: |_| json!({ "customers": [{ "billing": { "lifetime_value": {} } }] }),
        events: &[],
        silent: &[],
    }
    .check();
}

/// The same before each refund.
#[test]
fn r9_direct_charge_counts_until_it_is_refunded() {
    for file in Report::files("direct_charge_refund") {
        let history = std::fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = history.lines().collect();
        let value = |count: usize| {
            let printed = print(lines.get(..count).unwrap());
            printed["customers"][0]["billing"]["lifetime_value"].clone()
        };
        let charge: Value = serde_json::from_str(lines[1]).unwrap();
        let amount = charge["data"]["object"]["amount"].as_i64().unwrap();
        assert_eq!(value(2), json!({ "usd": amount }));
        let refund: Value = serde_json::from_str(lines[2]).unwrap();
        let left = amount - refund["data"]["object"]["amount"].as_i64().unwrap();
        let left = if left == 0 {
            json!({})
        } else {
            json!({ "usd": left })
        };
        assert_eq!(value(3), left);
        assert_eq!(value(4), left, "the refund is told twice and counts once");
    }
}

/// Whoever pays without a customer is published, counted and listed under the session's id.
#[test]
fn r11_guest_checkout() {
    Report {
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
    }
    .check();
}

fn either_guest(printed: &Value, own: i64, report: i64) -> i64 {
    let id = printed["customers"][0]["customer_id"].as_str();
    let is_own = id.is_some_and(|id| id.starts_with("cs_test_Pg"));
    if is_own { own } else { report }
}

#[test]
fn r11_guest_checkout_with_reference() {
    Report {
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
    }
    .check();
}
