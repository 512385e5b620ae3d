//! What changed, field by field.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One changed field, named by its place in the API's answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// `billing.mrr`, `subscriptions.sub_1.status`, …
    pub field: String,
    /// The value before; null when there was none.
    pub before: Value,
    /// The value after; null when there is none.
    pub after: Value,
}

/// The fields of something that is audited, in a fixed order.
pub type Fields = Vec<(&'static str, Value)>;

/// The differences between two readings of the same fields.
#[must_use]
pub fn diff(prefix: &str, before: Option<Fields>, after: Option<Fields>) -> Vec<Change> {
    let names = after
        .as_ref()
        .or(before.as_ref())
        .map(|f| f.iter().map(|(n, _)| *n).collect());
    let names: Vec<&str> = names.unwrap_or_default();
    let mut before = before
        .unwrap_or_default()
        .into_iter()
        .map(|(_, value)| value);
    let mut after = after
        .unwrap_or_default()
        .into_iter()
        .map(|(_, value)| value);
    let pairs = names.into_iter().map(|name| {
        (
            name,
            before.next().unwrap_or(Value::Null),
            after.next().unwrap_or(Value::Null),
        )
    });
    pairs
        .filter(|(_, before, after)| before != after && !(is_nothing(before) && is_nothing(after)))
        .map(|(name, before, after)| Change {
            field: format!("{prefix}{name}"),
            before,
            after,
        })
        .collect()
}

/// Nothing becoming an empty map, list or `false` is no change to tell of.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_told() {
        let before = vec![("a", json!(1)), ("b", json!("x"))];
        let after = vec![("a", json!(2)), ("b", json!("x"))];
        let changes = diff("p.", Some(before), Some(after.clone()));
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (changes[0].field.as_str(), &changes[0].after),
            ("p.a", &json!(2))
        );
        assert_eq!(diff("p.", None, Some(after)).len(), 2);
        assert!(diff("p.", None, None).is_empty());
    }
}
