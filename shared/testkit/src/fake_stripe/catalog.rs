//! What every account sells: the example settings' prices, add-ons, a tiered price, a coupon.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON that is not there reads as null, and what is written to was made here"
)]

use serde_json::{Value, json};

use crate::world::price;

/// Prices of the example settings.
pub(super) const PLANS: usize = 4;
/// Add-ons, so that a subscription can have more items than a nested list shows.
pub(super) const ADD_ONS: u64 = 12;
/// The price whose tiers have to be asked for.
pub(super) const TIERED: &str = "price_Tiered";

/// Everything that is sold, made before an instant (Unix seconds).
pub(super) fn all(before: i64) -> Vec<Value> {
    let mut prices: Vec<Value> = (0..PLANS).map(price).collect();
    prices.extend((1..=ADD_ONS).map(add_on));
    prices.push(tiered());
    let mut all = Vec::new();
    for (price, ago) in prices.into_iter().zip(1..) {
        all.push(json!({
            "id": price["product"], "object": "product", "active": true, "created": before - ago,
            "name": format!("Product of {}", price["id"].as_str().unwrap_or_default()),
            "default_price": price["id"], "metadata": {}, "livemode": false, "description": null,
        }));
        all.push(with_created(price, before - ago));
    }
    let mut coupon = coupon();
    coupon["created"] = json!(before);
    all.push(coupon);
    all
}

fn with_created(mut price: Value, created: i64) -> Value {
    price["created"] = json!(created);
    price
}

/// A price of 5 a month.
pub(super) fn add_on(number: u64) -> Value {
    json!({
        "id": format!("price_AddOn{number}"), "object": "price", "active": true,
        "billing_scheme": "per_unit", "currency": "usd", "type": "recurring",
        "product": format!("prod_AddOn{number}"), "lookup_key": format!("add_on_{number}"),
        "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
        "unit_amount": 500, "unit_amount_decimal": "500", "livemode": false, "metadata": {},
    })
}

/// Ten units at 10 each, and further ones at 8.
pub(super) fn tiered() -> Value {
    let tier = |up_to: Option<u64>, amount: u64| {
        json!({
            "up_to": up_to, "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
            "flat_amount": null, "flat_amount_decimal": null,
        })
    };
    json!({
        "id": TIERED, "object": "price", "active": true, "billing_scheme": "tiered",
        "tiers_mode": "graduated", "tiers": [tier(Some(10), 1_000), tier(None, 800)],
        "currency": "usd", "product": "prod_Tiered", "type": "recurring", "lookup_key": null,
        "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
        "unit_amount": null, "unit_amount_decimal": null, "livemode": false, "metadata": {},
    })
}

/// A quarter off, for good.
pub(super) fn coupon() -> Value {
    json!({
        "id": "QUARTER", "object": "coupon", "amount_off": null, "currency": null,
        "duration": "forever", "duration_in_months": null, "percent_off": 25, "valid": true,
        "name": "A quarter off", "livemode": false, "metadata": {},
    })
}
