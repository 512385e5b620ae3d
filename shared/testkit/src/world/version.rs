//! The places of fields by API version: the newest, and the one before 2025-03-31.

use serde_json::{Value, json};

/// An object as an endpoint of a version gets it. The world keeps the newest shape, and beside it
/// fields of its own, which begin with `_` and which no endpoint gets.
pub(crate) fn of(object: &Value, old: bool) -> Value {
    let mut shaped = object.clone();
    if old {
        match object["object"].as_str() {
            Some("subscription") => subscription(&mut shaped),
            Some("invoice") => invoice(&mut shaped),
            // Only versions before 2025-03-31 say which invoice a charge pays.
            Some("charge" | "payment_intent") => shaped["invoice"] = object["_invoice"].clone(),
            _ => {}
        }
        remove(&mut shaped, "customer_account");
    }
    if let Some(fields) = shaped.as_object_mut() {
        fields.retain(|name, _| !name.starts_with('_'));
    }
    shaped
}

fn subscription(object: &mut Value) {
    let items = object["items"]["data"].as_array_mut();
    let mut period = (Value::Null, Value::Null);
    for item in items.into_iter().flatten() {
        let of = (
            remove(item, "current_period_start"),
            remove(item, "current_period_end"),
        );
        // The smallest period of the items.
        // (https://docs.stripe.com/changelog/basil/2025-07-30/support-mixed-intervals)
        if period.1.is_null() || of.1.as_i64() < period.1.as_i64() {
            period = of;
        }
        remove(item, "current_trial");
        item["plan"] = plan(&item["price"]);
    }
    object["current_period_start"] = period.0;
    object["current_period_end"] = period.1;
    remove(object, "billing_schedules");
    remove(object, "billing_mode");
    let discount = object["discounts"][0].clone();
    if discount.is_object() {
        object["discounts"] = json!([discount["id"]]);
    }
    object["discount"] = old_discount(&discount);
}

/// A discount with its coupon where it was before 2025-09-30.
pub(crate) fn old_discount(discount: &Value) -> Value {
    let mut discount = discount.clone();
    if discount.is_object() {
        discount["coupon"] = discount["source"]["coupon"].clone();
        remove(&mut discount, "source");
    }
    discount
}

fn plan(price: &Value) -> Value {
    json!({
        "id": price["id"], "object": "plan", "active": true, "amount": price["unit_amount"],
        "billing_scheme": "per_unit", "currency": price["currency"], "product": price["product"],
        "interval": price["recurring"]["interval"], "interval_count": 1, "usage_type": "licensed",
    })
}

fn invoice(object: &mut Value) {
    let parent = remove(object, "parent");
    object["subscription"] = parent["subscription_details"]["subscription"].clone();
    object["paid"] = json!(object["status"] == "paid");
    object["paid_out_of_band"] = json!(object["_out_of_band"].as_bool().unwrap_or(false));
    object["charge"] = object["_charge"].clone();
    object["payment_intent"] = object["_intent"].clone();
    remove(object, "amount_overpaid");
    let lines = object["lines"]["data"].as_array_mut();
    for line in lines.into_iter().flatten() {
        let details = remove(line, "pricing")["price_details"].clone();
        line["price"] = json!({
            "id": details["price"], "object": "price", "product": details["product"],
        });
        line["proration"] = json!(false);
    }
}

fn remove(object: &mut Value, field: &str) -> Value {
    object
        .as_object_mut()
        .and_then(|fields| fields.remove(field))
        .unwrap_or_default()
}
