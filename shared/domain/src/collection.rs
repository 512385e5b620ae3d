//! What an open, a failed and an exhausted invoice is.
//!
//! This is the one definition. Signals, access, segments, events, alerts, GreenLight lines and drift
//! use it. (docs/adr/0022-one-definition-of-a-failed-invoice.md)
//!
//! - *Open*: finalized and not settled. Uncollectible, void, paid and deleted invoices are closed,
//!   whatever their attempt count says. A written-off invoice can still be paid.
//! - *Failed*: open, collected automatically, and an attempt is known to have failed. A pending bank
//!   debit is no failure. An invoice alone does not tell the two apart at its first attempt.
//! - *Exhausted*: failed, without a next attempt, and the newest attempt is known to have failed.
//!
//! The module decides nothing about a subscription: `risk.rs` does.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::decline::Decline;
use crate::id::StripeId;
use crate::money::Money;
use crate::objects::invoice::{AttemptOutcome, InvoiceState, Status};
use crate::time::Timestamp;
use crate::totals::Totals;

/// The most payments that are kept of one open invoice.
const MAX_PAYMENTS: usize = 10;

/// How an invoice is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Terms {
    /// An older release wrote the entry and did not tell.
    #[default]
    Untold,
    /// Stripe charges, and tries again by itself.
    Automatic,
    /// Stripe charges once, at the sign-up, and never again by itself.
    SignUp,
    /// The customer pays by a due date.
    Sent,
}

/// An open invoice, as the totals of its customer keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenInvoice {
    /// When it was made. (An older release wrote the first failed attempt here.)
    pub since: Timestamp,
    /// The subscription that it is for.
    pub subscription: Option<StripeId>,
    /// The next automatic attempt.
    pub next_attempt: Option<Timestamp>,
    /// What an older release held: `Terms::Untold` only.
    #[serde(default)]
    pub exhausted: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// Still to be paid.
    pub amount: Money,
    /// The charge and the payment intent of an older release.
    #[serde(default)]
    pub payment: [Option<StripeId>; 2],
    /// How it is collected.
    #[serde(default)]
    pub terms: Terms,
    /// When a sent invoice is to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// The first failed attempt that an event told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// Stripe's number of the newest failed attempt that an event told of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_attempts: u32,
    /// Stripe's attempt count when the API returned the invoice without a next attempt.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fetched_attempts: u32,
    /// Charges and payment intents that pay it, as far as they are known.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub payments: BTreeSet<StripeId>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl OpenInvoice {
    /// Reads it from an invoice. None for a draft and for a closed invoice.
    #[must_use]
    pub fn of(state: &InvoiceState) -> Option<Self> {
        let invoice = state.invoice.get();
        if invoice.status != Status::Open {
            return None;
        }
        let failed = || {
            let failed = state.attempts.iter();
            failed.filter(|(_, attempt)| attempt.outcome == AttemptOutcome::Failed)
        };
        let terms = match (invoice.charges_automatically, invoice.is_first()) {
            (false, _) => Terms::Sent,
            (true, true) => Terms::SignUp,
            (true, false) => Terms::Automatic,
        };
        let numbers = failed().filter_map(|(key, _)| InvoiceState::attempt_number(key));
        Some(Self {
            since: invoice.created,
            subscription: invoice.subscription.get().clone(),
            next_attempt: invoice.next_payment_attempt,
            exhausted: false,
            attempts: invoice.attempt_count,
            amount: Money::of(&invoice.currency, invoice.amount_due - invoice.amount_paid),
            payment: [None, None],
            terms,
            due: invoice.due_date.filter(|_| terms == Terms::Sent),
            failed_at: failed().map(|(_, attempt)| attempt.at).min(),
            failed_attempts: numbers.max().unwrap_or(0),
            fetched_attempts: state.fetched_attempts,
            payments: invoice.payment_names().take(MAX_PAYMENTS).collect(),
        })
    }
}

/// An open invoice with what is known of its attempts.
#[derive(Debug, Clone, Copy)]
pub struct Collection<'a> {
    /// `in_…`.
    pub id: &'a StripeId,
    /// The invoice.
    pub invoice: &'a OpenInvoice,
    totals: &'a Totals,
}

impl<'a> Collection<'a> {
    /// An entry of the totals. None for what an older release kept of a written-off invoice: it had
    /// no attempt and has no next one.
    pub(crate) fn new(
        id: &'a StripeId,
        invoice: &'a OpenInvoice,
        totals: &'a Totals,
    ) -> Option<Self> {
        let is_written_off = invoice.terms == Terms::Untold
            && invoice.attempts == 0
            && invoice.next_attempt.is_none();
        (!is_written_off).then_some(Self {
            id,
            invoice,
            totals,
        })
    }

    /// Whether a charge, with what it names as its invoice or payment intent, is one of its attempts.
    fn has_attempt(self, charge: &StripeId, of: Option<&StripeId>) -> bool {
        let old = self.invoice.payment.iter().flatten();
        let mut payments = self.invoice.payments.iter().chain(old);
        of == Some(self.id) || payments.any(|payment| payment == charge || Some(payment) == of)
    }

    /// The failed charges that are attempts to collect it.
    fn declines(self) -> impl Iterator<Item = &'a Decline> {
        let declines = self.totals.declines.iter();
        declines
            .filter(move |(charge, decline)| self.has_attempt(charge, decline.of.as_ref()))
            .map(|(_, decline)| decline)
    }

    /// Why the newest attempt failed, as far as its charge is known.
    #[must_use]
    pub fn decline(self) -> Option<&'a Decline> {
        self.declines().max_by_key(|decline| decline.at())
    }

    /// Its first failed attempt. None if nothing failed, or if it is sent: then it is due, not
    /// collected.
    #[must_use]
    pub fn failed_at(self) -> Option<Timestamp> {
        let invoice = self.invoice;
        match invoice.terms {
            Terms::Untold => Some(invoice.since),
            Terms::Sent => None,
            Terms::Automatic | Terms::SignUp => {
                let declined = self.declines().map(Decline::at);
                let known = invoice.failed_at.into_iter().chain(declined).min();
                // Stripe schedules another attempt only when one has failed.
                let is_retried = invoice.attempts > 1
                    || (invoice.attempts > 0 && invoice.next_attempt.is_some());
                known.or(is_retried.then_some(invoice.since))
            }
        }
    }

    /// Whether Stripe has given up collecting it by itself.
    #[must_use]
    pub fn is_exhausted(self) -> bool {
        let invoice = self.invoice;
        if invoice.attempts == 0 || invoice.next_attempt.is_some() || self.failed_at().is_none() {
            return false;
        }
        match invoice.terms {
            Terms::Untold => invoice.exhausted,
            Terms::SignUp | Terms::Sent => false,
            Terms::Automatic => {
                let declined = u32::try_from(self.declines().count()).unwrap_or(u32::MAX);
                let known = invoice.failed_attempts.max(declined);
                let known = known.max(invoice.fetched_attempts);
                known >= invoice.attempts && !self.is_pending()
            }
        }
    }

    /// Whether a charge for it is on its way.
    fn is_pending(self) -> bool {
        let mut pending = self.totals.pending.iter();
        pending.any(|(charge, of)| self.has_attempt(charge, of.as_ref()))
    }

    /// Since when it makes its subscription past due: the due date if it is sent, else its first
    /// failed attempt. None while neither is known.
    #[must_use]
    pub fn past_due_since(self) -> Option<Timestamp> {
        match self.invoice.terms {
            Terms::Sent => self.invoice.due,
            Terms::Untold | Terms::Automatic | Terms::SignUp => self.failed_at(),
        }
    }
}

#[cfg(test)]
#[path = "collection_tests.rs"]
mod tests;
