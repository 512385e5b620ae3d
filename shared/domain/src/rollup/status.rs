//! The billing status of a customer.

use serde::{Deserialize, Serialize};

use crate::objects::subscription::{Status, Subscription};

/// The billing status, the most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingStatus {
    /// Retries are over.
    Unpaid,
    /// A payment is missing.
    PastDue,
    /// Running and paid.
    Active,
    /// In a trial.
    Trialing,
    /// Paused, or active with collection paused.
    Paused,
    /// The first payment is missing.
    Incomplete,
    /// Ended.
    Canceled,
    /// The first payment never came.
    IncompleteExpired,
    /// No subscription.
    #[default]
    None,
}

impl BillingStatus {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::PastDue => "past_due",
            Self::Active => "active",
            Self::Trialing => "trialing",
            Self::Paused => "paused",
            Self::Incomplete => "incomplete",
            Self::Canceled => "canceled",
            Self::IncompleteExpired => "incomplete_expired",
            Self::None => "none",
        }
    }

    pub(super) fn of(subscription: &Subscription) -> Self {
        if subscription.is_paused() {
            return Self::Paused;
        }
        match subscription.status {
            Status::Unpaid => Self::Unpaid,
            Status::PastDue => Self::PastDue,
            Status::Active => Self::Active,
            Status::Trialing => Self::Trialing,
            Status::Paused => Self::Paused,
            Status::Incomplete => Self::Incomplete,
            Status::Canceled => Self::Canceled,
            Status::IncompleteExpired => Self::IncompleteExpired,
            Status::Other(_) => Self::None,
        }
    }
}
