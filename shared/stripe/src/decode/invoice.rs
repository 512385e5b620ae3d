//! `invoice.*`

use paygraph_domain::fact::Body;
use paygraph_domain::id::StripeId;
use paygraph_domain::money::Currency;
use paygraph_domain::objects::catalog::Period;
use paygraph_domain::objects::invoice::{
    Invoice, InvoicePayment, Line, MAX_LINES, MAX_PAYMENTS, Status,
};
use paygraph_domain::order::Seen;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::catalog::PriceWire;
use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Expandable, List, Ref, customer, id, present, seen, time};

#[derive(Deserialize)]
struct InvoiceWire {
    id: Option<String>,
    customer: Option<Ref>,
    status: Option<String>,
    currency: Option<String>,
    #[serde(default)]
    amount_due: i64,
    #[serde(default)]
    amount_paid: i64,
    #[serde(default)]
    total: i64,
    created: Option<i64>,
    due_date: Option<i64>,
    status_transitions: Option<Transitions>,
    #[serde(default)]
    attempt_count: u32,
    next_payment_attempt: Option<i64>,
    collection_method: Option<String>,
    billing_reason: Option<String>,
    // Gone since 2025-03-31, when the first moved to `parent` and the others to `payments`.
    #[serde(default, deserialize_with = "present")]
    subscription: Option<Option<Ref>>,
    #[serde(default, deserialize_with = "present")]
    charge: Option<Option<Ref>>,
    #[serde(default, deserialize_with = "present")]
    payment_intent: Option<Option<Ref>>,
    paid: Option<bool>,
    paid_out_of_band: Option<bool>,
    // Since 2026-05-27, and only if it is asked for.
    // https://docs.stripe.com/changelog/dahlia/2026-05-27/invoice-object-amount-paid-off-stripe-property
    amount_paid_off_stripe: Option<i64>,
    parent: Option<ParentWire>,
    payments: Option<List<PaymentWire>>,
    lines: Option<List<LineWire>>,
}

#[derive(Deserialize)]
struct Transitions {
    #[serde(default, deserialize_with = "present")]
    paid_at: Option<Option<i64>>,
}

#[derive(Deserialize)]
struct ParentWire {
    subscription_details: Option<InSubscription>,
}

#[derive(Deserialize)]
struct InSubscription {
    subscription: Option<Ref>,
}

#[derive(Deserialize)]
struct PaymentWire {
    payment: Option<PaymentOf>,
    amount_paid: Option<i64>,
    status: Option<String>,
}

#[derive(Deserialize)]
struct PaymentOf {
    #[serde(rename = "type")]
    kind: Option<String>,
    charge: Option<Ref>,
    payment_intent: Option<Ref>,
}

impl PaymentWire {
    /// <https://docs.stripe.com/api/invoice-payment/object>: its type is `charge`, `payment_intent`
    /// or, for a payment outside of Stripe, `payment_record`.
    fn decode(&self) -> Result<InvoicePayment, ObjectError> {
        let of = self.payment.as_ref();
        let kind = of.and_then(|of| of.kind.as_deref());
        let named = of.and_then(|of| of.payment_intent.as_ref().or(of.charge.as_ref()));
        let is_paid = self.status.as_deref() == Some("paid");
        Ok(InvoicePayment {
            amount: self.amount_paid.filter(|_| is_paid).unwrap_or(0),
            payment: id(named)?,
            out_of_band: kind == Some("payment_record"),
        })
    }
}

#[derive(Deserialize)]
struct LineWire {
    id: Option<String>,
    #[serde(default)]
    amount: i64,
    quantity: Option<u64>,
    price: Option<Expandable<PriceWire>>,
    plan: Option<Expandable<PriceWire>>,
    pricing: Option<Pricing>,
    subscription: Option<Ref>,
    proration: Option<bool>,
    parent: Option<LineParent>,
    period: Option<PeriodWire>,
}

#[derive(Deserialize)]
struct Pricing {
    price_details: Option<PriceDetails>,
}

#[derive(Deserialize)]
struct PriceDetails {
    price: Option<Expandable<PriceWire>>,
    product: Option<Ref>,
}

#[derive(Deserialize)]
struct LineParent {
    invoice_item_details: Option<LineOrigin>,
    subscription_item_details: Option<LineOrigin>,
}

#[derive(Deserialize)]
struct LineOrigin {
    proration: Option<bool>,
    subscription: Option<Ref>,
}

#[derive(Deserialize)]
struct PeriodWire {
    start: i64,
    end: i64,
}

impl LineWire {
    fn decode(&self, position: usize) -> Result<Line, ObjectError> {
        let details = self
            .pricing
            .as_ref()
            .and_then(|pricing| pricing.price_details.as_ref());
        let price = self
            .price
            .as_ref()
            .or(self.plan.as_ref())
            .or(details.and_then(|details| details.price.as_ref()));
        let (price, product) = match price {
            Some(Expandable::Id(id)) => (Some(StripeId::parse(id.as_str())?), None),
            Some(Expandable::Object(price)) => (Some(price.id()?), price.product()?),
            None => (None, None),
        };
        let origin = self.parent.as_ref().and_then(|parent| {
            parent
                .subscription_item_details
                .as_ref()
                .or(parent.invoice_item_details.as_ref())
        });
        let subscription = self
            .subscription
            .as_ref()
            .or(origin.and_then(|origin| origin.subscription.as_ref()));
        let proration = self
            .proration
            .or(origin.and_then(|origin| origin.proration));
        let unnamed = || format!("line_{position}");
        Ok(Line {
            id: StripeId::parse(self.id.clone().unwrap_or_else(unnamed))?,
            amount: self.amount,
            quantity: self.quantity,
            price,
            product: match product {
                Some(product) => Some(product),
                None => id(details.and_then(|details| details.product.as_ref()))?,
            },
            subscription: id(subscription)?,
            period: self.period.as_ref().and_then(|period| {
                let (start, end) = time(Some(period.start)).zip(time(Some(period.end)))?;
                Some(Period { start, end })
            }),
            proration: proration.unwrap_or(false),
        })
    }
}

impl InvoiceWire {
    fn status(&self, event_type: &str) -> Status {
        if event_type == "invoice.deleted" {
            return Status::Deleted;
        }
        match (&self.status, self.paid) {
            (Some(status), _) => Status::from(status.clone()),
            (None, Some(true)) => Status::Paid,
            (None, Some(false) | None) => Status::Open,
        }
    }

    /// What was paid outside of Stripe, where the version tells it. Before 2025-03-31 such an invoice
    /// has no amount paid.
    fn off_stripe(&self) -> Option<i64> {
        let whole = self.amount_due.max(self.amount_paid);
        let is_paid = self.status.as_deref().is_none_or(|status| status == "paid");
        let told = self.paid_out_of_band;
        let told = told.map(|told| if told && is_paid { whole } else { 0 });
        self.amount_paid_off_stripe.or(told)
    }

    /// The subscription, in either of its places.
    fn subscription(&self) -> Option<Option<Ref>> {
        let parent = self
            .parent
            .as_ref()
            .and_then(|parent| parent.subscription_details.as_ref());
        match parent.and_then(|details| details.subscription.clone()) {
            Some(subscription) => Some(Some(subscription)),
            None => self.subscription.clone(),
        }
    }
}

pub(super) fn event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: InvoiceWire = serde_json::from_str(raw.get())?;
    // A preview has no id, and is nothing to keep.
    let Some(name) = wire.id.as_deref().filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let customer = customer(wire.customer.as_ref())?;
    let code = wire
        .currency
        .as_deref()
        .ok_or(ObjectError::Missing("currency"))?;
    let payment = wire
        .payments
        .as_ref()
        .and_then(|list| list.data.first()?.payment.as_ref());
    let listed = wire.payments.as_ref();
    let payments = listed.map(|list| {
        let payments = list.data.iter().take(MAX_PAYMENTS);
        payments
            .map(PaymentWire::decode)
            .collect::<Result<Vec<_>, _>>()
    });
    let payments = payments.transpose()?;
    let at = hint.at;
    let known = |reference: Option<Option<Ref>>, payment: Option<&Ref>| match payment {
        Some(payment) => Some(Some(payment.clone())),
        None => reference,
    };
    let read = |reference: Ref| StripeId::parse(reference.as_str()).ok();
    let lines = wire
        .lines
        .as_ref()
        .map(|lines| lines.data.as_slice())
        .unwrap_or_default();
    let numbered = lines.iter().take(MAX_LINES).enumerate();
    let paid_at = wire
        .status_transitions
        .as_ref()
        .and_then(|moves| moves.paid_at);
    let invoice = Invoice {
        id: StripeId::parse(name)?,
        status: wire.status(hint.event_type),
        currency: Currency::parse(code).map_err(|_| ObjectError::Missing("currency"))?,
        amount_due: wire.amount_due,
        amount_paid: wire.amount_paid,
        total: wire.total,
        created: time(wire.created).ok_or(ObjectError::Missing("created"))?,
        due_date: time(wire.due_date),
        paid_at: Seen::new(at, paid_at.map(time)),
        attempt_count: wire.attempt_count,
        next_payment_attempt: time(wire.next_payment_attempt),
        charges_automatically: wire.collection_method.as_deref() != Some("send_invoice"),
        billing_reason: wire.billing_reason.clone(),
        subscription: seen(at, wire.subscription(), read),
        charge: seen(
            at,
            known(wire.charge.clone(), payment.and_then(|p| p.charge.as_ref())),
            read,
        ),
        payment_intent: seen(
            at,
            known(
                wire.payment_intent.clone(),
                payment.and_then(|p| p.payment_intent.as_ref()),
            ),
            read,
        ),
        payments: Seen::new(at, payments),
        off_stripe: Seen::new(at, wire.off_stripe().map(Some)),
        lines: numbered
            .map(|(i, line)| line.decode(i))
            .collect::<Result<_, _>>()?,
        lines_cut: lines.len() < MAX_LINES && wire.lines.as_ref().is_some_and(|list| list.has_more),
    };
    Ok(Some(Decoded {
        customer,
        body: Body::Invoice(Box::new(invoice)),
    }))
}
