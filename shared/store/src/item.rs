//! Items: what stands beside the keys.
//!
//! The body of an item is one JSON document in `doc`, with the version of its shape in `schema`;
//! only what conditions and indexes need stands beside it. (Why: docs/adr/0003.)

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use paygraph_engine::ports::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An item as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

/// The version of the documents' shapes that is written.
pub const SCHEMA: u32 = 1;

/// A text attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// An item with its keys.
pub fn keyed(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// Puts a document into an item.
pub fn with_doc(mut item: Item, doc: &impl Serialize) -> Result<Item, StoreError> {
    let json = serde_json::to_string(doc).map_err(|error| unreadable("a document", error))?;
    item.insert("doc".to_owned(), text(json));
    item.insert("schema".to_owned(), number(SCHEMA));
    Ok(item)
}

/// An item's document.
pub fn doc<T: DeserializeOwned>(item: &Item) -> Result<T, StoreError> {
    let json = get_text(item, "doc").unwrap_or_default();
    serde_json::from_str(json)
        .map_err(|error| unreadable(get_text(item, "sk").unwrap_or("?"), error))
}

/// A text of an item.
pub fn get_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .map(String::as_str)
}

/// A number of an item; 0 when it is not there.
pub fn get_number(item: &Item, name: &str) -> u64 {
    let number = item.get(name).and_then(|value| value.as_n().ok());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// How many bytes `DynamoDB` counts of an item that has texts and numbers: the names and the values.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub fn item_bytes(item: &Item) -> usize {
    let text_bytes = |value: &AttributeValue| {
        let text = value.as_s().or_else(|_| value.as_n());
        text.map_or(0, String::len)
    };
    let attributes = item.iter();
    attributes
        .map(|(name, value)| name.len() + text_bytes(value))
        .sum()
}

fn unreadable(what: &str, error: serde_json::Error) -> StoreError {
    StoreError {
        context: format!("{what} is not in a shape that this version reads"),
        retry: false,
        source: Some(error.into()),
    }
}
