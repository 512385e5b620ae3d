//! A checkout session: how a customer bought, and whom it names as the buyer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::{CustomerId, StripeCustomerId, StripeId};
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
    /// The prices bought, where the line items came with it: no event has them.
    pub prices: Vec<StripeId>,
    /// The products of those prices.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub products: BTreeMap<StripeId, StripeId>,
    /// When it was begun.
    pub created: Timestamp,
    /// Whether the customer's totals count it by the present rules. False in items of an older
    /// release.
    #[serde(default)]
    pub tallied: bool,
}

/// What the ids of checkout sessions begin with.
const SESSION: &str = "cs_";

impl StripeCustomerId {
    /// Whether Stripe has no such customer: a guest goes by the id of the session in which it paid.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.as_str().starts_with(SESSION)
    }
}

impl Checkout {
    /// The guest who paid, for a session that names no customer. A session that is still open, or that
    /// expired, has no buyer.
    #[must_use]
    pub fn guest(&self) -> Option<StripeCustomerId> {
        let has_buyer = self.mode == Mode::Payment && self.status == Status::Complete;
        let guest = StripeCustomerId::parse(self.id.as_str()).ok();
        guest.filter(|guest| has_buyer && guest.is_guest())
    }

    /// A finished single payment that no invoice stands for.
    #[must_use]
    pub fn is_payment(&self) -> bool {
        self.mode == Mode::Payment
            && self.status == Status::Complete
            && self.paid
            && self.invoice.is_none()
            && self.amount_total > 0
    }

    /// Whether it is paid for something that it does not name.
    #[must_use]
    pub fn lacks_prices(&self) -> bool {
        self.is_payment() && self.prices.is_empty()
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
    fn inherit(&mut self, other: &Self) {
        self.complete(other);
    }
    fn complete(&mut self, other: &Self) {
        self.tallied |= other.tallied;
        if self.prices.is_empty() {
            self.prices.clone_from(&other.prices);
            self.products.clone_from(&other.products);
        }
    }
}
