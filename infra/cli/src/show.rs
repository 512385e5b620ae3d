//! Customers, changes and events as text for a terminal.

use std::fmt::Write;

use paygraph_domain::money::Currency;
use serde_json::Value;

/// Amounts in the major unit: `$58.00`, `€9.99`, `1200 jpy`; `–` for none.
pub fn money(amounts: &Value) -> String {
    let each = amounts
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(code, minor)| {
            let number = Currency::parse(code)
                .ok()?
                .major(minor.as_i64().unwrap_or(0));
            Some(in_currency(code, &number))
        });
    let text = each.collect::<Vec<_>>().join(" + ");
    if text.is_empty() {
        "–".to_owned()
    } else {
        text
    }
}

/// A number with its currency's sign or code.
pub fn in_currency(code: &str, number: &str) -> String {
    match code {
        "usd" => format!("${number}"),
        "eur" => format!("€{number}"),
        other => format!("{number} {other}"),
    }
}

/// Any value on one line.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(map) if map.is_empty() => "–".to_owned(),
        Value::Object(map) if map.keys().all(|key| key.len() == 3) => money(value),
        Value::Object(map) => {
            let known = map.iter().filter(|(_, value)| !value.is_null());
            known
                .map(|(key, value)| format!("{key} {}", plain(value)))
                .collect::<Vec<_>>()
                .join(", ")
        }
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A customer's record as a small table.
pub fn customer(record: &Value) -> String {
    let billing = &record["billing"];
    let day = |value: &Value| {
        value
            .as_str()
            .map_or("–".to_owned(), |at| at.chars().take(10).collect())
    };
    let mut out = String::new();
    let _ = writeln!(
        out,
        "  {} {}",
        plain(&record["customer_id"]),
        plain(&record["email"])
    );
    let rows = [
        ("status", plain(&billing["billing_status"])),
        (
            "plan",
            format!(
                "{} ({})",
                plain(&billing["plan_name"]),
                plain(&billing["tier"])
            ),
        ),
        (
            "MRR",
            format!(
                "{}   ARR {}",
                money(&billing["mrr"]),
                money(&billing["arr"])
            ),
        ),
        ("trial ends", day(&billing["trial_end_date"])),
        ("renews", day(&billing["renewal_date"])),
        ("ends", day(&billing["cancel_at"])),
        ("lifetime", money(&billing["lifetime_value"])),
        ("pays with", payment_method(&billing["payment_method"])),
    ];
    for (name, value) in rows {
        let _ = writeln!(out, "    {name:<11} {value}");
    }
    out
}

fn payment_method(method: &Value) -> String {
    if method["on_file"].as_bool() != Some(true) {
        return "nothing on file".to_owned();
    }
    format!(
        "{} {} ••••{}",
        plain(&method["type"]),
        plain(&method["brand"]),
        plain(&method["last4"])
    )
}

/// Which subscriptions make a customer's state.
pub fn reasons(record: &Value, subscriptions: &Value) -> String {
    let mut out = String::from("  because of\n");
    let list = subscriptions
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if list.is_empty() {
        let _ = writeln!(
            out,
            "    no subscription: the tier is the default, {}",
            plain(&record["billing"]["tier"])
        );
    }
    for subscription in list {
        let paused = if subscription["paused"] == true {
            ", collection paused"
        } else {
            ""
        };
        let unsure = if subscription["needs_refetch"] == true {
            ", to be fetched from Stripe"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "    {}  {}{paused}  {} × {}  MRR {}  until {}{unsure}",
            plain(&subscription["id"]),
            plain(&subscription["status"]),
            plain(&subscription["quantity"]),
            plain(&subscription["plan_name"]),
            money(&subscription["mrr"]),
            plain(&subscription["current_period_end"]),
        );
    }
    out
}

/// Changes, as the API gives them.
pub fn audit(entries: &Value) -> String {
    let mut out = String::from("  last changes, newest first\n");
    for entry in entries.as_array().into_iter().flatten() {
        let _ = writeln!(
            out,
            "    {}  {} by {}",
            plain(&entry["at"]),
            plain(&entry["cause"]),
            plain(&entry["source"])
        );
        for change in entry["changes"].as_array().into_iter().flatten() {
            let (before, after) = (plain(&change["before"]), plain(&change["after"]));
            let _ = writeln!(out, "      {}: {before} → {after}", plain(&change["field"]));
        }
    }
    out
}
