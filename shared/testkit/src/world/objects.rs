//! What is there at the end, as Stripe would list it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::purchase::LIFETIME;
use super::{Life, is_set, shape, text};

/// What is sold was made before anybody came (Unix seconds).
const LONG_AGO: i64 = 1_500_000_000;

/// Every object of some lives, and what was sold to them.
pub(super) fn of(lives: &[Life]) -> BTreeMap<&'static str, Vec<Value>> {
    let mut objects: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    let mut sold = BTreeMap::new();
    keep(&mut sold, lifetime());
    for life in lives {
        objects.entry("customer").or_default().push(customer(life));
        for (kind, of) in [
            ("payment_method", &life.methods),
            ("subscription", &life.subscriptions),
            ("invoice", &life.invoices),
            ("charge", &life.charges),
            ("refund", &life.refunds),
            ("dispute", &life.disputes),
            ("checkout.session", &life.sessions),
        ] {
            let shown = of.iter().map(|object| shape::of(object, false));
            objects.entry(kind).or_default().extend(shown);
        }
        for subscription in &life.subscriptions {
            keep_what_is_sold(&mut sold, subscription);
        }
    }
    for ((kind, _), object) in sold {
        objects.entry(kind).or_default().push(object);
    }
    objects
}

/// Of a deleted customer Stripe says no more than that.
fn customer(life: &Life) -> Value {
    if is_set(&life.customer, "deleted") {
        return json!({ "id": life.id, "object": "customer", "deleted": true });
    }
    life.customer.clone()
}

type Sold = BTreeMap<(&'static str, String), Value>;

fn keep_what_is_sold(sold: &mut Sold, subscription: &Value) {
    let items = subscription["items"]["data"].as_array();
    for item in items.into_iter().flatten() {
        keep(sold, item["price"].clone());
    }
    let discounts = subscription["discounts"].as_array();
    for discount in discounts.into_iter().flatten() {
        keep(sold, discount["source"]["coupon"].clone());
    }
}

fn keep(sold: &mut Sold, mut object: Value) {
    object["created"] = json!(LONG_AGO);
    let id = text(&object, "id").to_owned();
    if object["object"] == "coupon" {
        sold.insert(("coupon", id), object);
        return;
    }
    let product = text(&object, "product").to_owned();
    let made = json!({
        "id": product, "object": "product", "active": true, "created": LONG_AGO,
        "name": format!("Product {product}"), "default_price": null, "livemode": false,
        "metadata": {},
    });
    sold.insert(("product", product), made);
    sold.insert(("price", id), object);
}

/// The price that is paid once.
fn lifetime() -> Value {
    let (id, product, amount) = LIFETIME;
    json!({
        "id": id, "object": "price", "active": true, "billing_scheme": "per_unit",
        "currency": "usd", "product": product, "type": "one_time", "recurring": null,
        "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
    })
}
