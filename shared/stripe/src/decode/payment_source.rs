//! `customer.source.*`, and the sources within a customer: cards, bank accounts and source objects of
//! the time before payment methods.
//!
//! A card (`card_…`) or source (`src_…`) is also a payment method under the same id
//! (<https://docs.stripe.com/payments/payment-methods/transitioning>), so it is read as one.

use paygraph_domain::fact::Body;
use paygraph_domain::id::StripeId;
use paygraph_domain::objects::payment_method::PaymentMethod;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::payment_method::{AccountWire, CardWire, former_customer};
use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Expandable, Ref, customer};

/// A source of any kind. A card and a bank account have their fields at the top, a source object
/// under its type.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct SourceWire {
    id: String,
    object: Option<String>,
    customer: Option<Ref>,
    brand: Option<String>,
    last4: Option<String>,
    exp_month: Option<u8>,
    exp_year: Option<u16>,
    #[serde(rename = "type")]
    kind: Option<String>,
    card: Option<CardWire>,
    sepa_debit: Option<AccountWire>,
    ach_debit: Option<AccountWire>,
    acss_debit: Option<AccountWire>,
    au_becs_debit: Option<AccountWire>,
    #[serde(default)]
    deleted: bool,
}

impl SourceWire {
    /// The id of a source that may be expanded.
    pub(super) fn id_of(source: &Expandable<Self>) -> &str {
        match source {
            Expandable::Id(id) => id,
            Expandable::Object(source) => &source.id,
        }
    }

    /// The source as a payment method, attached unless it is deleted.
    pub(super) fn decode(self) -> Result<PaymentMethod, ObjectError> {
        let object = self.object.unwrap_or_else(|| "unknown".to_owned());
        let account = self
            .sepa_debit
            .or(self.ach_debit)
            .or(self.acss_debit)
            .or(self.au_becs_debit);
        let last4 = self.last4.or(account.and_then(|account| account.last4));
        let card = self.card.unwrap_or(CardWire {
            brand: self.brand,
            last4,
            exp_month: self.exp_month,
            exp_year: self.exp_year,
        });
        Ok(PaymentMethod {
            id: StripeId::parse(self.id)?,
            kind: match object.as_str() {
                // Its type is what it is; that of a card object does not exist.
                "source" | "payment_method" => self.kind.unwrap_or(object),
                _ => object,
            },
            brand: card.brand.as_deref().map(brand),
            last4: card.last4,
            exp_month: card.exp_month,
            exp_year: card.exp_year,
            attached: !self.deleted,
        })
    }
}

/// A card's brand in the words of payment methods, so that one card reads the same either way. A
/// source calls it `American Express`
/// (<https://docs.stripe.com/api/cards/object#card_object-brand>), a payment method `amex`
/// (<https://docs.stripe.com/api/payment_methods/object#payment_method_object-card-brand>).
fn brand(name: &str) -> String {
    match name {
        "American Express" => "amex".to_owned(),
        "Diners Club" => "diners".to_owned(),
        "Eftpos Australia" => "eftpos_au".to_owned(),
        other => other.to_lowercase().replace(' ', "_"),
    }
}

pub(super) fn event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: SourceWire = serde_json::from_str(raw.get())?;
    let owner = match customer(wire.customer.as_ref())? {
        Some(owner) => Some(owner),
        None => former_customer(hint)?,
    };
    let mut method = wire.decode()?;
    method.attached &= hint.event_type != "customer.source.deleted";
    Ok(Some(Decoded {
        customer: owner,
        body: Body::PaymentMethod(method),
    }))
}
