//! A charge, for what was given back of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::StripeId;
use crate::money::Currency;
use crate::order::{Snapshot, Tracked};
use crate::time::Timestamp;

/// The most refunds that are kept of one charge.
pub const MAX_REFUNDS: usize = 50;

words! {
    /// Stripe's status of a charge.
    Status {
        /// On its way.
        Pending = "pending",
        /// Declined.
        Failed = "failed",
        /// Collected.
        Succeeded = "succeeded",
    }
}

/// A charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// `ch_…` or `py_…`.
    pub id: StripeId,
    /// How it went.
    pub status: Status,
    /// Its currency.
    pub currency: Currency,
    /// Minor units captured; of what is still held, all that may come.
    pub amount: i64,
    /// Minor units asked for at first. None in items of an older release, which count nothing until
    /// Stripe tells of the charge again.
    #[serde(default)]
    pub asked: Option<i64>,
    /// Minor units captured so far.
    #[serde(default)]
    pub captured: i64,
    /// Minor units given back so far.
    pub amount_refunded: i64,
    /// The payment intent that made it.
    pub payment_intent: Option<StripeId>,
    /// The invoice that it pays, where the API version tells it.
    pub invoice: Option<StripeId>,
    /// Why it was declined: Stripe's decline code, else the failure code.
    pub decline_code: Option<String>,
    /// What the issuer advises: `do_not_try_again`, `try_again_later`, `confirm_card_data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice_code: Option<String>,
    /// When it was made.
    pub created: Timestamp,
}

impl Snapshot for Charge {
    fn is_final(&self) -> bool {
        false
    }
    fn rank(&self) -> [i64; 3] {
        let status = match self.status {
            Status::Pending | Status::Other(_) => 0,
            Status::Failed | Status::Succeeded => 1,
        };
        [status, self.captured, self.amount_refunded]
    }
    fn inherit(&mut self, other: &Self) {
        // API versions since 2025-03-31 leave it out.
        if self.invoice.is_none() {
            self.invoice.clone_from(&other.invoice);
        }
        self.complete(other);
    }
    fn complete(&mut self, other: &Self) {
        // An item of an older release has neither.
        if self.asked.is_none() && other.asked.is_some() {
            (self.asked, self.captured) = (other.asked, other.captured);
        }
    }
}

/// Money given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// `re_…`.
    pub id: StripeId,
    /// The charge that it gives back.
    pub charge: Option<StripeId>,
    /// The payment intent that it gives back.
    pub payment_intent: Option<StripeId>,
    /// Minor units.
    pub amount: i64,
    /// Its currency.
    pub currency: Currency,
    /// Whether the money did not go, after all (`failed`, `canceled`).
    pub failed: bool,
}

impl Snapshot for Refund {
    fn is_final(&self) -> bool {
        self.failed
    }
    fn inherit(&mut self, _: &Self) {}
}

/// A charge with its refunds, either of which may be told first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChargeState {
    /// The charge itself.
    pub charge: Option<Tracked<Charge>>,
    /// Its refunds.
    pub refunds: BTreeMap<StripeId, Tracked<Refund>>,
}

impl Charge {
    /// Minor units that were held and will not be captured any more, or not yet. Stripe makes a refund
    /// of them when it lets them go.
    /// <https://docs.stripe.com/payments/place-a-hold-on-a-payment-method>
    fn uncaptured(&self) -> i64 {
        match (&self.status, self.asked) {
            (Status::Succeeded, Some(asked)) => asked.saturating_sub(self.captured).max(0),
            (Status::Succeeded | Status::Pending | Status::Failed | Status::Other(_), _) => 0,
        }
    }
}

impl ChargeState {
    /// What was given back: Stripe's own total, or the sum of the refunds where that says more. The
    /// refund of what was only held gives nothing back.
    #[must_use]
    pub fn refunded(&self) -> Option<(Currency, i64)> {
        let charge = self.charge.as_ref().map(Tracked::get);
        let going = self
            .refunds
            .values()
            .map(Tracked::get)
            .filter(|refund| !refund.failed);
        let sum = going
            .clone()
            .fold(0_i64, |sum, refund| sum.saturating_add(refund.amount));
        let sum = sum.saturating_sub(charge.map_or(0, Charge::uncaptured));
        let currency = charge
            .map(|charge| &charge.currency)
            .or_else(|| going.clone().next().map(|refund| &refund.currency))?;
        Some((
            currency.clone(),
            charge.map_or(0, |charge| charge.amount_refunded).max(sum),
        ))
    }
}
