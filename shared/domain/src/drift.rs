//! The classes of differences between what is kept here and what Stripe has.

use serde::{Deserialize, Serialize};

/// What kind of difference it is, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Stripe has it; we do not.
    MissingLocal,
    /// It is live here; Stripe does not have it.
    MissingInStripe,
    /// It is in another status there: active here, canceled there.
    StatusMismatch,
    /// Something else is bought there.
    PlanMismatch,
    /// The higher plan is in use while the invoice for it is not paid.
    UnpaidUpgrade,
    /// Every retry of a payment has failed, and nobody heard of it.
    SilentDunning,
    /// Another amount or quantity.
    AmountMismatch,
    /// Anything else that is older here.
    Stale,
}

impl Class {
    /// As it stands in reports and on the bus.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingLocal => "missing_local",
            Self::MissingInStripe => "missing_in_stripe",
            Self::StatusMismatch => "status_mismatch",
            Self::PlanMismatch => "plan_mismatch",
            Self::UnpaidUpgrade => "unpaid_upgrade",
            Self::SilentDunning => "silent_dunning",
            Self::AmountMismatch => "amount_mismatch",
            Self::Stale => "stale",
        }
    }

    /// Whether taking Stripe's state over is all that it needs.
    #[must_use]
    pub fn can_be_healed(self) -> bool {
        !matches!(self, Self::MissingInStripe | Self::UnpaidUpgrade)
    }
}
