//! What is sold: prices, coupons and products.

use serde_json::{Value, json};

use super::{number, text};

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

/// Prices whose ids people chose, as they could before 2018, and their products.
const CHOSEN: [(&str, &str); 4] = [
    ("Solo plan #1", "prod_TTNH7uTYVlPbVV"),
    ("Pro / 2017 (50% off)", "prod_Tefg4jmio5PjnR"),
    ("team+seats?v=2", "Team & friends #3"),
    ("Größe/Enterprise", "prod_Tefg0LHPUjS7xn"),
];

/// A price whose id somebody chose.
pub(crate) fn chosen_price(index: usize, interval: &str, currency: &str) -> Value {
    let [first, ..] = CHOSEN;
    let (id, product) = CHOSEN.get(index % CHOSEN.len()).copied().unwrap_or(first);
    let mut price = price_per(index, interval, currency);
    price["id"] = json!(format!("{id} {interval}/{currency}"));
    price["product"] = json!(product);
    price
}

/// A price in US dollars that has an amount in euros, too, which Stripe tells only if it is asked.
pub(crate) fn price_in_currencies(index: usize, interval: &str) -> Value {
    let mut price = price_per(index, interval, "usd");
    price["id"] = json!(format!("{}_{interval}_options", text(&price, "id")));
    price
}

/// A coupon of so many percent, or of so many US dollars and euros.
pub(crate) fn coupon(id: String, percent: Option<u32>, amount: Option<i64>) -> Value {
    json!({
        "id": id, "object": "coupon", "amount_off": amount, "currency": amount.map(|_| "usd"),
        "duration": "forever", "duration_in_months": null, "livemode": false, "metadata": {},
        "percent_off": percent, "valid": true,
    })
}

/// An amount of US dollars in euros, as prices and coupons with `currency_options` have it.
pub(crate) fn in_euros(amount: i64) -> i64 {
    amount * 9 / 10
}

/// What a unit costs in a currency that the price has.
pub(crate) fn amount_in(price: &Value, currency: &str) -> i64 {
    let amount = number(price, "unit_amount");
    if text(price, "currency") == currency {
        amount
    } else {
        in_euros(amount)
    }
}

/// Minor units that the coupon of a subscription takes off an invoice.
pub(crate) fn discount_on(subscription: &Value, total: i64) -> i64 {
    let coupon = &subscription["discounts"][0]["source"]["coupon"];
    match (
        coupon["percent_off"].as_i64(),
        coupon["amount_off"].as_i64(),
    ) {
        (Some(percent), _) => total - total * (100 - percent) / 100,
        (None, Some(amount)) if text(coupon, "currency") == text(subscription, "currency") => {
            amount.min(total)
        }
        (None, Some(amount)) => in_euros(amount).min(total),
        (None, None) => 0,
    }
}

/// What Stripe tells of a price or coupon only if `currency_options` is expanded.
pub(crate) fn currency_options(object: &Value) -> Option<Value> {
    let dollars = text(object, "currency") == "usd";
    let of = |amount: i64| {
        if object["object"] == "coupon" {
            return json!({ "amount_off": amount });
        }
        json!({
            "custom_unit_amount": null, "tax_behavior": "unspecified", "unit_amount": amount,
            "unit_amount_decimal": amount.to_string(),
        })
    };
    let field = match object["object"].as_str() {
        Some("price") if text(object, "id").ends_with("_options") => "unit_amount",
        Some("coupon") => "amount_off",
        _ => return None,
    };
    let amount = object[field].as_i64().filter(|_| dollars)?;
    Some(json!({ "usd": of(amount), "eur": of(in_euros(amount)) }))
}
