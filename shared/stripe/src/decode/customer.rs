//! `customer.*`

use std::collections::BTreeMap;

use paygraph_domain::fact::Body;
use paygraph_domain::id::{StripeCustomerId, StripeId};
use paygraph_domain::objects::customer::Customer;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::discount::DiscountWire;
use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Ref, contact, present, seen, time};

#[derive(Deserialize)]
struct CustomerWire {
    id: String,
    created: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    email: Option<Option<String>>,
    business_name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    metadata: Option<Option<BTreeMap<String, String>>>,
    invoice_settings: Option<InvoiceSettings>,
    #[serde(default, deserialize_with = "present")]
    default_source: Option<Option<Ref>>,
    #[serde(default, deserialize_with = "present")]
    discount: Option<Option<DiscountWire>>,
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize)]
struct InvoiceSettings {
    #[serde(default, deserialize_with = "present")]
    default_payment_method: Option<Option<Ref>>,
}

pub(super) fn event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: CustomerWire = serde_json::from_str(raw.get())?;
    let id = StripeCustomerId::parse(wire.id)?;
    let at = hint.at;
    let source = wire.default_source.as_ref().map(Option::as_ref);
    let setting = wire
        .invoice_settings
        .as_ref()
        .and_then(|s| s.default_payment_method.as_ref());
    let default = match (setting.map(Option::as_ref), source) {
        (Some(Some(method)), _) => Some(Some(method)),
        (setting, source) => source.or(setting),
    };
    let discount = wire
        .discount
        .map(|discount| discount.map(DiscountWire::decode).transpose());
    let company = |metadata: &BTreeMap<String, String>| metadata.get("company").cloned();
    let business_name = wire.business_name;
    let customer = Customer {
        id: id.clone(),
        created: seen(at, wire.created.map(Some), |seconds| time(Some(seconds))),
        name: seen(at, wire.name, Some),
        email: seen(at, wire.email, Some),
        company: seen(at, wire.metadata.clone(), |m| {
            business_name.or_else(|| company(&m))
        }),
        contact: seen(at, wire.metadata, |m| contact(m.get("customer_id"))),
        default_payment_method: seen(at, default.map(Option::<&Ref>::cloned), |method| {
            StripeId::parse(method.as_str()).ok()
        }),
        discount: seen(at, discount.transpose()?, Some),
        deleted: wire.deleted || hint.event_type == "customer.deleted",
    };
    Ok(Some(Decoded {
        customer: Some(id),
        body: Body::Customer(Box::new(customer)),
    }))
}
