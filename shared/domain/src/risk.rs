//! What access and risk of one Stripe customer follow from, as far as it depends on no clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::collection::Collection;
use crate::id::StripeId;
use crate::money::Money;
use crate::objects::subscription::{Status, Subscription};
use crate::rollup::Context;
use crate::time::Timestamp;
use crate::totals::Totals;

/// The most open disputes that are listed.
const MAX_DISPUTES: usize = 10;

/// What a subscription gives access by, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Nothing runs.
    #[default]
    None,
    /// Unpaid, paused, or every retry failed.
    Restricted,
    /// Past due, and trusted until an instant.
    Grace(Timestamp),
    /// Paid, or in a trial.
    Full,
}

/// A change to something that costs less.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Downgrade {
    /// The subscription.
    pub subscription: StripeId,
    /// The tier before.
    pub tier_before: Option<String>,
    /// The tier after.
    pub tier_after: Option<String>,
    /// Minor units per month before, at list prices.
    pub mrr_before: Money,
    /// Minor units per month after, at list prices.
    pub mrr_after: Money,
}

/// Somebody asked for the end of a subscription that still runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leaving {
    /// When it was asked.
    pub since: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// The subscription.
    pub subscription: StripeId,
    /// What the customer said.
    pub feedback: Option<String>,
}

/// A dispute that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenDispute {
    /// When it was made.
    pub since: Timestamp,
    /// What is asked back.
    pub amount: Money,
    /// `fraudulent`, …
    pub reason: Option<String>,
}

/// What access and risk follow from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Risk {
    /// The best that a subscription gives.
    pub basis: Basis,
    /// Since when a subscription is past due or unpaid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past_due: Option<(Timestamp, StripeId)>,
    /// The subscription that ends first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Leaving>,
    /// Disputes that are not over.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub disputes: BTreeMap<StripeId, OpenDispute>,
    /// The newest downgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downgrade: Option<(Timestamp, Downgrade)>,
    /// Whether a live subscription is paid for by the method on file.
    pub charged: bool,
}

impl Risk {
    /// What an account's objects come to.
    #[must_use]
    pub fn of(account: &Account, totals: &Totals, context: Context<'_>) -> Self {
        let mut risk = Self::default();
        for stored in account.subscriptions.values() {
            let subscription = stored.value.subscription.get();
            risk.add(subscription, totals, context);
            let newest = stored.value.downgrades.last_key_value();
            let newest = newest.map(|(at, downgrade)| (*at, downgrade.clone()));
            risk.downgrade = risk.downgrade.take().max(newest);
        }
        let disputes = account.disputes.values().map(|stored| stored.value.get());
        let open = disputes.filter(|dispute| !dispute.is_inquiry() && !dispute.is_closed());
        for dispute in open.take(MAX_DISPUTES) {
            let open = OpenDispute {
                since: dispute.created,
                amount: Money::of(&dispute.currency, dispute.amount),
                reason: dispute.reason.clone(),
            };
            risk.disputes.insert(dispute.id.clone(), open);
        }
        risk
    }

    fn add(&mut self, subscription: &Subscription, totals: &Totals, context: Context<'_>) {
        let basis = match subscription.status {
            Status::Active | Status::Trialing => Basis::Full,
            Status::PastDue => grace(subscription, totals, context),
            Status::Unpaid | Status::Paused => Basis::Restricted,
            Status::Incomplete
            | Status::IncompleteExpired
            | Status::Canceled
            | Status::Other(_) => Basis::None,
        };
        self.basis = self.basis.max(basis);
        if matches!(subscription.status, Status::PastDue | Status::Unpaid) {
            let since = (
                past_due_since(subscription, totals),
                subscription.id.clone(),
            );
            self.past_due = Some(match self.past_due.take() {
                Some(known) => known.min(since),
                None => since,
            });
        }
        if !subscription.status.is_live() {
            return;
        }
        self.charged |= subscription.charges_automatically;
        if let Some(end) = subscription.scheduled_end() {
            let leaving = Leaving {
                since: subscription.canceled_at.unwrap_or(subscription.start_date),
                end,
                subscription: subscription.id.clone(),
                feedback: subscription.cancel_feedback.get().clone(),
            };
            self.leaving = Some(match self.leaving.take() {
                // Of two that end together, the one that was asked for first.
                Some(known) if (known.end, known.since) <= (leaving.end, leaving.since) => known,
                Some(_) | None => leaving,
            });
        }
    }
}

/// The open invoices of a subscription.
fn open_invoices<'a>(
    subscription: &'a Subscription,
    totals: &'a Totals,
) -> impl Iterator<Item = Collection<'a>> + Clone {
    totals
        .open_invoices()
        .filter(|open| open.invoice.subscription.as_ref() == Some(&subscription.id))
}

/// Since when a subscription is past due, by its open invoices: the earliest counts.
#[must_use]
pub fn invoices_past_due_since(subscription: &Subscription, totals: &Totals) -> Option<Timestamp> {
    open_invoices(subscription, totals)
        .filter_map(Collection::past_due_since)
        .min()
}

/// Since when a subscription is past due: by its open invoices, else with the unpaid period.
fn past_due_since(subscription: &Subscription, totals: &Totals) -> Timestamp {
    let period = subscription.period.get().map(|period| period.start);
    invoices_past_due_since(subscription, totals)
        .or(period)
        .unwrap_or(subscription.start_date)
}

/// How long a subscription that is past due is trusted: the days of grace since it became so, or
/// until the next attempt if that is later; no longer once every retry has failed.
fn grace(subscription: &Subscription, totals: &Totals, context: Context<'_>) -> Basis {
    let own = open_invoices(subscription, totals);
    if own.clone().any(Collection::is_exhausted) {
        return Basis::Restricted;
    }
    let days = i64::from(context.settings.grace_days);
    let end = past_due_since(subscription, totals).plus(days * 86_400);
    let next = own.filter_map(|open| open.invoice.next_attempt).max();
    Basis::Grace(next.map_or(end, |next| next.max(end)))
}
