//! `charge.*` and `refund.*`

use paygraph_domain::fact::Body;
use paygraph_domain::id::StripeId;
use paygraph_domain::money::Currency;
use paygraph_domain::objects::charge::{Charge, Refund, Status};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Ref, customer, id, time};

#[derive(Deserialize)]
struct ChargeWire {
    id: String,
    customer: Option<Ref>,
    status: Option<String>,
    currency: Option<String>,
    #[serde(default)]
    amount: i64,
    amount_captured: Option<i64>,
    #[serde(default)]
    amount_refunded: i64,
    payment_intent: Option<Ref>,
    // Gone since 2025-03-31.
    invoice: Option<Ref>,
    captured: Option<bool>,
    failure_code: Option<String>,
    outcome: Option<OutcomeWire>,
    created: Option<i64>,
}

/// <https://docs.stripe.com/api/charges/object#charge_object-outcome>
#[derive(Deserialize)]
struct OutcomeWire {
    reason: Option<String>,
    advice_code: Option<String>,
}

#[derive(Deserialize)]
struct RefundWire {
    id: String,
    charge: Option<Ref>,
    payment_intent: Option<Ref>,
    #[serde(default)]
    amount: i64,
    currency: Option<String>,
    status: Option<String>,
    reason: Option<String>,
}

impl ChargeWire {
    /// What came in: of what was held, maybe only a part. What is still held may come whole.
    fn came(&self) -> i64 {
        let captured = self.amount_captured.filter(|captured| *captured > 0);
        captured.unwrap_or(self.amount)
    }

    /// What came in for sure. An authorization holds money and captures none.
    fn captured(&self) -> i64 {
        match (self.captured, self.amount_captured) {
            (Some(false), _) => 0,
            (Some(true) | None, Some(captured)) => captured,
            (Some(true) | None, None) => self.amount,
        }
    }

    /// What was given back of what had come in. Stripe counts what was only held, and let go, as
    /// given back too.
    fn given_back(&self) -> i64 {
        let held = self.amount_captured;
        let held = held.map_or(0, |came| self.amount.saturating_sub(came));
        self.amount_refunded.saturating_sub(held).max(0)
    }
}

impl RefundWire {
    /// Whether nothing was given back by it.
    fn is_void(&self) -> bool {
        matches!(self.status.as_deref(), Some("failed" | "canceled"))
            || self.reason.as_deref() == Some("expired_uncaptured_charge")
    }
}

pub(super) fn money_of(code: Option<&String>) -> Result<Currency, ObjectError> {
    let code = code.ok_or(ObjectError::Missing("currency"))?;
    Currency::parse(code).map_err(|_| ObjectError::Missing("currency"))
}

pub(super) fn event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: ChargeWire = serde_json::from_str(raw.get())?;
    let (amount, amount_refunded) = (wire.came(), wire.given_back());
    let (asked, captured) = (Some(wire.amount), wire.captured());
    let status = Status::from(wire.status.unwrap_or_default());
    // `failure_code` is `card_declined` for most declines; the outcome's reason is the decline code.
    let outcome = wire.outcome.filter(|_| status == Status::Failed);
    let (reason, advice_code) = outcome.map_or((None, None), |outcome| {
        (outcome.reason, outcome.advice_code)
    });
    let charge = Charge {
        id: StripeId::parse(wire.id)?,
        status,
        currency: money_of(wire.currency.as_ref())?,
        amount,
        asked,
        captured,
        amount_refunded,
        payment_intent: id(wire.payment_intent.as_ref())?,
        invoice: id(wire.invoice.as_ref())?,
        decline_code: reason.or(wire.failure_code),
        advice_code,
        created: time(wire.created).unwrap_or(hint.at),
    };
    let customer = customer(wire.customer.as_ref())?;
    Ok(Some(Decoded {
        customer,
        body: Body::Charge(charge),
    }))
}

pub(super) fn refund_event(raw: &RawValue, _: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: RefundWire = serde_json::from_str(raw.get())?;
    let failed = wire.is_void();
    let refund = Refund {
        id: StripeId::parse(wire.id)?,
        charge: id(wire.charge.as_ref())?,
        payment_intent: id(wire.payment_intent.as_ref())?,
        amount: wire.amount,
        currency: money_of(wire.currency.as_ref())?,
        failed,
    };
    Ok(Some(Decoded {
        customer: None,
        body: Body::Refund(refund),
    }))
}
