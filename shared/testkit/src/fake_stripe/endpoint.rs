//! Webhook endpoints: made, changed and deleted by their owner.

use serde_json::{Map, Value, json};

use super::account::Account;
use super::call::Call;
use super::kind::Kind;
use super::query::Pairs;
use super::refusal::Refusal;
use super::state::State;

/// What can be said of an endpoint.
const FIELDS: [&str; 8] = [
    "url",
    "enabled_events",
    "metadata",
    "description",
    "api_version",
    "disabled",
    "connect",
    "expand",
];

/// Does what a request to `/v1/webhook_endpoints` asks for.
pub(super) fn change(
    state: &State,
    account: &Account,
    call: &Call,
    id: &[&str],
) -> Result<Value, Refusal> {
    let no_such_path = || Refusal::no_such_path(&call.method, &call.path);
    let kind = Kind::of("webhook_endpoint").ok_or_else(no_such_path)?;
    let missing = |id: &str| Refusal::missing(kind.object, id, "id");
    match (call.method.as_str(), id) {
        ("POST", []) => create(state, account, &call.form()),
        ("POST", [id]) => {
            let mut endpoint = account.get(kind, id).ok_or_else(|| missing(id))?;
            write(&mut endpoint, &call.form())?;
            account.put(endpoint.clone());
            without_secret(endpoint)
        }
        ("DELETE", [id]) => {
            account.get(kind, id).ok_or_else(|| missing(id))?;
            account.remove(id);
            Ok(json!({ "id": id, "object": kind.object, "deleted": true }))
        }
        _ => Err(no_such_path()),
    }
}

fn create(state: &State, account: &Account, form: &Pairs) -> Result<Value, Refusal> {
    let id = account.new_id("we");
    let secret = format!("whsec_{}", id.trim_start_matches("we_"));
    let mut endpoint = json!({
        "id": id, "object": "webhook_endpoint", "api_version": null, "application": null,
        "created": state.now(), "description": null, "enabled_events": [], "livemode": false,
        "metadata": {}, "secret": secret, "status": "enabled", "url": null,
    });
    write(&mut endpoint, form)?;
    for field in ["url", "enabled_events"] {
        let value = endpoint.get(field);
        if value.is_none_or(|value| value.is_null() || *value == json!([])) {
            let message = format!("Missing required param: {field}.");
            return Err(Refusal::invalid("parameter_missing", field, &message));
        }
    }
    account.put(endpoint.clone());
    Ok(endpoint)
}

fn without_secret(mut endpoint: Value) -> Result<Value, Refusal> {
    if let Some(fields) = endpoint.as_object_mut() {
        fields.remove("secret");
    }
    Ok(endpoint)
}

/// Writes the fields of a form into an endpoint.
fn write(endpoint: &mut Value, form: &Pairs) -> Result<(), Refusal> {
    let Some(endpoint) = endpoint.as_object_mut() else {
        return Ok(());
    };
    let mut events = Vec::new();
    for (name, value) in form {
        let (field, inner) = name.split_once('[').unwrap_or((name, ""));
        if !FIELDS.contains(&field) {
            return Err(Refusal::unknown_parameter(name));
        }
        match field {
            "url" if !value.starts_with("http") => {
                let message = "Invalid URL: An explicit scheme (such as https) must be provided.";
                return Err(Refusal::invalid("url_invalid", "url", message));
            }
            "enabled_events" => events.push(json!(value)),
            "metadata" => note(endpoint, inner.trim_end_matches(']'), value),
            "disabled" => {
                let status = if value == "true" {
                    "disabled"
                } else {
                    "enabled"
                };
                endpoint.insert("status".to_owned(), json!(status));
            }
            "connect" | "expand" => {}
            _ => {
                endpoint.insert(field.to_owned(), json!(value));
            }
        }
    }
    if !events.is_empty() {
        endpoint.insert("enabled_events".to_owned(), json!(events));
    }
    Ok(())
}

/// An empty value takes a key out.
fn note(endpoint: &mut Map<String, Value>, key: &str, value: &str) {
    let metadata = endpoint.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        if value.is_empty() {
            metadata.remove(key);
        } else {
            metadata.insert(key.to_owned(), json!(value));
        }
    }
}
