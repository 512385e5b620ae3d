//! What is there at the end, as Stripe would list it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::purchase::LIFETIME;
use super::{Life, Shape, is_set, sold, text};

/// What is sold was made before anybody came (Unix seconds).
const LONG_AGO: i64 = 1_500_000_000;

/// Every object of some lives, and what was sold to them, with the fields of the world's own.
pub(super) fn of(lives: &[&Life], shapes: &BTreeSet<Shape>) -> BTreeMap<&'static str, Vec<Value>> {
    let mut objects: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    let mut sold = BTreeMap::new();
    keep(&mut sold, lifetime());
    for life in lives {
        objects
            .entry("customer")
            .or_default()
            .extend(customer(life));
        for (kind, of) in [
            ("payment_method", &life.methods),
            ("card", &life.sources),
            ("subscription", &life.subscriptions),
            ("invoice", &life.invoices),
            ("payment_intent", &life.intents),
            ("invoice_payment", &life.payments),
            ("charge", &life.charges),
            ("refund", &life.refunds),
            ("dispute", &life.disputes),
            ("checkout.session", &life.sessions),
        ] {
            objects.entry(kind).or_default().extend(of.iter().cloned());
        }
        for subscription in &life.subscriptions {
            keep_what_is_sold(&mut sold, subscription);
        }
    }
    if shapes.contains(&Shape::DeletedProducts) {
        delete_a_product(&mut sold);
    }
    for ((kind, _), object) in sold {
        objects.entry(kind).or_default().push(object);
    }
    objects
}

/// Of a deleted customer Stripe says no more than that; of an account this API says nothing.
fn customer(life: &Life) -> Option<Value> {
    if is_set(&life.customer, "deleted") {
        return Some(json!({ "id": life.id, "object": "customer", "deleted": true }));
    }
    life.is_customer().then(|| life.customer.clone())
}

/// Deletes the first product: its prices stay listed.
fn delete_a_product(sold: &mut Sold) {
    let first = sold.iter_mut().find(|((kind, _), _)| *kind == "product");
    if let Some(((_, id), product)) = first {
        *product = json!({ "id": id, "object": "product", "deleted": true });
    }
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
    if let Some(options) = sold::currency_options(&object) {
        object["currency_options"] = options;
    }
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
