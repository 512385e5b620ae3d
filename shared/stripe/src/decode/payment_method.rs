//! `payment_method.*`

use paygraph_domain::fact::Body;
use paygraph_domain::id::{StripeCustomerId, StripeId};
use paygraph_domain::objects::payment_method::PaymentMethod;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Ref, account_as_customer, customer};

#[derive(Deserialize)]
struct PaymentMethodWire {
    id: String,
    customer: Option<Ref>,
    #[serde(rename = "type")]
    kind: Option<String>,
    card: Option<CardWire>,
    sepa_debit: Option<AccountWire>,
    us_bank_account: Option<AccountWire>,
    bacs_debit: Option<AccountWire>,
    au_becs_debit: Option<AccountWire>,
    acss_debit: Option<AccountWire>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CardWire {
    pub brand: Option<String>,
    pub last4: Option<String>,
    pub exp_month: Option<u8>,
    pub exp_year: Option<u16>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct AccountWire {
    pub last4: Option<String>,
}

/// The customer, or the account that is one, which a detached object had before.
#[derive(Deserialize)]
struct Before {
    customer: Option<Ref>,
    customer_account: Option<Ref>,
}

/// The customer that an event says was replaced: a detached object names none any more.
pub(super) fn former_customer(hint: &Hint<'_>) -> Result<Option<StripeCustomerId>, ObjectError> {
    let Some(previous) = hint.previous else {
        return Ok(None);
    };
    let before: Before = serde_json::from_str(previous.get())?;
    let account = customer(before.customer_account.as_ref())?;
    Ok(customer(before.customer.as_ref())?.or(account))
}

pub(super) fn event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: PaymentMethodWire = serde_json::from_str(raw.get())?;
    let owner = match customer(wire.customer.as_ref())? {
        Some(owner) => Some(owner),
        None => account_as_customer(raw)?,
    };
    let account = wire
        .sepa_debit
        .or(wire.us_bank_account)
        .or(wire.bacs_debit)
        .or(wire.au_becs_debit)
        .or(wire.acss_debit);
    let (brand, last4, exp_month, exp_year) = match wire.card {
        Some(card) => (card.brand, card.last4, card.exp_month, card.exp_year),
        None => (None, account.and_then(|account| account.last4), None, None),
    };
    let method = PaymentMethod {
        id: StripeId::parse(wire.id)?,
        kind: wire.kind.unwrap_or_else(|| "unknown".to_owned()),
        brand,
        last4,
        exp_month,
        exp_year,
        attached: owner.is_some() && hint.event_type != "payment_method.detached",
    };
    Ok(Some(Decoded {
        customer: match owner {
            Some(owner) => Some(owner),
            None => former_customer(hint)?,
        },
        body: Body::PaymentMethod(method),
    }))
}
