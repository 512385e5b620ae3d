//! A table in memory that answers DynamoDB's requests, in its JSON protocol.
//!
//! It evaluates conditions, updates and key conditions, refuses what a transaction may not contain,
//! and answers in pages. It knows the table of `template.yaml` (keys, indexes, projections) and the
//! parts of the expression language that paygraph uses; anything else fails the test. It has no
//! throttling, no size limits and no capacity.
//!
//! The protocol: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/Welcome.html>
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "JSON that is not there reads as null, and a request that the table does not know fails its test"
)]

mod expression;
mod golden;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use self::expression::Expression;
pub use self::golden::{from_golden, to_golden};

/// An item: attribute values by name, as DynamoDB writes them (`{"S": "…"}`).
pub type WireItem = Map<String, Value>;

type Items = BTreeMap<(String, String), WireItem>;

/// The most writes that one transaction takes.
const MAX_TRANSACTION: usize = 100;

/// One table.
#[derive(Debug, Default)]
pub struct FakeTable {
    items: Mutex<Items>,
}

/// Why a request is refused: the error's name, and fields beside it.
struct Refusal(&'static str, Value);

type Answer = Result<Value, Refusal>;

impl FakeTable {
    /// Answers a request: the HTTP status and the body.
    ///
    /// # Panics
    /// If the request is none that paygraph makes.
    pub fn answer(&self, operation: &str, request: &str) -> (u16, String) {
        let request: Value = serde_json::from_str(request)
            .unwrap_or_else(|error| panic!("a request that is no JSON: {error}"));
        let mut items = self.lock();
        let answer = match operation {
            "GetItem" => Ok(get(&items, &request)),
            "Query" => Ok(query(&items, &request)),
            "BatchGetItem" => Ok(batch_get(&items, &request)),
            "PutItem" => write(&mut items, "Put", &request),
            "UpdateItem" => write(&mut items, "Update", &request),
            "DeleteItem" => write(&mut items, "Delete", &request),
            "TransactWriteItems" => transact(&mut items, &request),
            other => panic!("the table does not know {other}"),
        };
        match answer {
            Ok(body) => (200, body.to_string()),
            Err(Refusal(name, mut body)) => {
                body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{name}"));
                (400, body.to_string())
            }
        }
    }

    /// Every item, in the order of the keys.
    #[must_use]
    pub fn items(&self) -> Vec<WireItem> {
        self.lock().values().cloned().collect()
    }

    /// The table with the items of all golden files in a directory.
    ///
    /// # Panics
    /// If a file cannot be read.
    #[must_use]
    pub fn of_golden_files(directory: &Path) -> Self {
        let table = Self::default();
        let items = golden_items(directory);
        let items = items.unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        for item in &items {
            table.put(from_golden(item));
        }
        table
    }

    /// Puts an item without a condition.
    pub fn put(&self, item: WireItem) {
        self.lock().insert(key_of(&item), item);
    }

    fn lock(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attribute's text; empty if it is not there.
#[must_use]
pub fn text<'a>(item: &'a WireItem, name: &str) -> &'a str {
    let value = item.get(name).and_then(|value| value["S"].as_str());
    value.unwrap_or_default()
}

fn golden_items(directory: &Path) -> io::Result<Vec<Value>> {
    let mut items = Vec::new();
    for entry in fs::read_dir(directory)? {
        let text = fs::read_to_string(entry?.path())?;
        items.extend(serde_json::from_str::<Vec<Value>>(&text)?);
    }
    Ok(items)
}

fn key_of(item: &WireItem) -> (String, String) {
    let key = (text(item, "pk").to_owned(), text(item, "sk").to_owned());
    assert!(!key.0.is_empty() && !key.1.is_empty(), "an item has no key");
    key
}

fn fields(value: &Value) -> WireItem {
    value.as_object().cloned().unwrap_or_default()
}

fn get(items: &Items, request: &Value) -> Value {
    let found = items.get(&key_of(&fields(&request["Key"])));
    found.map_or_else(|| json!({}), |item| json!({ "Item": item }))
}

fn batch_get(items: &Items, request: &Value) -> Value {
    let mut responses = Map::new();
    for (table, asked) in &fields(&request["RequestItems"]) {
        let keys = asked["Keys"].as_array().into_iter().flatten();
        let keys: Vec<_> = keys.map(|key| key_of(&fields(key))).collect();
        let distinct: BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "a key is asked for twice");
        let found: Vec<_> = keys.iter().filter_map(|key| items.get(key)).collect();
        responses.insert(table.clone(), json!(found));
    }
    json!({ "Responses": responses, "UnprocessedKeys": {} })
}

fn query(items: &Items, request: &Value) -> Value {
    let index = request["IndexName"].as_str();
    let (hash, range) = match index {
        Some(index) => (format!("{index}_pk"), format!("{index}_sk")),
        None => ("pk".to_owned(), "sk".to_owned()),
    };
    let condition = Expression::new(request, "KeyConditionExpression");
    let place = |item: &WireItem| (text(item, &range).to_owned(), key_of(item));
    let mut found: Vec<_> = items
        .values()
        .filter(|item| item.contains_key(&hash) && condition.is_met(Some(item)))
        .collect();
    found.sort_by_key(|item| place(item));
    let is_forward = request["ScanIndexForward"].as_bool().unwrap_or(true);
    if !is_forward {
        found.reverse();
    }
    if let Some(start) = request["ExclusiveStartKey"].as_object() {
        // A start on the table itself names no index key: its own sort key is the range.
        let start = place(start);
        found.retain(|item| match is_forward {
            true => place(item) > start,
            false => place(item) < start,
        });
    }
    let limit = request["Limit"]
        .as_u64()
        .and_then(|n| usize::try_from(n).ok());
    found.truncate(limit.unwrap_or(usize::MAX));
    let keys = [&hash, &range, "pk", "sk"].map(ToOwned::to_owned);
    let keys_of = |item: &WireItem| -> WireItem {
        let kept = item.iter().filter(|(name, _)| keys.contains(name));
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    // Of the indexes only `pending` has whole items.
    let is_whole = matches!(index, None | Some("pending"));
    let mut answer = json!({ "Count": found.len(), "ScannedCount": found.len() });
    if request["Select"] != "COUNT" {
        let shown = found.iter().map(|item| match is_whole {
            true => (*item).clone(),
            false => keys_of(item),
        });
        answer["Items"] = shown.collect();
    }
    // DynamoDB gives a place to go on from whenever it stops at the limit.
    if let Some(last) = found.last().filter(|_| limit == Some(found.len())) {
        answer["LastEvaluatedKey"] = json!(keys_of(last));
    }
    answer
}

/// One conditional write; `kind` is its name in a transaction.
fn write(items: &mut Items, kind: &str, request: &Value) -> Answer {
    let key = target(request);
    let former = items.get(&key).cloned();
    let condition = Expression::new(request, "ConditionExpression");
    if !condition.is_met(former.as_ref()) {
        let message = json!({ "message": "The conditional request failed" });
        return Err(Refusal("ConditionalCheckFailedException", message));
    }
    let latter = match kind {
        "Put" => Some(fields(&request["Item"])),
        "Update" => {
            let item = former.clone().unwrap_or_else(|| fields(&request["Key"]));
            Some(Expression::new(request, "UpdateExpression").update(item))
        }
        "Delete" => None,
        "ConditionCheck" => former.clone(),
        other => panic!("the table does not know {other}"),
    };
    match &latter {
        Some(item) => items.insert(key, item.clone()),
        None => items.remove(&key),
    };
    Ok(match request["ReturnValues"].as_str() {
        Some("ALL_NEW") => json!({ "Attributes": latter }),
        Some("ALL_OLD") => former.map_or_else(|| json!({}), |item| json!({ "Attributes": item })),
        _ => json!({}),
    })
}

fn target(request: &Value) -> (String, String) {
    let named = request.get("Key").or_else(|| request.get("Item"));
    key_of(&fields(named.unwrap_or(&Value::Null)))
}

/// Everything or nothing.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
fn transact(items: &mut Items, request: &Value) -> Answer {
    let invalid = |message: &str| Refusal("ValidationException", json!({ "message": message }));
    let writes = request["TransactItems"].as_array().into_iter().flatten();
    let writes: Vec<_> = writes.flat_map(fields).collect();
    if writes.is_empty() || writes.len() > MAX_TRANSACTION {
        return Err(invalid("Member must have length between 1 and 100"));
    }
    let distinct: BTreeSet<_> = writes.iter().map(|(_, write)| target(write)).collect();
    if distinct.len() < writes.len() {
        let message = "Transaction request cannot include multiple operations on one item";
        return Err(invalid(message));
    }
    let mut after = items.clone();
    let done = writes
        .iter()
        .map(|(kind, request)| write(&mut after, kind, request));
    let codes: Vec<_> = done
        .map(|done| match done {
            Ok(_) => json!({ "Code": "None" }),
            Err(_) => json!({ "Code": "ConditionalCheckFailed" }),
        })
        .collect();
    if codes.iter().any(|reason| reason["Code"] != "None") {
        let body = json!({ "Message": "Transaction cancelled", "CancellationReasons": codes });
        return Err(Refusal("TransactionCanceledException", body));
    }
    *items = after;
    Ok(json!({}))
}

#[cfg(test)]
mod tests;
