//! A checkout session: how a customer bought, and whom it names as the buyer.

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::{CustomerId, StripeId};
use crate::money::Currency;
use crate::order::Snapshot;
use crate::time::Timestamp;

words! {
    /// Stripe's status of a session.
    Status {
        /// Begun.
        Open = "open",
        /// Finished.
        Complete = "complete",
        /// Left.
        Expired = "expired",
    }
}

words! {
    /// What a session is for.
    Mode {
        /// A single payment.
        Payment = "payment",
        /// A subscription.
        Subscription = "subscription",
        /// A payment method for later.
        Setup = "setup",
    }
}

/// A checkout session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// `cs_…`.
    pub id: StripeId,
    /// Where it stands.
    pub status: Status,
    /// What it is for.
    pub mode: Mode,
    /// Whether the money came (`paid`, or nothing was to be paid).
    pub paid: bool,
    /// Its currency.
    pub currency: Option<Currency>,
    /// Minor units in all.
    pub amount_total: i64,
    /// Our own id of the customer, from the metadata or `client_reference_id`.
    pub contact: Option<CustomerId>,
    /// The subscription that it made.
    pub subscription: Option<StripeId>,
    /// The invoice that it made.
    pub invoice: Option<StripeId>,
    /// The payment intent that it made.
    pub payment_intent: Option<StripeId>,
    /// The prices bought, where the line items came with it.
    pub prices: Vec<StripeId>,
    /// When it was begun.
    pub created: Timestamp,
}

impl Checkout {
    /// A finished single payment that no invoice stands for.
    #[must_use]
    pub fn is_payment(&self) -> bool {
        self.mode == Mode::Payment
            && self.status == Status::Complete
            && self.paid
            && self.invoice.is_none()
            && self.amount_total > 0
    }
}

impl Snapshot for Checkout {
    fn is_final(&self) -> bool {
        false
    }
    fn rank(&self) -> [i64; 3] {
        let status = match self.status {
            Status::Open | Status::Other(_) => 0,
            Status::Expired => 1,
            Status::Complete => 2,
        };
        [status, i64::from(self.paid), 0]
    }
    fn inherit(&mut self, _: &Self) {}
}
