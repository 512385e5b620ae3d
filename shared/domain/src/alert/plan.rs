//! What is to be raised and what is resolved, from what stands and what was raised.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::reason::Reason;
use super::{AlertId, Channel, Kind};
use crate::time::Timestamp;

/// How much later than its alert a reason must have begun to be another one, in seconds. (A reason's
/// beginning is Stripe's time and may be learnt better: it then moves to before the alert, or stays
/// within the seconds that news take.)
const ANOTHER: i64 = 600;

/// An alert that was raised and is not resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which.
    pub id: AlertId,
    /// When it was raised, by our clock.
    pub raised_at: Timestamp,
    /// Where it is still to be sent.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub waiting: BTreeSet<Channel>,
}

impl Held {
    fn is_about(&self, reason: &Reason) -> bool {
        self.id.kind == reason.kind && self.id.object == reason.object
    }

    /// Whether the reason is the one that it was raised for.
    fn is_still(&self, reason: &Reason) -> bool {
        self.is_about(reason) && reason.since <= self.raised_at.plus(ANOTHER)
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Reasons that nobody was told of.
    pub raise: Vec<Reason>,
    /// Alerts whose reasons are gone.
    pub resolve: Vec<AlertId>,
}

/// What is to be done about `reasons`, where the alerts `held` are there already: at most one of a
/// kind and object at a time. Of other kinds than those that were `judged` nothing is known; only
/// those in `may_raise` are news.
#[must_use]
pub fn plan(
    held: &[Held],
    reasons: &[Reason],
    judged: &BTreeSet<Kind>,
    may_raise: &BTreeSet<Kind>,
) -> Plan {
    let news = |reason: &&Reason| {
        let told = held.iter().any(|held| held.is_still(reason));
        !told && may_raise.contains(&reason.kind)
    };
    let raise: Vec<_> = reasons.iter().filter(news).cloned().collect();
    let is_over = |held: &&Held| {
        let gone = !reasons.iter().any(|reason| held.is_about(reason));
        let replaced = raise.iter().any(|reason| held.is_about(reason));
        judged.contains(&held.id.kind) && (gone || replaced)
    };
    let resolve = held.iter().filter(is_over);
    let resolve = resolve.map(|held| held.id.clone()).collect();
    Plan { raise, resolve }
}
