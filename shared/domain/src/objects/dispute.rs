//! A dispute: the cardholder's bank asks for the money back.

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::StripeId;
use crate::money::Currency;
use crate::order::Snapshot;
use crate::time::Timestamp;

words! {
    /// Stripe's status of a dispute. The `warning_…` ones are inquiries, not disputes.
    Status {
        /// An inquiry to be answered.
        WarningNeedsResponse = "warning_needs_response",
        /// An inquiry that was answered.
        WarningUnderReview = "warning_under_review",
        /// An inquiry that led to nothing.
        WarningClosed = "warning_closed",
        /// To be answered.
        NeedsResponse = "needs_response",
        /// Answered.
        UnderReview = "under_review",
        /// The money stays.
        Won = "won",
        /// The money is gone.
        Lost = "lost",
        /// Prevented before it became one.
        Prevented = "prevented",
    }
}

/// A dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// `dp_…` or `du_…`.
    pub id: StripeId,
    /// Where it stands.
    pub status: Status,
    /// Minor units.
    pub amount: i64,
    /// Its currency.
    pub currency: Currency,
    /// `fraudulent`, `duplicate`, …
    pub reason: Option<String>,
    /// The charge in question.
    pub charge: Option<StripeId>,
    /// The payment intent in question.
    pub payment_intent: Option<StripeId>,
    /// When it was made.
    pub created: Timestamp,
}

impl Dispute {
    /// Whether it is only an inquiry.
    #[must_use]
    pub fn is_inquiry(&self) -> bool {
        matches!(
            self.status,
            Status::WarningNeedsResponse | Status::WarningUnderReview | Status::WarningClosed
        )
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(
            self.status,
            Status::Won | Status::Lost | Status::WarningClosed | Status::Prevented
        )
    }
}

impl Snapshot for Dispute {
    fn is_final(&self) -> bool {
        false
    }
    fn rank(&self) -> [i64; 3] {
        let rank = match self.status {
            Status::WarningNeedsResponse | Status::Other(_) => 0,
            Status::WarningUnderReview => 1,
            Status::WarningClosed | Status::Prevented => 2,
            Status::NeedsResponse => 3,
            Status::UnderReview => 4,
            Status::Won | Status::Lost => 5,
        };
        [rank, 0, 0]
    }
    fn inherit(&mut self, _: &Self) {}
}
