//! A subscription schedule: changes that are planned and not in force yet.

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::StripeId;
use crate::order::Snapshot;
use crate::time::Timestamp;

words! {
    /// Stripe's status of a schedule.
    Status {
        /// Not begun.
        NotStarted = "not_started",
        /// Running.
        Active = "active",
        /// Through.
        Completed = "completed",
        /// Let go; the subscription goes on without it.
        Released = "released",
        /// Canceled, with its subscription.
        Canceled = "canceled",
    }
}

/// A phase of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// When the phase begins.
    pub start: Timestamp,
    /// The prices of the phase.
    pub prices: Vec<StripeId>,
}

/// A subscription schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// `sub_sched_…`.
    pub id: StripeId,
    /// Where it stands.
    pub status: Status,
    /// The subscription that it changes.
    pub subscription: Option<StripeId>,
    /// What is planned, in order.
    pub phases: Vec<Phase>,
}

impl Schedule {
    /// The first phase that begins after `now`, while the schedule is in force.
    #[must_use]
    pub fn next_phase(&self, now: Timestamp) -> Option<&Phase> {
        matches!(self.status, Status::NotStarted | Status::Active)
            .then(|| self.phases.iter().find(|phase| phase.start > now))
            .flatten()
    }
}

impl Snapshot for Schedule {
    fn is_final(&self) -> bool {
        matches!(
            self.status,
            Status::Completed | Status::Released | Status::Canceled
        )
    }
    fn inherit(&mut self, _: &Self) {}
}
