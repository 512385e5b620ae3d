//! Segment's payloads, read tolerantly: what is not understood is left out, never refused.
//!
//! <https://segment.com/docs/connections/spec/common/>. Read are `identify`, `group` and `track`;
//! `page`, `screen`, `alias` and whatever comes later say nothing of a customer. Who has no
//! `userId` yet is nobody's user.

use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::said::Moment;
use super::{ProductEvent, Traits, What};
use crate::id::CustomerId;

/// The most events of one request.
pub const MAX_EVENTS: usize = 500;
/// The most traits or properties of an event that are read; of more, those that come first by name.
const MAX_TRAITS: usize = 200;
/// The most characters of a text.
const MAX_TEXT: usize = 500;
/// The most bytes of a trait's name.
const MAX_NAME: usize = 64;
/// The most bytes of a message's id: it is part of a key.
const MAX_MESSAGE: usize = 100;

/// What is no payload of Segment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSegment {
    /// It is no JSON.
    #[error("the body is no JSON")]
    Json,
    /// It is neither an event nor a list of them.
    #[error("the body is no event of Segment's: an object with a `type`, or a `batch` of such")]
    Shape,
    /// It holds too many.
    #[error("the body has more than {MAX_EVENTS} events")]
    TooMany,
}

/// The events of a request: one, a `batch` of them, or a list.
///
/// # Errors
/// [`NotSegment`] when something in it is no event.
pub fn events(body: &[u8]) -> Result<Vec<Value>, NotSegment> {
    let body: Value = serde_json::from_slice(body).map_err(|_| NotSegment::Json)?;
    let events = match body {
        Value::Array(events) => events,
        Value::Object(mut fields) => match fields.remove("batch") {
            Some(Value::Array(events)) => events,
            Some(_) => return Err(NotSegment::Shape),
            None => vec![Value::Object(fields)],
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err(NotSegment::Shape);
        }
    };
    if events.len() > MAX_EVENTS {
        return Err(NotSegment::TooMany);
    }
    let is_event = |event: &Value| event.get("type").is_some_and(Value::is_string);
    if events.iter().all(is_event) {
        Ok(events)
    } else {
        Err(NotSegment::Shape)
    }
}

/// What an event says that came at a moment; none where it says nothing of a user or workspace.
#[must_use]
pub fn read(raw: &Value, came: Moment) -> Option<ProductEvent> {
    let text = |name: &str| raw.get(name).and_then(Value::as_str);
    let time = |name: &str| text(name).and_then(|text| Moment::parse(text).ok());
    let received = time("receivedAt").map_or(came, |received| received.min(came));
    let at = time("timestamp").or_else(|| time("sentAt"));
    let object = |name: &str| raw.get(name).and_then(Value::as_object);
    let group = || {
        raw.get("context")
            .and_then(|context| context.get("groupId"))
    };
    let user = raw.get("userId").and_then(id);
    let workspace = raw.get("groupId").or_else(group).and_then(id);
    let what = match text("type")? {
        "identify" => {
            user.as_ref()?;
            What::Identify(of_user(object("traits")))
        }
        "group" => {
            workspace.as_ref()?;
            What::Group(traits(object("traits")))
        }
        "track" => {
            user.as_ref().or(workspace.as_ref())?;
            What::Track {
                event: text("event")?.chars().take(MAX_TEXT).collect(),
                properties: traits(object("properties")),
            }
        }
        _ => return None,
    };
    Some(ProductEvent {
        id: message(raw),
        user,
        workspace,
        at: at.unwrap_or(received).min(received),
        what,
    })
}

/// An id that can be part of a key: a text, or a whole number.
pub(super) fn id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.as_i64()?.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    CustomerId::parse(text).ok().map(String::from)
}

/// The message's own id, or a hash of it: the same one when it is sent again.
fn message(raw: &Value) -> String {
    let given = raw.get("messageId").and_then(id);
    given
        .filter(|id| id.len() <= MAX_MESSAGE)
        .unwrap_or_else(|| format!("{:016x}", xxh3_64(raw.to_string().as_bytes())))
}

/// A user's traits; the reserved ones that hold an object or come in parts are made plain.
fn of_user(given: Option<&Map<String, Value>>) -> Traits {
    let mut read = traits(given);
    let company = given.and_then(|given| given.get("company")?.get("name"));
    if let Some(company) = company.and_then(plain) {
        read.entry("company".to_owned()).or_insert(company);
    }
    let part = |name: &str| read.get(name).and_then(Value::as_str).map(str::trim);
    let parts: Vec<_> = ["firstName", "lastName"]
        .into_iter()
        .filter_map(part)
        .collect();
    if !parts.is_empty() {
        let name = Value::String(parts.join(" "));
        read.entry("name".to_owned()).or_insert(name);
    }
    read
}

fn traits(given: Option<&Map<String, Value>>) -> Traits {
    let given = given.into_iter().flatten();
    let mut read: Traits = given
        .filter_map(|(name, value)| Some((plain_name(name)?, plain(value)?)))
        .collect();
    while read.len() > MAX_TRAITS {
        read.pop_last();
    }
    read
}

/// A name as conditions can write it: what is no letter, digit or `_` becomes `_`.
fn plain_name(name: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    (1..=MAX_NAME)
        .contains(&name.len())
        .then(|| name.chars().map(plain).collect())
}

/// A value that is one thing.
fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => (text.chars().count() <= MAX_TEXT).then(|| value.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
