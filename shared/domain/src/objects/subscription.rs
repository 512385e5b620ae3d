//! A subscription with its items.

use serde::{Deserialize, Serialize};

use super::catalog::{Period, Price, TaxRate};
use super::discount::{DiscountRef, learn_coupons};
use super::words;
use crate::id::StripeId;
use crate::money::Currency;
use crate::order::{Seen, Snapshot};
use crate::time::Timestamp;

words! {
    /// Stripe's status of a subscription. <https://docs.stripe.com/billing/subscriptions/overview>
    Status {
        /// The first invoice is not paid yet.
        Incomplete = "incomplete",
        /// The first invoice was not paid within 23 hours. Final.
        IncompleteExpired = "incomplete_expired",
        /// In its trial.
        Trialing = "trialing",
        /// Running and paid.
        Active = "active",
        /// The newest invoice is not paid.
        PastDue = "past_due",
        /// Ended. Final.
        Canceled = "canceled",
        /// Retries are over; invoices stay drafts.
        Unpaid = "unpaid",
        /// The trial ended without a payment method, or somebody paused it.
        Paused = "paused",
    }
}

impl Status {
    /// Whether the subscription still runs in some way: active, past_due, trialing, paused, unpaid.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(
            self,
            Self::Active | Self::PastDue | Self::Trialing | Self::Paused | Self::Unpaid
        )
    }

    /// Whether it never changes again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }
}

/// Invoices are made but not collected (`pause_collection`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// `keep_as_draft`, `mark_uncollectible` or `void`.
    pub behavior: Option<String>,
    /// When collection goes on by itself.
    pub resumes_at: Option<Timestamp>,
}

/// One price of a subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// `si_…`.
    pub id: StripeId,
    /// What is bought.
    pub price: Price,
    /// How many; none for metered prices.
    pub quantity: Option<u64>,
    /// The running period, where the item has one of its own.
    pub period: Option<Period>,
    /// Discounts on this item alone.
    pub discounts: Vec<DiscountRef>,
    /// Taxes of this item; none means the subscription's.
    pub taxes: Vec<TaxRate>,
    /// The end of a trial of this item alone.
    pub trial_until: Option<Timestamp>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// `sub_…`.
    pub id: StripeId,
    /// Where it is in its life.
    pub status: Status,
    /// The currency of all its prices.
    pub currency: Option<Currency>,
    /// When the object was made.
    pub created: Timestamp,
    /// When it began, which may lie before `created`.
    pub start_date: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When somebody asked for the end.
    pub canceled_at: Option<Timestamp>,
    /// A set end.
    pub cancel_at: Seen<Option<Timestamp>>,
    /// Ends with the running period.
    pub cancel_at_period_end: bool,
    /// `cancellation_details.reason`: `payment_failed`, `cancellation_requested`, `payment_disputed`.
    pub cancel_reason: Seen<Option<String>>,
    /// What the customer said on leaving, one of Stripe's words.
    pub cancel_feedback: Seen<Option<String>>,
    /// The trial's first second.
    pub trial_start: Seen<Option<Timestamp>>,
    /// The trial's end.
    pub trial_end: Seen<Option<Timestamp>>,
    /// Set while collection is paused.
    pub pause: Seen<Option<Pause>>,
    /// The running period, of the subscription itself or of the item that ends first.
    pub period: Seen<Option<Period>>,
    /// What is bought.
    pub items: Vec<Item>,
    /// Stripe cut the list of items.
    pub items_cut: bool,
    /// Discounts on the whole subscription, in the order in which they apply.
    pub discounts: Vec<DiscountRef>,
    /// Taxes of items that have none of their own.
    pub default_taxes: Vec<TaxRate>,
    /// A payment method of its own.
    pub default_payment_method: Option<StripeId>,
    /// Whether Stripe charges by itself, or sends an invoice.
    pub charges_automatically: bool,
    /// `sub_sched_…` that will change it.
    pub schedule: Option<StripeId>,
    /// A change waits for its payment (`pending_update`); it is not in force.
    pub has_pending_update: bool,
    /// Its newest invoice.
    pub latest_invoice: Option<StripeId>,
}

impl Subscription {
    /// Active as Stripe says, while collection is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.status == Status::Paused
            || (self.status == Status::Active && self.pause.get().is_some())
    }

    /// The instant of a scheduled end, by either way to schedule one.
    #[must_use]
    pub fn scheduled_end(&self) -> Option<Timestamp> {
        if self.status.is_final() {
            return None;
        }
        let at_period_end = || self.period.get().filter(|_| self.cancel_at_period_end);
        self.cancel_at
            .get()
            .or_else(|| at_period_end().map(|period| period.end))
    }
}

impl Snapshot for Subscription {
    fn is_final(&self) -> bool {
        self.status.is_final()
    }
    fn inherit(&mut self, other: &Self) {
        self.cancel_at.inherit(&other.cancel_at);
        self.cancel_reason.inherit(&other.cancel_reason);
        self.cancel_feedback.inherit(&other.cancel_feedback);
        self.trial_start.inherit(&other.trial_start);
        self.trial_end.inherit(&other.trial_end);
        self.pause.inherit(&other.pause);
        self.period.inherit(&other.period);
        self.complete(other);
    }
    fn complete(&mut self, other: &Self) {
        let of_items = other.items.iter().flat_map(|item| &item.discounts);
        let others = other.discounts.iter().chain(of_items);
        learn_coupons(&mut self.discounts, others.clone());
        for item in &mut self.items {
            learn_coupons(&mut item.discounts, others.clone());
            for known in &other.items {
                if known.price.id == item.price.id {
                    item.price.learn(&known.price);
                }
            }
        }
    }
}
