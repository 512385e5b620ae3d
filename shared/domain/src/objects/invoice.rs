//! An invoice with its lines, and the attempts to collect it.

use std::collections::{BTreeMap, BTreeSet};

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
/// The most payments that are kept of one invoice.
pub const MAX_PAYMENTS: usize = 20;

words! {
    /// Stripe's status of an invoice.
    Status {
        /// Still changing.
        Draft = "draft",
        /// To be paid.
        Open = "open",
        /// Written off. It can still be paid.
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

/// A payment of an invoice. (Stripe's `invoice_payment`, since 2025-03-31)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoicePayment {
    /// Minor units paid with it; 0 while it is open.
    pub amount: i64,
    /// The payment intent, else the charge. None for a payment outside of Stripe.
    pub payment: Option<StripeId>,
    /// Whether it came outside of Stripe: its type is `payment_record`.
    pub out_of_band: bool,
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
    /// Its payments, where they were asked for: no event has them.
    #[serde(default)]
    pub payments: Seen<Vec<InvoicePayment>>,
    /// Minor units paid outside of Stripe, where that is told apart.
    #[serde(default)]
    pub off_stripe: Seen<Option<i64>>,
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
        self.status == Status::Paid && self.received() > 0
    }

    /// Minor units paid, outside of Stripe too. Before 2025-03-31, `amount_paid` left those out.
    /// <https://docs.stripe.com/changelog/basil/2025-03-31/add-support-for-multiple-partial-payments-on-invoices>
    #[must_use]
    pub fn received(&self) -> i64 {
        self.amount_paid.max(self.out_of_band())
    }

    /// Minor units paid outside of Stripe, as far as that is told apart.
    #[must_use]
    pub fn out_of_band(&self) -> i64 {
        let listed = self.payments.get().iter();
        let listed = listed.filter(|payment| payment.out_of_band);
        let listed = listed.fold(0_i64, |sum, payment| sum.saturating_add(payment.amount));
        self.off_stripe.get().unwrap_or(0).max(listed)
    }

    /// The charges and payment intents that pay it, as far as they are known.
    pub fn payment_names(&self) -> impl Iterator<Item = StripeId> {
        let own = [self.charge.get(), self.payment_intent.get()];
        let listed = self.payments.get().iter();
        let listed = listed.filter_map(|payment| payment.payment.clone());
        own.into_iter().flatten().cloned().chain(listed)
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

    /// Whether it was tried and has no next attempt: all attempts failed, or the newest is pending.
    /// (`collection.rs` tells the two apart.)
    #[must_use]
    pub fn lacks_next_attempt(&self) -> bool {
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
        self.payments.inherit(&other.payments);
        self.off_stripe.inherit(&other.off_stripe);
        if self.billing_reason.is_none() {
            self.billing_reason.clone_from(&other.billing_reason);
        }
        self.complete(other);
    }
    fn complete(&mut self, other: &Self) {
        self.payments.inherit(&other.payments);
        self.off_stripe.inherit(&other.off_stripe);
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
    /// Each amount paid that a snapshot had, in minor units: their steps are its single payments.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub paid_steps: BTreeSet<i64>,
    /// The attempt count when Stripe's API returned it open and without a next attempt.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fetched_attempts: u32,
    /// Whether the customer's totals count it by the present rules. False in items of an older
    /// release: they are counted anew when Stripe next tells of the invoice.
    #[serde(default)]
    pub tallied: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl InvoiceState {
    /// An invoice seen for the first time.
    #[must_use]
    pub fn new(invoice: Tracked<Invoice>) -> Self {
        Self {
            invoice,
            attempts: BTreeMap::new(),
            paid_steps: BTreeSet::new(),
            fetched_attempts: 0,
            tallied: false,
        }
    }

    /// Stripe's number of an attempt, by its key.
    #[must_use]
    pub fn attempt_number(key: &str) -> Option<u32> {
        key.get(..6)?.parse().ok()
    }

    /// Notes what a snapshot tells beside the newest state. Tells whether that was new.
    pub fn note_snapshot(&mut self, snapshot: &Invoice, is_fetched: bool) -> bool {
        let before = (self.paid_steps.clone(), self.fetched_attempts, self.tallied);
        if snapshot.amount_paid > 0 {
            self.paid_steps.insert(snapshot.amount_paid);
        }
        while self.paid_steps.len() > MAX_PAYMENTS {
            self.paid_steps.pop_first();
        }
        if is_fetched && snapshot.lacks_next_attempt() {
            self.fetched_attempts = self.fetched_attempts.max(snapshot.attempt_count);
        }
        self.tallied = true;
        (&before.0, before.1, before.2) != (&self.paid_steps, self.fetched_attempts, self.tallied)
    }

    /// The amounts of its payments by charges, in minor units: as listed, else as the amount paid
    /// rose from snapshot to snapshot.
    #[must_use]
    pub fn charged_amounts(&self) -> Vec<i64> {
        let invoice = self.invoice.get();
        let out_of_band = invoice.out_of_band();
        let rest = invoice.received().saturating_sub(out_of_band);
        let listed = invoice.payments.get().iter();
        let listed = listed.filter(|payment| payment.amount > 0 && !payment.out_of_band);
        let mut amounts: Vec<i64> = listed.map(|payment| payment.amount).collect();
        let mut known = amounts
            .iter()
            .fold(0_i64, |sum, amount| sum.saturating_add(*amount));
        if amounts.is_empty() && out_of_band == 0 {
            for step in self.paid_steps.iter().filter(|step| **step <= rest) {
                amounts.push(step - known);
                known = *step;
            }
        }
        if known < rest {
            amounts.push(rest - known);
        }
        amounts
    }

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
