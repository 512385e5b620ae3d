//! Every report of [`paygraph_testkit::reports`], in order and in twenty shuffles with repeats.
//!
//! A test is named after the report's row. `state` and `silent` hold in every order, `events` in the
//! history's own order.

use paygraph_testkit::reports::{Report, lacks};
use serde_json::{Value, json};

use super::*;

/// How often a history is shuffled.
const SHUFFLES: u64 = 20;

fn check(history: &str) {
    let report = Report::of(history).unwrap();
    for file in report.files() {
        let history = std::fs::read_to_string(&file).unwrap();
        let history: Vec<&str> = history.lines().filter(|line| !line.is_empty()).collect();
        assert!(!history.is_empty(), "{} is empty", file.display());
        let straight = print(&history);
        let place = file.display().to_string();
        check_state(&report, &straight, &format!("{place} in order"));
        for (name, data) in report.events {
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
            let place = format!("{place}, shuffle {seed}");
            check_state(&report, &print(&shuffled), &place);
        }
    }
}

fn check_state(report: &Report, printed: &Value, place: &str) {
    assert!(printed["rejected"].is_null(), "{place}: {printed:#}");
    if let Some(missing) = lacks(&(report.state)(printed), printed, "") {
        panic!("{place}: {missing}");
    }
    for event in printed["events"].as_array().unwrap() {
        let name = event["detail_type"].as_str().unwrap();
        assert!(!report.silent.contains(&name), "{place}: {event:#}");
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

#[test]
fn r1_control_first_failure() {
    check("control_first_failure");
}

#[test]
fn r1_uncollectible_then_first_failure() {
    check("uncollectible_then_first_failure");
}

#[test]
fn r2_pause_mark_uncollectible() {
    check("pause_mark_uncollectible");
}

#[test]
fn r3_bank_debit_processing() {
    check("bank_debit_processing");
}

#[test]
fn r3_bank_debit_fails_days_later() {
    check("bank_debit_fails_days_later");
}

#[test]
fn r4_send_invoice_past_due() {
    check("send_invoice_past_due");
}

/// A card that is declined on the hosted page makes nobody past due before the due date.
#[test]
fn r4_send_invoice_declined_then_past_due() {
    check("send_invoice_declined_then_past_due");
}

#[test]
fn r5_yearly_proration_past_due() {
    check("yearly_proration_past_due");
}

#[test]
fn r9_direct_charge_refund() {
    check("direct_charge_refund");
}

/// Whoever pays without a customer is published, counted and listed under the session's id.
#[test]
fn r11_guest_checkout() {
    check("guest_checkout");
}

#[test]
fn r11_guest_checkout_with_reference() {
    check("guest_checkout_with_reference");
}

/// The same before each refund.
#[test]
fn r9_direct_charge_counts_until_it_is_refunded() {
    for file in Report::of("direct_charge_refund").unwrap().files() {
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

/// An event names no other currency of a price: its amount is not guessed.
#[test]
fn r6_multi_currency_price() {
    check("multi_currency_price");
}

/// The same for the amount of a coupon: the price counts, the coupon is asked for.
#[test]
fn r7_coupon_other_currency() {
    check("coupon_other_currency");
}

#[test]
fn r10_legacy_card() {
    check("legacy_card");
}

#[test]
fn r12_old_plan_id_with_hash() {
    check("old_plan_id_with_hash");
}

#[test]
fn r12_coupon_id_with_hash() {
    check("coupon_id_with_hash");
}

#[test]
fn r13_v1_thin_only() {
    check("v1_thin_only");
}
