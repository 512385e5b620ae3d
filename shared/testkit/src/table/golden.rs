//! Items as golden files have them: texts as strings, numbers as numbers, the document as JSON.
#![expect(
    clippy::panic,
    reason = "a golden file that cannot be read fails its test"
)]

use serde_json::{Map, Value, json};

use super::{WireItem, text};

/// An item as its golden file has it: the keys first and the document last, in the order of its own
/// fields. A token's key is random, so it is left out.
///
/// # Panics
/// If an attribute has a type that paygraph does not write.
#[must_use]
pub fn to_golden(item: &WireItem) -> String {
    let mut fields = Vec::new();
    for name in ["pk", "sk"] {
        let key = match text(item, name).split_once("#TOKEN#") {
            Some((tenant, _)) => format!("{tenant}#TOKEN#(hash)"),
            None => text(item, name).to_owned(),
        };
        fields.push(format!("{}:{}", json!(name), json!(key)));
    }
    let mut others: Vec<_> = item
        .iter()
        .filter(|(name, _)| !["pk", "sk", "doc"].contains(&name.as_str()))
        .collect();
    // An SDK sends attributes in no order.
    others.sort_by_key(|(name, _)| *name);
    let others = others.into_iter();
    fields.extend(others.map(|(name, value)| format!("{}:{}", json!(name), plain(value))));
    if item.contains_key("doc") {
        fields.push(format!("\"doc\":{}", text(item, "doc")));
    }
    format!("{{{}}}", fields.join(","))
}

fn plain(value: &Value) -> String {
    let attribute = value.as_object().and_then(|value| value.iter().next());
    match attribute {
        Some((kind, value)) if kind == "S" => value.to_string(),
        Some((kind, Value::String(number))) if kind == "N" => number.clone(),
        Some((kind, Value::Array(list))) if kind == "L" => {
            let list: Vec<_> = list.iter().map(plain).collect();
            format!("[{}]", list.join(","))
        }
        // A set, which is told from a list by its type.
        Some((kind, Value::Array(_))) if kind == "SS" => value.to_string(),
        _ => panic!("golden files do not know the attribute {value}"),
    }
}

/// The item that a golden file has.
///
/// # Panics
/// If the value is no item.
#[must_use]
pub fn from_golden(item: &Value) -> WireItem {
    let Some(fields) = item.as_object() else {
        panic!("no item: {item}")
    };
    let attribute = |(name, value): (&String, &Value)| {
        let value = match name.as_str() {
            "doc" => json!({ "S": value.to_string() }),
            _ => wire(value),
        };
        (name.clone(), value)
    };
    fields.iter().map(attribute).collect::<Map<_, _>>()
}

fn wire(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({ "S": text }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::Array(list) => json!({ "L": list.iter().map(wire).collect::<Vec<_>>() }),
        Value::Object(set) if set.contains_key("SS") => value.clone(),
        Value::Null | Value::Bool(_) | Value::Object(_) => panic!("no attribute: {value}"),
    }
}
