//! A payment method: what it is and how to recognise it, never what could be charged with.

use serde::{Deserialize, Serialize};

use crate::id::StripeId;
use crate::order::Snapshot;

/// A payment method of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// `pm_…`, or the id of an old source.
    pub id: StripeId,
    /// `card`, `sepa_debit`, …
    pub kind: String,
    /// `visa`, … (cards)
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// The month that it is valid through (cards).
    pub exp_month: Option<u8>,
    /// The year that it is valid through (cards).
    pub exp_year: Option<u16>,
    /// Whether a customer has it.
    pub attached: bool,
}

impl Snapshot for PaymentMethod {
    fn is_final(&self) -> bool {
        false
    }
    fn rank(&self) -> [i64; 3] {
        // A payment method that was detached cannot be attached again.
        [i64::from(!self.attached), 0, 0]
    }
    fn inherit(&mut self, _: &Self) {}
}
