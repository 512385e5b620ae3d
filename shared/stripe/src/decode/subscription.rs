//! `customer.subscription.*`

use paygraph_domain::fact::{Body, Fact, Source};
use paygraph_domain::id::{Cause, StripeId};
use paygraph_domain::objects::catalog::Period;
use paygraph_domain::objects::subscription::{Item, Pause, Status, Subscription};
use paygraph_domain::order::Seen;
use paygraph_domain::time::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::catalog::{PriceWire, TaxRateWire};
use super::discount::{DiscountWire, references};
use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Expandable, List, Ref, currency, customer, id, present, seen, time};

#[derive(Deserialize)]
struct SubscriptionWire {
    id: String,
    customer: Option<Ref>,
    status: Option<String>,
    currency: Option<String>,
    created: Option<i64>,
    start_date: Option<i64>,
    ended_at: Option<i64>,
    canceled_at: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    cancel_at: Option<Option<i64>>,
    cancel_at_period_end: Option<bool>,
    cancellation_details: Option<CancellationWire>,
    #[serde(default, deserialize_with = "present")]
    trial_start: Option<Option<i64>>,
    #[serde(default, deserialize_with = "present")]
    trial_end: Option<Option<i64>>,
    #[serde(default, deserialize_with = "present")]
    pause_collection: Option<Option<PauseWire>>,
    // On the subscription before 2025-03-31, on its items since.
    current_period_start: Option<i64>,
    current_period_end: Option<i64>,
    items: Option<List<ItemWire>>,
    discount: Option<DiscountWire>,
    discounts: Option<Vec<Option<Expandable<DiscountWire>>>>,
    default_tax_rates: Option<Vec<TaxRateWire>>,
    default_payment_method: Option<Ref>,
    collection_method: Option<String>,
    schedule: Option<Ref>,
    pending_update: Option<IgnoredAny>,
    latest_invoice: Option<Ref>,
}

#[derive(Deserialize)]
struct CancellationWire {
    #[serde(default, deserialize_with = "present")]
    reason: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    feedback: Option<Option<String>>,
}

#[derive(Deserialize)]
struct PauseWire {
    behavior: Option<String>,
    resumes_at: Option<i64>,
}

#[derive(Deserialize)]
struct ItemWire {
    id: String,
    price: Option<PriceWire>,
    // Beside the price, and alone in versions before prices.
    plan: Option<PriceWire>,
    quantity: Option<u64>,
    current_period_start: Option<i64>,
    current_period_end: Option<i64>,
    current_trial: Option<TrialWire>,
    discounts: Option<Vec<Option<Expandable<DiscountWire>>>>,
    tax_rates: Option<Vec<TaxRateWire>>,
}

/// A trial of one item, since 2026-09-30.
#[derive(Deserialize)]
struct TrialWire {
    #[serde(alias = "end_date", alias = "trial_end")]
    end: Option<i64>,
}

impl ItemWire {
    fn decode(self, at: Timestamp) -> Result<Item, ObjectError> {
        let price = self
            .price
            .or(self.plan)
            .ok_or(ObjectError::Missing("items.data.price"))?;
        Ok(Item {
            id: StripeId::parse(self.id)?,
            price: price.decode(at)?,
            quantity: self.quantity,
            period: period(self.current_period_start, self.current_period_end),
            discounts: references(self.discounts, None, at)?,
            taxes: taxes(self.tax_rates.as_deref()),
            trial_until: self.current_trial.and_then(|trial| time(trial.end)),
        })
    }
}

fn period(start: Option<i64>, end: Option<i64>) -> Option<Period> {
    time(start)
        .zip(time(end))
        .map(|(start, end)| Period { start, end })
}

fn taxes(rates: Option<&[TaxRateWire]>) -> Vec<paygraph_domain::objects::catalog::TaxRate> {
    rates
        .unwrap_or_default()
        .iter()
        .filter_map(TaxRateWire::decode)
        .collect()
}

/// Reads a subscription as a snapshot of the second `at`.
///
/// # Errors
/// [`ObjectError`] when it is none.
pub fn decode(raw: &RawValue, at: Timestamp) -> Result<Subscription, ObjectError> {
    build(serde_json::from_str(raw.get())?, at)
}

/// Reads the customer of a subscription as a fact of the second `at`, where it came expanded.
///
/// # Errors
/// [`ObjectError`] when it is none.
pub fn expanded_customer(raw: &RawValue, at: Timestamp) -> Result<Option<Fact>, ObjectError> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        customer: Option<&'a RawValue>,
    }
    let head: Head<'_> = serde_json::from_str(raw.get())?;
    let expanded = head.customer.filter(|raw| raw.get().starts_with('{'));
    let Some(customer) = expanded else {
        return Ok(None);
    };
    let cause = Cause::parse("expanded")?;
    super::listed(
        "customer.updated",
        customer,
        &cause,
        Source::Webhook,
        (at, at),
    )
}

fn build(wire: SubscriptionWire, at: Timestamp) -> Result<Subscription, ObjectError> {
    let items_cut = wire.items.as_ref().is_some_and(|items| items.has_more);
    let items = wire.items.map(|items| items.data).unwrap_or_default();
    let items = items
        .into_iter()
        .map(|item| item.decode(at))
        .collect::<Result<Vec<_>, _>>()?;
    let own = period(wire.current_period_start, wire.current_period_end);
    let running = own.or_else(|| {
        items
            .iter()
            .filter_map(|item| item.period)
            .min_by_key(|p| p.end)
    });
    let created = time(wire.created).unwrap_or(at);
    let (reason, feedback) = match wire.cancellation_details {
        Some(details) => (details.reason, details.feedback),
        None => (None, None),
    };
    Ok(Subscription {
        id: StripeId::parse(wire.id)?,
        status: Status::from(wire.status.ok_or(ObjectError::Missing("status"))?),
        currency: currency(wire.currency.as_ref()),
        created,
        start_date: time(wire.start_date).unwrap_or(created),
        ended_at: time(wire.ended_at),
        canceled_at: time(wire.canceled_at),
        cancel_at: seen(at, wire.cancel_at, |seconds| time(Some(seconds))),
        cancel_at_period_end: wire.cancel_at_period_end.unwrap_or(false),
        cancel_reason: seen(at, reason, Some),
        cancel_feedback: seen(at, feedback, Some),
        trial_start: seen(at, wire.trial_start, |seconds| time(Some(seconds))),
        trial_end: seen(at, wire.trial_end, |seconds| time(Some(seconds))),
        pause: seen(at, wire.pause_collection, |pause| {
            Some(Pause {
                behavior: pause.behavior,
                resumes_at: time(pause.resumes_at),
            })
        }),
        period: Seen::new(at, running.map(Some)),
        items,
        items_cut,
        discounts: references(wire.discounts, wire.discount, at)?,
        default_taxes: taxes(wire.default_tax_rates.as_deref()),
        default_payment_method: id(wire.default_payment_method.as_ref())?,
        charges_automatically: wire.collection_method.as_deref() != Some("send_invoice"),
        schedule: id(wire.schedule.as_ref())?,
        has_pending_update: wire.pending_update.is_some(),
        latest_invoice: id(wire.latest_invoice.as_ref())?,
    })
}

pub(super) fn event(raw: &RawValue, hint: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: SubscriptionWire = serde_json::from_str(raw.get())?;
    let customer = customer(wire.customer.as_ref())?;
    let mut subscription = build(wire, hint.at)?;
    if hint.event_type == "customer.subscription.deleted" && !subscription.status.is_final() {
        subscription.status = Status::Canceled;
    }
    let body = Body::Subscription(Box::new(subscription));
    Ok(Some(Decoded { customer, body }))
}

/// The subscription before an update, when that changed what is bought.
pub(super) fn replaced(raw: &RawValue, previous: &RawValue, at: Timestamp) -> Option<Subscription> {
    const BOUGHT: [&str; 3] = ["items", "plan", "quantity"];
    let previous: Map<String, Value> = serde_json::from_str(previous.get()).ok()?;
    if !BOUGHT.iter().any(|name| previous.contains_key(*name)) {
        return None;
    }
    let mut object: Map<String, Value> = serde_json::from_str(raw.get()).ok()?;
    if !previous.contains_key("items") {
        // Versions with one plan per subscription: it stands beside the items.
        let item = object.get_mut("items")?.get_mut("data")?.get_mut(0)?;
        let item = item.as_object_mut()?;
        if let Some(plan) = previous.get("plan") {
            item.insert("plan".to_owned(), plan.clone());
            item.remove("price");
        }
        if let Some(quantity) = previous.get("quantity") {
            item.insert("quantity".to_owned(), quantity.clone());
        }
    }
    object.extend(previous);
    let wire = serde_json::from_value(Value::Object(object)).ok()?;
    build(wire, at).ok()
}
