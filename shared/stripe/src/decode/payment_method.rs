//! `payment_method.*`

use paygraph_domain::fact::Body;
use paygraph_domain::id::StripeId;
use paygraph_domain::objects::payment_method::PaymentMethod;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Ref, customer};

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

#[derive(Deserialize)]
struct CardWire {
    brand: Option<String>,
    last4: Option<String>,
    exp_month: Option<u8>,
    exp_year: Option<u16>,
}

#[derive(Deserialize)]
struct AccountWire {
    last4: Option<String>,
}

#[derive(Deserialize)]
struct Before {
    customer: Option<Ref>,
}

pub(super) fn event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: PaymentMethodWire = serde_json::from_str(raw.get())?;
    let owner = customer(wire.customer.as_ref())?;
    // A detached payment method has no customer any more: the one that it had is what was replaced.
    let before = hint
        .previous
        .map(|raw| serde_json::from_str::<Before>(raw.get()))
        .transpose()?;
    let before = customer(before.as_ref().and_then(|before| before.customer.as_ref()))?;
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
        customer: owner.or(before),
        body: Body::PaymentMethod(method),
    }))
}
