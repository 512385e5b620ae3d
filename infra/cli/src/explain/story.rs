//! How a customer stands, in sentences.

use std::fmt::Write;

use serde_json::Value;

use crate::show::{money, plain};

/// Access, health, signals and segments of a record, as the API gives it.
pub fn standing(record: &Value) -> String {
    let mut out = String::from("  how it stands\n");
    let _ = writeln!(out, "    {}", access(record));
    let _ = writeln!(out, "    {}", health(record));
    for signal in list(&record["risk_signals"]) {
        let (word, since) = (plain(&signal["kind"]), day(&signal["since"]));
        let severity = plain(&signal["severity"]);
        let _ = writeln!(
            out,
            "      {word} ({severity}) since {since}: {}",
            evidence(signal)
        );
    }
    let segments = list(&record["segments"]);
    let _ = match segments {
        [] => writeln!(out, "    In no segment."),
        some => writeln!(
            out,
            "    In the segments {}.",
            words(some.iter().map(plain))
        ),
    };
    out
}

/// How much may be used, until when, and why.
fn access(record: &Value) -> String {
    let (billing, access) = (&record["billing"], &record["billing"]["access"]);
    let status = billing["billing_status"].as_str().unwrap_or("none");
    let signal = |kind: &str| {
        let signals = list(&record["risk_signals"]).iter();
        signals.clone().find(|signal| signal["kind"] == *kind)
    };
    let overdue = signal("past_due").or_else(|| signal("failed_payment"));
    let since = overdue.map(|signal| format!(" since {}", day(&signal["since"])));
    let since = since.unwrap_or_default();
    match access["level"].as_str().unwrap_or("none") {
        "full" => match status {
            "active" => "May use everything: it pays.".to_owned(),
            "trialing" => format!(
                "May use everything: it is in a trial until {}.",
                day(&billing["trial_end_date"])
            ),
            "paused" => "May use everything: only the collection is paused.".to_owned(),
            _ => "May use everything: a subscription runs, or it was bought for good.".to_owned(),
        },
        "grace" => format!(
            "May use everything until {}: a payment is due{since}, and these are the days of \
             grace. Then access is restricted, unless it is paid.",
            minute(&access["until"])
        ),
        "restricted" => {
            let exhausted = |signal: &Value| signal["evidence"]["retries_exhausted"] == true;
            match (status, overdue) {
                ("paused", _) => "May use little: its subscription is paused.".to_owned(),
                (_, Some(signal)) if exhausted(signal) => {
                    format!("May use little: a payment is due{since}, and every attempt failed.")
                }
                ("unpaid", _) => format!("May use little: it is unpaid{since}."),
                _ => format!(
                    "May use little: a payment is due{since}, and the days of grace are over."
                ),
            }
        }
        _ => match status {
            "none" => "May use nothing that is paid for: it has no subscription.".to_owned(),
            "incomplete" => {
                "May use nothing that is paid for: the first payment is not made.".to_owned()
            }
            _ => "May use nothing that is paid for: every subscription has ended.".to_owned(),
        },
    }
}

fn health(record: &Value) -> String {
    let score = plain(&record["health_score"]);
    let reasons = list(&record["health_reasons"]).iter();
    let reason = |reason: &Value| {
        let points = reason["points"].as_i64().unwrap_or(0);
        let sign = if points < 0 { "−" } else { "+" };
        format!("{sign}{} {}", points.abs(), plain(&reason["kind"]))
    };
    let reasons: Vec<_> = reasons.map(reason).collect();
    if reasons.is_empty() {
        format!("Health {score} of 100.")
    } else {
        format!("Health {score} of 100: {}.", reasons.join(", "))
    }
}

/// What a signal is seen by.
fn evidence(signal: &Value) -> String {
    let seen = &signal["evidence"];
    match signal["kind"].as_str().unwrap_or_default() {
        "failed_payment" => {
            let why = seen["decline_code"].as_str();
            let why = why.map(|code| format!(" ({code})")).unwrap_or_default();
            let more = match seen["invoices"].as_u64() {
                Some(count @ 2..) => format!(", the first of {count}"),
                Some(_) | None => String::new(),
            };
            format!(
                "{} of invoice {}{more} could not be collected in {}{why}.",
                money(&seen["amount"]),
                plain(&seen["invoice"]),
                count(&seen["attempts"], "attempt"),
            )
        }
        "dunning" => format!(
            "Stripe tries invoice {} again on {}.",
            plain(&seen["invoice"]),
            minute(&seen["next_attempt"])
        ),
        "past_due" if seen["retries_exhausted"] == true => format!(
            "{} is not paid, and Stripe has given up trying.",
            plain(&seen["subscription"])
        ),
        "past_due" => format!("{} is not paid.", plain(&seen["subscription"])),
        "cancellation_requested" => {
            let why = seen["feedback"].as_str();
            let why = why.map(|why| format!("; the customer said: {why}"));
            format!(
                "{} ends on {}{}.",
                plain(&seen["subscription"]),
                day(&seen["cancel_at"]),
                why.unwrap_or_default()
            )
        }
        "downgrade" => {
            let (before, after) = (money(&seen["mrr_before"]), money(&seen["mrr_after"]));
            format!(
                "{} went from {} ({before} a month) to {} ({after} a month).",
                plain(&seen["subscription"]),
                plain(&seen["tier_before"]),
                plain(&seen["tier_after"]),
            )
        }
        "card_expiring" => {
            let card = format!("{} ••••{}", plain(&seen["brand"]), plain(&seen["last4"]));
            let verb = if seen["expired"] == true {
                "ran"
            } else {
                "runs"
            };
            format!("{card} {verb} out on {}.", day(&seen["expires_at"]))
        }
        "dispute" => {
            let why = seen["reason"].as_str();
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            format!(
                "{} is asked back in dispute {}{why}.",
                money(&seen["amount"]),
                plain(&seen["dispute"])
            )
        }
        _ => plain(seen),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn count(value: &Value, what: &str) -> String {
    let many = if value.as_u64() == Some(1) { "" } else { "s" };
    format!("{} {what}{many}", plain(value))
}

/// `a`, `a and b`, `a, b and c`.
fn words(each: impl Iterator<Item = String>) -> String {
    let mut each: Vec<_> = each.collect();
    match each.pop() {
        Some(last) if each.is_empty() => last,
        Some(last) => format!("{} and {last}", each.join(", ")),
        None => String::new(),
    }
}

/// The day of an instant.
fn day(value: &Value) -> String {
    value
        .as_str()
        .map_or("–".to_owned(), |at| at.chars().take(10).collect())
}

/// The minute of an instant.
fn minute(value: &Value) -> String {
    let text = |at: &str| at.chars().take(16).collect::<String>().replace('T', " ");
    value
        .as_str()
        .map_or("–".to_owned(), |at| format!("{} UTC", text(at)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn grace_is_told_with_its_end_and_its_reasons() {
        let record = json!({
            "billing": {
                "billing_status": "past_due",
                "access": { "level": "grace", "until": "2026-12-05T14:30:10Z" },
            },
            "health_score": 60,
            "health_reasons": [
                { "kind": "failed_payment", "points": -15 },
                { "kind": "past_due", "points": -20 },
                { "kind": "dunning", "points": -5 },
            ],
            "risk_signals": [
                {
                    "kind": "failed_payment", "severity": "medium", "since": "2026-11-21T14:30:10Z",
                    "evidence": { "invoice": "in_1", "amount": { "usd": 5800 }, "attempts": 1,
                        "decline_code": "insufficient_funds", "invoices": 1 },
                },
                {
                    "kind": "dunning", "severity": "medium", "since": "2026-11-21T14:30:10Z",
                    "evidence": { "invoice": "in_1", "attempts": 1,
                        "next_attempt": "2026-11-24T14:30:10Z" },
                },
                {
                    "kind": "past_due", "severity": "high", "since": "2026-11-21T14:30:10Z",
                    "evidence": { "subscription": "sub_1", "retries_exhausted": false },
                },
            ],
            "segments": ["failed_payment", "paying_with_failed_payment", "tier_team"],
        });
        let expected = "  how it stands
    May use everything until 2026-12-05 14:30 UTC: a payment is due since 2026-11-21, and these are the days of grace. Then access is restricted, unless it is paid.
    Health 60 of 100: −15 failed_payment, −20 past_due, −5 dunning.
      failed_payment (medium) since 2026-11-21: $58.00 of invoice in_1 could not be collected in 1 attempt (insufficient_funds).
      dunning (medium) since 2026-11-21: Stripe tries invoice in_1 again on 2026-11-24 14:30 UTC.
      past_due (high) since 2026-11-21: sub_1 is not paid.
    In the segments failed_payment, paying_with_failed_payment and tier_team.
";
        assert_eq!(standing(&record), expected);
    }

    #[test]
    fn every_level_has_its_reason() {
        let told = |level: &str, status: &str, exhausted: bool| {
            let evidence = json!({ "retries_exhausted": exhausted });
            let signal = json!({ "kind": "past_due", "since": "2026-11-21", "evidence": evidence });
            let owes = ["past_due", "unpaid"].contains(&status);
            access(&json!({
                "billing": { "billing_status": status, "access": { "level": level } },
                "risk_signals": if owes { json!([signal]) } else { json!([]) },
            }))
        };
        for (level, status, exhausted, part) in [
            ("full", "active", false, "it pays"),
            ("full", "trialing", false, "in a trial"),
            ("full", "canceled", false, "bought for good"),
            ("restricted", "past_due", false, "grace are over"),
            ("restricted", "past_due", true, "every attempt failed"),
            ("restricted", "unpaid", false, "unpaid since 2026-11-21"),
            ("restricted", "paused", false, "is paused"),
            ("none", "canceled", false, "has ended"),
            ("none", "none", false, "no subscription"),
        ] {
            let told = told(level, status, exhausted);
            assert!(told.contains(part), "{level} {status}: {told}");
        }
    }
}
