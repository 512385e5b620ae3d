//! Which objects fit a list's parameters.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON that is not there reads as null"
)]

use serde_json::Value;

use super::query::Filter;

/// Whether an object is in a list that was asked for with these parameters.
pub(super) fn is_listed(object: &Value, filters: &[Filter]) -> bool {
    if object["deleted"] == true {
        return false;
    }
    let is_asked = |name: &str| filters.iter().any(|filter| filter.name == name);
    // Stripe leaves canceled subscriptions out unless they are asked for.
    if object["object"] == "subscription" && !is_asked("status") && object["status"] == "canceled" {
        return false;
    }
    filters.iter().all(|filter| fits(object, filter))
}

/// Whether an object fits one parameter.
pub(super) fn fits(object: &Value, filter: &Filter) -> bool {
    let values = &filter.values;
    match filter.name.as_str() {
        "status" => values
            .iter()
            .any(|value| status_fits(&object["status"], value)),
        "types" => is_one(&object["type"], values),
        "ids" => is_one(&object["id"], values),
        "lookup_keys" => is_one(&object["lookup_key"], values),
        "subscription" => {
            let parent = &object["parent"]["subscription_details"]["subscription"];
            is_one(parent, values) || is_one(&object["subscription"], values)
        }
        "price" => {
            let items = object["items"]["data"].as_array();
            let mut items = items.into_iter().flatten();
            items.any(|item| is_one(&item["price"]["id"], values))
        }
        "payment.payment_intent" => is_one(&object["payment"]["payment_intent"], values),
        "payment.payment_record" => is_one(&object["payment"]["payment_record"], values),
        "payment.type" => is_one(&object["payment"]["type"], values),
        // What was delivered is known beside the events.
        "delivery_success" => true,
        field => is_one(&object[field], values),
    }
}

/// Whether a status is among those that a word of the list's parameter stands for.
pub(super) fn status_fits(status: &Value, asked: &str) -> bool {
    match asked {
        "all" => true,
        "ended" => *status == "canceled" || *status == "incomplete_expired",
        asked => *status == asked,
    }
}

fn is_one(field: &Value, values: &[String]) -> bool {
    values.iter().any(|value| match field {
        Value::String(text) => text == value,
        Value::Bool(flag) => flag.to_string() == *value,
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    })
}
