//! How much a customer may use, and what is wrong, by the definitions of the product.

use serde_json::Value;

use super::super::invoice::subscription_of;
use super::worth::{period_start, scheduled_end};
use crate::world::{DAY, Life, is_set, number, text};

/// The days of grace of the example settings.
const GRACE: i64 = 14 * DAY;
/// How long before its end a card's expiry is told.
const WARNING: i64 = 30 * DAY;

/// Access, and what is wrong, at the end of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The most that a subscription gives; none where the rules leave it open.
    pub access: Option<Access>,
    /// Since when a subscription is past due or unpaid.
    pub past_due: Option<i64>,
    /// The first failed attempt at an invoice that is still open.
    pub failed_payment: Option<i64>,
    /// The next attempt at such an invoice, and when the first one failed.
    pub dunning: Option<(i64, i64)>,
    /// The first end that is set of a live subscription, and when it was asked for.
    pub leaving: Option<(i64, i64)>,
    /// Whether it pays by bank debits: when one failed, only its event tells.
    pub debits: bool,
    /// Since when the card on file is about to run out; none within `Some` if it is not, and none
    /// where several methods could be the one on file.
    pub card_expiring: Option<Option<i64>>,
}

/// How much of the product a customer may use, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing runs.
    None,
    /// Unpaid, paused, or out of grace.
    Restricted,
    /// Past due, and trusted until an instant.
    Grace(i64),
    /// Paid, or in a trial.
    Full,
}

/// A payment method, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// `pm_…` or `card_…`.
    pub id: String,
    /// The last four digits.
    pub last4: String,
    /// The first second in which a card is no longer valid.
    pub ends: Option<i64>,
}

impl Method {
    /// A PaymentMethod or an older card.
    pub(super) fn of(object: &Value) -> Self {
        let details = match text(object, "object") {
            "card" => object,
            _ => &object[text(object, "type")],
        };
        let (year, month) = (number(details, "exp_year"), number(details, "exp_month"));
        Self {
            id: text(object, "id").to_owned(),
            last4: text(details, "last4").to_owned(),
            ends: (year > 0).then(|| first_of_next_month(year, month)),
        }
    }
}

/// Midnight at the beginning of the month after this one (Unix seconds).
fn first_of_next_month(year: i64, month: i64) -> i64 {
    let (year, month) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    // Days since 1970-01-01 by the civil calendar, counted from March.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 - 719_468;
    days * DAY
}

/// How a customer stands.
pub(super) fn standing(life: &Life, method: Option<Method>, now: i64) -> Standing {
    let failing = || life.invoices.iter().filter_map(Failing::of);
    let retried = failing().filter_map(|invoice| Some((invoice.next?, invoice.since)));
    let owing = life.subscriptions.iter();
    let owing = owing.filter(|s| matches!(text(s, "status"), "past_due" | "unpaid"));
    let leaving = life.subscriptions.iter().filter_map(leaving);
    Standing {
        access: access(life),
        past_due: owing.map(|subscription| past_due(life, subscription)).min(),
        failed_payment: failing().map(|invoice| invoice.since).min(),
        dunning: retried.min(),
        leaving: leaving.min(),
        debits: life.debit,
        card_expiring: card_expiring(life, method, now),
    }
}

/// An open invoice that Stripe collects by itself, and of which an attempt has failed.
struct Failing {
    since: i64,
    next: Option<i64>,
    exhausted: bool,
    subscription: String,
}

impl Failing {
    fn of(invoice: &Value) -> Option<Self> {
        let is_open = text(invoice, "status") == "open";
        if !is_open || text(invoice, "collection_method") == "send_invoice" {
            return None;
        }
        let failed = invoice["_failed_at"].as_array().into_iter().flatten();
        let next = invoice["next_payment_attempt"].as_i64();
        let first = text(invoice, "billing_reason") == "subscription_create";
        Some(Self {
            since: failed.filter_map(Value::as_i64).min()?,
            next,
            // A debit that is pending may still succeed.
            exhausted: next.is_none() && !first && !is_set(invoice, "_pending"),
            subscription: subscription_of(invoice),
        })
    }
}

/// Since when a subscription is past due: per open invoice at its first failed attempt, or at its
/// due date if it was sent; without such an invoice, with the running period.
fn past_due(life: &Life, subscription: &Value) -> i64 {
    let starts = life.invoices.iter().filter_map(|invoice| {
        let own = text(subscription, "id") == subscription_of(invoice);
        if !own || text(invoice, "status") != "open" {
            return None;
        }
        match text(invoice, "collection_method") {
            "send_invoice" => invoice["due_date"].as_i64(),
            _ => Failing::of(invoice).map(|failing| failing.since),
        }
    });
    starts.min().unwrap_or_else(|| period_start(subscription))
}

fn access(life: &Life) -> Option<Access> {
    let mut best = Access::None;
    for subscription in &life.subscriptions {
        let level = match text(subscription, "status") {
            "active" | "trialing" => Access::Full,
            "past_due" if is_set(subscription, "pause_collection") => return None,
            "past_due" => grace(life, subscription)?,
            "unpaid" | "paused" => Access::Restricted,
            _ => Access::None,
        };
        best = best.max(level);
    }
    Some(best)
}

fn grace(life: &Life, subscription: &Value) -> Option<Access> {
    let failing = life.invoices.iter().filter_map(Failing::of);
    let own: Vec<_> = failing
        .filter(|failing| failing.subscription == text(subscription, "id"))
        .collect();
    if own.iter().any(|failing| failing.exhausted) {
        return Some(Access::Restricted);
    }
    let since = past_due(life, subscription);
    let next = own.iter().filter_map(|failing| failing.next).max();
    Some(Access::Grace(next.unwrap_or(0).max(since + GRACE)))
}

/// The end that is set of a live subscription, and when it was asked for.
fn leaving(subscription: &Value) -> Option<(i64, i64)> {
    let end = scheduled_end(subscription)?;
    let asked = subscription["canceled_at"].as_i64();
    let live = !matches!(text(subscription, "status"), "incomplete");
    live.then(|| {
        (
            end,
            asked.unwrap_or_else(|| number(subscription, "start_date")),
        )
    })
}

fn card_expiring(life: &Life, method: Option<Method>, now: i64) -> Option<Option<i64>> {
    let charged = life.subscriptions.iter().any(|subscription| {
        let live = ["active", "past_due", "trialing", "paused", "unpaid"];
        live.contains(&text(subscription, "status"))
            && text(subscription, "collection_method") == "charge_automatically"
    });
    let ambiguous = method.is_none() && life.attached().nth(1).is_some();
    let warned = method
        .and_then(|method| method.ends)
        .map(|end| end - WARNING);
    (!ambiguous).then(|| warned.filter(|warned| charged && *warned <= now))
}
