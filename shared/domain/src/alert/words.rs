//! Titles of alerts, from what a signal is seen by.

use serde_json::{Map, Value};

use crate::money::Currency;

/// A text of some evidence.
pub(super) fn text<'a>(evidence: &'a Value, name: &str) -> Option<&'a str> {
    evidence.get(name).and_then(Value::as_str)
}

/// A number of some evidence.
pub(super) fn number(evidence: &Value, name: &str) -> Option<u64> {
    evidence.get(name).and_then(Value::as_u64)
}

/// The day of an instant that stands in some evidence.
pub(super) fn day<'a>(evidence: &'a Value, name: &str) -> Option<&'a str> {
    text(evidence, name).and_then(|at| at.split('T').next())
}

/// Amounts by currency as people write them: `99.00 usd`.
pub(super) fn money(amounts: Option<&Value>) -> String {
    let amounts = amounts.and_then(Value::as_object).map(Map::iter);
    let each = amounts.into_iter().flatten().filter_map(|(code, minor)| {
        let major = Currency::parse(code).ok()?.major(minor.as_i64()?);
        Some(format!("{major} {code}"))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The parts that there are, with a sign between them.
pub(super) fn joined(parts: impl IntoIterator<Item = Option<String>>) -> String {
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_written_in_their_currency() {
        assert_eq!(money(Some(&json!({ "usd": 9_900 }))), "99.00 usd");
        assert_eq!(
            money(Some(&json!({ "jpy": 500, "usd": -5 }))),
            "500 jpy, -0.05 usd"
        );
        assert_eq!(money(None), "");
    }
}
