//! `customer.*`

use std::collections::BTreeMap;

use paygraph_domain::fact::Body;
use paygraph_domain::id::{StripeCustomerId, StripeId};
use paygraph_domain::objects::customer::Customer;
use paygraph_domain::objects::payment_method::PaymentMethod;
use paygraph_domain::order::Seen;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::discount::DiscountWire;
use super::payment_source::SourceWire;
use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Expandable, List, Ref, contact, present, seen, time};

/// The most sources that are read of a customer: as many as Stripe nests in a list.
const MAX_SOURCES: usize = 10;

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
    default_source: Option<Option<Expandable<SourceWire>>>,
    /// In API versions before 2020-08-27, and where it is expanded.
    sources: Option<List<SourceWire>>,
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

/// The sources that came with a customer; none where there are only ids.
fn sources(
    default: Option<Expandable<SourceWire>>,
    listed: Option<List<SourceWire>>,
) -> Result<Option<Vec<PaymentMethod>>, ObjectError> {
    let default = match default {
        Some(Expandable::Object(source)) => Some(*source),
        Some(Expandable::Id(_)) | None => None,
    };
    if default.is_none() && listed.is_none() {
        return Ok(None);
    }
    let listed = listed.map(|list| list.data).unwrap_or_default();
    let mut sources: Vec<PaymentMethod> = Vec::new();
    for source in default.into_iter().chain(listed) {
        let source = source.decode()?;
        let is_known = sources.iter().any(|known| known.id == source.id);
        if !is_known && sources.len() < MAX_SOURCES {
            sources.push(source);
        }
    }
    Ok(Some(sources))
}

pub(super) fn event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: CustomerWire = serde_json::from_str(raw.get())?;
    let id = StripeCustomerId::parse(wire.id)?;
    let at = hint.at;
    let source = wire.default_source.as_ref().map(Option::as_ref);
    let source = source.map(|source| source.map(SourceWire::id_of));
    let setting = wire
        .invoice_settings
        .as_ref()
        .and_then(|s| s.default_payment_method.as_ref());
    let setting = setting.map(|method| method.as_ref().map(Ref::as_str));
    // The invoice setting goes before the default source
    // (https://docs.stripe.com/billing/subscriptions/overview#payment-methods).
    let default = match (setting, source) {
        (Some(Some(method)), _) => Some(Some(method.to_owned())),
        (setting, source) => source.or(setting).map(|id| id.map(str::to_owned)),
    };
    let sources = sources(wire.default_source.flatten(), wire.sources)?;
    let discount = wire
        .discount
        .map(|discount| discount.map(|discount| discount.decode(at)).transpose());
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
        default_payment_method: seen(at, default, |method| StripeId::parse(method).ok()),
        sources: Seen::new(at, sources),
        discount: seen(at, discount.transpose()?, Some),
        deleted: wire.deleted || hint.event_type == "customer.deleted",
    };
    Ok(Some(Decoded {
        customer: Some(id),
        body: Body::Customer(Box::new(customer)),
    }))
}
