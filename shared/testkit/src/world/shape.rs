//! Prices, and the places that fields had before 2025-03-31.

use serde_json::{Value, json};

/// Prices of the example settings: individual, pro, team, enterprise.
const PRICES: [(&str, &str, i64); 4] = [
    (
        "price_1SWQXAChUUSEbzyhAykgEy5K",
        "prod_TTNH7uTYVlPbVV",
        2900,
    ),
    (
        "price_1ShMKtChUUSEbzyhitCMw6z3",
        "prod_Tefg4jmio5PjnR",
        5800,
    ),
    (
        "price_1SWQXKChUUSEbzyhLSObMBLT",
        "prod_TTNHfJE07G7dty",
        9900,
    ),
    (
        "price_1ShMKuChUUSEbzyhVxRH4mjK",
        "prod_Tefg0LHPUjS7xn",
        19900,
    ),
];

/// A price as Stripe writes it.
#[must_use]
pub fn price(index: usize) -> Value {
    price_per(index, "month", "usd")
}

/// A price per interval, in a currency. Ten months make a year, and a week is dear.
pub(crate) fn price_per(index: usize, interval: &str, currency: &str) -> Value {
    let [first, ..] = PRICES;
    let (id, product, monthly) = PRICES.get(index % PRICES.len()).copied().unwrap_or(first);
    let amount = match interval {
        "year" => monthly * 10,
        "week" => monthly / 3,
        _ => monthly,
    };
    let id = match (interval, currency) {
        ("month", "usd") => id.to_owned(),
        _ => format!("{id}_{interval}_{currency}"),
    };
    json!({
        "id": id, "object": "price", "active": true, "billing_scheme": "per_unit",
        "currency": currency, "product": product, "type": "recurring",
        "recurring": { "interval": interval, "interval_count": 1, "usage_type": "licensed" },
        "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
    })
}

/// An object as an endpoint gets it. The world keeps the newest shape.
pub(crate) fn of(object: &Value, old: bool) -> Value {
    let mut shaped = object.clone();
    if !old {
        // Only versions before 2025-03-31 say which invoice a charge pays, and by what it was paid.
        remove(&mut shaped, "invoice_of_charge");
        remove(&mut shaped, "charge_of_invoice");
        remove(&mut shaped, "intent_of_invoice");
        return shaped;
    }
    match object["object"].as_str() {
        Some("subscription") => subscription(&mut shaped),
        Some("invoice") => invoice(&mut shaped),
        Some("charge") => rename(&mut shaped, "invoice_of_charge", "invoice"),
        _ => {}
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
        if period.0.is_null() {
            period = of;
        }
        remove(item, "current_trial");
        item["plan"] = plan(&item["price"]);
    }
    object["current_period_start"] = period.0;
    object["current_period_end"] = period.1;
    remove(object, "billing_schedules");
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
    rename(object, "charge_of_invoice", "charge");
    rename(object, "intent_of_invoice", "payment_intent");
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

fn rename(object: &mut Value, field: &str, to: &str) {
    let value = remove(object, field);
    object[to] = value;
}
