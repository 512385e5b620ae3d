//! An object as an answer shows it: references as ids, unless they are to be expanded, long lists
//! cut, in the shape of the version that was asked for.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON that is not there reads as null, and what is written to was made here"
)]

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::account::Account;
use super::kind::Kind;
use super::query::Query;
use super::refusal::Refusal;
use crate::world::version;

/// Nested lists show so many.
const SHOWN: usize = 10;
/// How deep an expansion may go.
const LEVELS: usize = 4;

/// Fields that hold an id unless they are expanded: in what, the field, and the kind of object.
const REFERENCES: &[(&str, &str, &str)] = &[
    ("subscription", "customer", "customer"),
    ("subscription", "default_payment_method", "payment_method"),
    ("subscription", "default_source", "card"),
    ("subscription", "latest_invoice", "invoice"),
    ("subscription", "schedule", "subscription_schedule"),
    ("subscription", "discounts", "discount"),
    ("subscription_item", "discounts", "discount"),
    ("invoice", "customer", "customer"),
    ("invoice", "default_payment_method", "payment_method"),
    ("invoice", "discounts", "discount"),
    ("invoice", "subscription", "subscription"),
    ("invoice", "charge", "charge"),
    (
        "invoice.parent.subscription_details",
        "subscription",
        "subscription",
    ),
    ("line_item", "discounts", "discount"),
    ("line_item.pricing.price_details", "price", "price"),
    ("discount", "customer", "customer"),
    ("discount.source", "coupon", "coupon"),
    (
        "customer.invoice_settings",
        "default_payment_method",
        "payment_method",
    ),
    ("customer", "default_source", "card"),
    ("card", "customer", "customer"),
    ("payment_method", "customer", "customer"),
    ("payment_intent", "customer", "customer"),
    ("payment_intent", "latest_charge", "charge"),
    ("payment_intent", "invoice", "invoice"),
    ("invoice", "payment_intent", "payment_intent"),
    ("invoice_payment", "invoice", "invoice"),
    (
        "invoice_payment.payment",
        "payment_intent",
        "payment_intent",
    ),
    ("charge", "customer", "customer"),
    ("charge", "invoice", "invoice"),
    ("charge", "payment_intent", "payment_intent"),
    ("refund", "charge", "charge"),
    ("refund", "payment_intent", "payment_intent"),
    ("dispute", "charge", "charge"),
    ("dispute", "payment_intent", "payment_intent"),
    ("checkout.session", "payment_intent", "payment_intent"),
    ("checkout.session", "customer", "customer"),
    ("checkout.session", "invoice", "invoice"),
    ("checkout.session", "subscription", "subscription"),
    ("subscription_schedule", "customer", "customer"),
    ("subscription_schedule", "subscription", "subscription"),
    ("price", "product", "product"),
    ("product", "default_price", "price"),
];

/// Fields that are not there at all unless they are expanded.
const INCLUDED: &[(&str, &str)] = &[
    ("price", "tiers"),
    ("price", "currency_options"),
    ("coupon", "applies_to"),
    ("coupon", "currency_options"),
    ("customer", "sources"),
    ("invoice", "payments"),
    ("invoice", "amount_paid_off_stripe"),
    ("checkout.session", "line_items"),
];

/// What is to be expanded, by field.
#[derive(Debug, Default)]
pub(super) struct Expansion(BTreeMap<String, Self>);

impl Expansion {
    /// Reads the values of `expand[]`.
    pub(super) fn parse(paths: &[String]) -> Result<Self, Refusal> {
        let mut all = Self::default();
        for path in paths {
            if path.split('.').count() > LEVELS {
                let message =
                    format!("You cannot expand more than 4 levels of a property. Property: {path}");
                return Err(Refusal::bad(&message));
            }
            let mut level = &mut all;
            for field in path.split('.') {
                level = level.0.entry(field.to_owned()).or_default();
            }
        }
        Ok(all)
    }

    fn of(&self, field: &str) -> Option<&Self> {
        self.0.get(field)
    }
}

/// How objects of an account are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub account: &'a Account,
    /// In the shape of the versions before 2025-03-31.
    pub old: bool,
}

impl View<'_> {
    /// A list, of objects that are held in full.
    pub(super) fn list(
        &self,
        (objects, more): (Vec<Value>, bool),
        url: &str,
        expansion: &Expansion,
    ) -> Result<Value, Refusal> {
        let none = Expansion::default();
        if let Some(field) = expansion.0.keys().find(|field| *field != "data") {
            return Err(not_expandable(field, Some(&format!("data.{field}"))));
        }
        let inner = expansion.of("data").unwrap_or(&none);
        let shown: Result<Vec<_>, _> = objects
            .iter()
            .map(|object| self.object(object, inner))
            .collect();
        Ok(json!({ "object": "list", "url": url, "has_more": more, "data": shown? }))
    }

    /// An object that is held in full.
    pub(super) fn object(&self, object: &Value, expansion: &Expansion) -> Result<Value, Refusal> {
        if object["deleted"] == true {
            let id = &object["id"];
            return Ok(json!({ "id": id, "object": object["object"], "deleted": true }));
        }
        if object["object"] == "event" {
            return Ok(object.clone());
        }
        let mut shaped = version::of(object, self.old);
        if self.old {
            keep_discounts(&mut shaped, object);
        }
        let kind = object["object"].as_str().unwrap_or_default();
        let mut shown = self.value(&shaped, kind, expansion)?;
        let id = object["id"].as_str().unwrap_or_default();
        for (field, url) in [
            ("items", format!("/v1/subscription_items?subscription={id}")),
            ("lines", format!("/v1/invoices/{id}/lines")),
            (
                "line_items",
                format!("/v1/checkout/sessions/{id}/line_items"),
            ),
        ] {
            if shown[field].is_object() {
                shown[field]["url"] = json!(url);
            }
        }
        Ok(shown)
    }

    fn value(&self, value: &Value, kind: &str, expansion: &Expansion) -> Result<Value, Refusal> {
        match value {
            Value::Array(list) => {
                let shown = list.iter().map(|value| self.value(value, kind, expansion));
                Ok(Value::Array(shown.collect::<Result<_, _>>()?))
            }
            Value::Object(fields) => {
                let own = fields.get("object").and_then(Value::as_str);
                self.fields(fields, own.unwrap_or(kind), expansion)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        }
    }

    fn fields(
        &self,
        fields: &Map<String, Value>,
        kind: &str,
        expansion: &Expansion,
    ) -> Result<Value, Refusal> {
        let none = Expansion::default();
        let mut shown = Map::new();
        for (name, value) in fields {
            let inner = expansion.of(name);
            let reference = REFERENCES
                .iter()
                .find(|(of, field, _)| *of == kind && *field == name.as_str());
            let is_hidden = INCLUDED.contains(&(kind, name.as_str())) || name == "secret";
            let value = match (reference, inner) {
                (Some((.., to)), Some(inner)) => self.expanded(value, to, inner)?,
                (Some(_), None) => collapsed(value),
                (None, None) if is_hidden => continue,
                (None, Some(_)) if is_plain(value) => return Err(not_expandable(name, None)),
                (None, inner) => {
                    let within = format!("{kind}.{name}");
                    self.value(value, &within, inner.unwrap_or(&none))?
                }
            };
            shown.insert(name.clone(), value);
        }
        self.include(&mut shown, fields, kind, expansion)?;
        if fields.get("object") == Some(&json!("list")) {
            cut(&mut shown);
        }
        Ok(Value::Object(shown))
    }

    /// Adds what an embedded copy leaves out, and refuses what does not exist.
    fn include(
        &self,
        shown: &mut Map<String, Value>,
        fields: &Map<String, Value>,
        kind: &str,
        expansion: &Expansion,
    ) -> Result<(), Refusal> {
        for field in expansion
            .0
            .keys()
            .filter(|field| !fields.contains_key(*field))
        {
            let is_known = REFERENCES
                .iter()
                .any(|(of, name, _)| *of == kind && name == field);
            // A customer always has this field, though a test may leave it out.
            let is_discount = (kind, field.as_str()) == ("customer", "discount");
            if !is_known && !is_discount && !INCLUDED.contains(&(kind, field.as_str())) {
                return Err(not_expandable(field, None));
            }
            let id = fields.get("id").and_then(Value::as_str).unwrap_or_default();
            if let Some(value) = self.included(kind, id, field)? {
                let none = Expansion::default();
                let inner = expansion.of(field).unwrap_or(&none);
                let value = self.value(&value, &format!("{kind}.{field}"), inner)?;
                shown.insert(field.clone(), value);
            }
        }
        Ok(())
    }

    /// What an object has only if it is asked for.
    fn included(&self, kind: &str, id: &str, field: &str) -> Result<Option<Value>, Refusal> {
        let list = match (kind, field) {
            ("invoice", "payments") => Some(("invoice_payment", "invoice", "/v1/invoice_payments")),
            ("customer", "sources") => Some(("card", "customer", "/v1/customers/:id/sources")),
            _ => None,
        };
        if let Some((object, filter, url)) = list {
            let Some(of) = Kind::of(object) else {
                return Ok(None);
            };
            let page = self.account.page(of, &Query::first(SHOWN, filter, id))?;
            let url = url.replace(":id", id);
            let (data, more) = page;
            let list = json!({ "object": "list", "url": url, "has_more": more, "data": data });
            return Ok(Some(list));
        }
        let whole = Kind::of(kind).and_then(|of| self.account.get(of, id));
        let whole = whole.unwrap_or_default();
        if field == "amount_paid_off_stripe" {
            let paid = whole["_paid_off_stripe"].as_i64().unwrap_or(0);
            return Ok(Some(json!(paid)));
        }
        Ok(whole.get(field).cloned())
    }

    fn expanded(&self, value: &Value, to: &str, inner: &Expansion) -> Result<Value, Refusal> {
        match value {
            Value::Array(list) => {
                let shown = list.iter().map(|value| self.expanded(value, to, inner));
                Ok(Value::Array(shown.collect::<Result<_, _>>()?))
            }
            Value::String(id) => {
                let found = Kind::of(to).and_then(|kind| self.account.get(kind, id));
                found.map_or_else(|| Ok(value.clone()), |object| self.object(&object, inner))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                self.value(value, to, inner)
            }
        }
    }
}

/// Discounts are shown beside the old `discount`, with the coupon in its old place.
fn keep_discounts(shaped: &mut Value, object: &Value) {
    let Some(discounts) = object["discounts"].as_array() else {
        return;
    };
    shaped["discounts"] = discounts.iter().map(version::old_discount).collect();
}

/// The id of what could be expanded.
fn collapsed(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(collapsed).collect(),
        Value::Object(fields) => fields.get("id").cloned().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn is_plain(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Array(_) | Value::Object(_))
}

/// Cuts a nested list.
fn cut(list: &mut Map<String, Value>) {
    let data = list.get_mut("data").and_then(Value::as_array_mut);
    if let Some(data) = data.filter(|data| data.len() > SHOWN) {
        data.truncate(SHOWN);
        list.insert("has_more".to_owned(), json!(true));
    }
}

fn not_expandable(field: &str, instead: Option<&str>) -> Refusal {
    let hint = instead.map(|path| format!(" You may want to try expanding '{path}' instead."));
    let hint = hint.unwrap_or_default();
    Refusal::bad(&format!(
        "This property cannot be expanded ({field}).{hint}"
    ))
}
