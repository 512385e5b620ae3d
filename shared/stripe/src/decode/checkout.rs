//! `checkout.session.*`

use std::collections::BTreeMap;

use paygraph_domain::fact::Body;
use paygraph_domain::id::StripeId;
use paygraph_domain::objects::checkout::{Checkout, Mode, Status};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::catalog::PriceWire;
use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{List, Ref, contact, currency, customer, id, time};

#[derive(Deserialize)]
struct CheckoutWire {
    id: String,
    customer: Option<Ref>,
    status: Option<String>,
    mode: Option<String>,
    payment_status: Option<String>,
    currency: Option<String>,
    amount_total: Option<i64>,
    client_reference_id: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    subscription: Option<Ref>,
    invoice: Option<Ref>,
    payment_intent: Option<Ref>,
    line_items: Option<List<LineItemWire>>,
    created: Option<i64>,
}

#[derive(Deserialize)]
struct LineItemWire {
    price: Option<PriceWire>,
}

/// What was bought: each price, and the products of those that tell them.
type Bought = (Vec<StripeId>, BTreeMap<StripeId, StripeId>);

impl CheckoutWire {
    /// Older versions have no status: the event's type tells it.
    fn status(&self, event_type: &str) -> Status {
        match (&self.status, event_type) {
            (Some(status), _) => Status::from(status.clone()),
            (None, "checkout.session.expired") => Status::Expired,
            (None, _) => Status::Complete,
        }
    }

    fn paid(&self, event_type: &str) -> bool {
        match self.payment_status.as_deref() {
            Some(status) => status != "unpaid",
            None => event_type != "checkout.session.async_payment_failed",
        }
    }

    fn bought(&self) -> Result<Bought, ObjectError> {
        let (mut prices, mut products) = Bought::default();
        let lines = self.line_items.iter().flat_map(|list| &list.data);
        for price in lines.filter_map(|line| line.price.as_ref()) {
            let id = price.id()?;
            if let Some(product) = price.product()? {
                products.insert(id.clone(), product);
            }
            prices.push(id);
        }
        Ok((prices, products))
    }
}

pub(super) fn event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: CheckoutWire = serde_json::from_str(raw.get())?;
    let metadata = wire
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.get("customer_id"));
    let (prices, products) = wire.bought()?;
    let checkout = Checkout {
        status: wire.status(hint.event_type),
        paid: wire.paid(hint.event_type),
        prices,
        products,
        mode: Mode::from(wire.mode.clone().unwrap_or_default()),
        currency: currency(wire.currency.as_ref()),
        amount_total: wire.amount_total.unwrap_or(0),
        contact: contact(metadata).or_else(|| contact(wire.client_reference_id.as_ref())),
        subscription: id(wire.subscription.as_ref())?,
        invoice: id(wire.invoice.as_ref())?,
        payment_intent: id(wire.payment_intent.as_ref())?,
        created: time(wire.created).unwrap_or(hint.at),
        tallied: true,
        id: StripeId::parse(wire.id)?,
    };
    let customer = customer(wire.customer.as_ref())?;
    Ok(Some(Decoded {
        // Payment links, and sessions of one payment, make no customer unless they are told to.
        // https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-customer_creation
        customer: customer.or_else(|| checkout.guest()),
        body: Body::Checkout(Box::new(checkout)),
    }))
}
