//! An invoice with its lines, and the attempts to collect it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::catalog::Period;
use super::words;
use crate::id::StripeId;
use crate::money::Currency;
use crate::order::{Seen, Snapshot, Tracked};
use crate::time::Timestamp;

/// The most lines and attempts that are kept of one invoice.
pub const MAX_LINES: usize = 100;
/// The most attempts that are kept of one invoice.
pub const MAX_ATTEMPTS: usize = 20;

words! {
    /// Stripe's status of an invoice.
    Status {
        /// Still changing.
        Draft = "draft",
        /// To be paid.
        Open = "open",
        /// Given up, though it can still be paid.
        Uncollectible = "uncollectible",
        /// Paid.
        Paid = "paid",
        /// Taken back. Final.
        Void = "void",
        /// A draft that was deleted. Final. (Our word: Stripe's deleted objects have no status.)
        Deleted = "deleted",
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// `il_…`.
    pub id: StripeId,
    /// Minor units, in the invoice's currency.
    pub amount: i64,
    /// How many.
    pub quantity: Option<u64>,
    /// The price.
    pub price: Option<StripeId>,
    /// The product.
    pub product: Option<StripeId>,
    /// The subscription that the line is for.
    pub subscription: Option<StripeId>,
    /// What the line pays for.
    pub period: Option<Period>,
    /// An adjustment for a change within a period.
    pub proration: bool,
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invoice {
    /// `in_…`.
    pub id: StripeId,
    /// Where it is in its life.
    pub status: Status,
    /// Its currency.
    pub currency: Currency,
    /// Minor units to pay.
    pub amount_due: i64,
    /// Minor units paid.
    pub amount_paid: i64,
    /// Minor units in all, before credit.
    pub total: i64,
    /// When it was made.
    pub created: Timestamp,
    /// When it is to be paid, for invoices that are sent.
    pub due_date: Option<Timestamp>,
    /// When it was paid.
    pub paid_at: Seen<Option<Timestamp>>,
    /// Automatic attempts so far.
    pub attempt_count: u32,
    /// The next automatic attempt.
    pub next_payment_attempt: Option<Timestamp>,
    /// Whether Stripe charges by itself, or sends the invoice.
    pub charges_automatically: bool,
    /// `subscription_create`, `subscription_cycle`, `manual`, …
    pub billing_reason: Option<String>,
    /// The subscription that it is for.
    pub subscription: Seen<Option<StripeId>>,
    /// The charge, where the API version tells it.
    pub charge: Seen<Option<StripeId>>,
    /// The payment intent, where the API version tells it.
    pub payment_intent: Seen<Option<StripeId>>,
    /// The first [`MAX_LINES`] lines.
    pub lines: Vec<Line>,
    /// Stripe cut the list of lines before that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lines_cut: bool,
}

impl Invoice {
    /// Whether it was paid with real money.
    #[must_use]
    pub fn is_paid(&self) -> bool {
        self.status == Status::Paid && self.amount_paid > 0
    }

    /// Whether it has lines that did not come with it, and that will not change any more.
    #[must_use]
    pub fn lacks_lines(&self) -> bool {
        self.lines_cut && self.status != Status::Draft
    }

    /// Whether it is the first of a subscription: Stripe tries it once, at the sign-up, and never
    /// again by itself.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.billing_reason.as_deref() == Some("subscription_create")
    }

    /// Whether Stripe has given up trying by itself. (STRIPE: an open invoice that charges
    /// automatically, was tried, and has no next attempt.)
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.status == Status::Open
            && self.charges_automatically
            && !self.is_first()
            && self.attempt_count > 0
            && self.next_payment_attempt.is_none()
    }
}

impl Snapshot for Invoice {
    fn is_final(&self) -> bool {
        matches!(self.status, Status::Void | Status::Deleted)
    }
    fn rank(&self) -> [i64; 3] {
        let status = match self.status {
            Status::Draft => 0,
            Status::Open | Status::Other(_) => 1,
            Status::Uncollectible => 2,
            Status::Paid | Status::Void | Status::Deleted => 3,
        };
        [status, i64::from(self.attempt_count), self.amount_paid]
    }
    fn inherit(&mut self, other: &Self) {
        self.paid_at.inherit(&other.paid_at);
        self.subscription.inherit(&other.subscription);
        self.charge.inherit(&other.charge);
        self.payment_intent.inherit(&other.payment_intent);
        if self.billing_reason.is_none() {
            self.billing_reason.clone_from(&other.billing_reason);
        }
        self.complete(other);
    }
    fn complete(&mut self, other: &Self) {
        let is_whole = !other.lines_cut && other.status != Status::Draft;
        if self.lacks_lines() && is_whole && other.lines.len() > self.lines.len() {
            self.lines.clone_from(&other.lines);
            self.lines_cut = false;
        }
    }
}

/// How an attempt to collect went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// Declined, or not finished.
    Failed,
    /// Paid.
    Succeeded,
}

/// One attempt to collect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    /// When Stripe told of it.
    pub at: Timestamp,
    /// How it went.
    pub outcome: AttemptOutcome,
}

/// What became of an attempt that was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It was not known.
    New,
    /// It was known with a later instant.
    Earlier,
    /// Nothing changed.
    Known,
}

/// An invoice with what its events told beside the snapshots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvoiceState {
    /// The invoice.
    pub invoice: Tracked<Invoice>,
    /// Attempts by Stripe's count of them, with the failed and the paid ones apart.
    pub attempts: BTreeMap<String, Attempt>,
}

impl InvoiceState {
    /// Notes an attempt.
    ///
    /// Of two tellings the earlier instant stays, so that the order of arrival cannot matter.
    pub fn note_attempt(&mut self, count: u32, attempt: Attempt) -> Noted {
        let outcome = match attempt.outcome {
            AttemptOutcome::Failed => 'f',
            AttemptOutcome::Succeeded => 's',
        };
        let key = format!("{count:06}{outcome}");
        if let Some(known) = self.attempts.get_mut(&key) {
            if known.at <= attempt.at {
                return Noted::Known;
            }
            known.at = attempt.at;
            return Noted::Earlier;
        }
        self.attempts.insert(key.clone(), attempt);
        while self.attempts.len() > MAX_ATTEMPTS {
            self.attempts.pop_first();
        }
        if self.attempts.contains_key(&key) {
            Noted::New
        } else {
            Noted::Known
        }
    }

    /// Whether an attempt failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.attempts
            .values()
            .any(|attempt| attempt.outcome == AttemptOutcome::Failed)
    }
}
