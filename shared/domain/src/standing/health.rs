//! The health score: what takes points from it, and what gives some.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::{Clock, DAY, Kind, Signal};
use crate::contact::{Billing, Contact};
use crate::rollup::BillingStatus;
use crate::settings::HealthSettings;
use crate::time::Timestamp;

/// Points of the health score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// A signal's kind, or `inactive`, `low_engagement`, `ended`.
    pub kind: &'static str,
    /// What it adds; mostly below 0.
    pub points: i32,
}

/// What takes points from the health score, and what gives some. (docs/HEALTH.md)
pub(super) fn reasons(
    contact: &Contact,
    billing: &Billing,
    signals: &[Signal],
    settings: &HealthSettings,
    clock: &mut Clock,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let kinds: BTreeSet<Kind> = signals.iter().map(|signal| signal.kind).collect();
    for kind in kinds {
        let points = settings.signals.get(&kind).copied().unwrap_or(0);
        reasons.push(Reason {
            kind: kind.as_str(),
            points: -i32::from(points),
        });
    }
    let ended = matches!(
        billing.status,
        BillingStatus::Canceled | BillingStatus::IncompleteExpired
    );
    if ended && billing.plan.is_none() {
        reasons.push(Reason {
            kind: "ended",
            points: -i32::from(settings.ended),
        });
    }
    let traits = contact.traits();
    let seen = traits.get("last_seen_at").and_then(Value::as_str);
    let quiet = seen.and_then(|seen| Timestamp::parse(seen).ok());
    let quiet = quiet.map(|seen| seen.plus(i64::from(settings.inactive_days) * DAY));
    if clock.at(quiet) {
        reasons.push(Reason {
            kind: "inactive",
            points: -i32::from(settings.inactive),
        });
    }
    let engagement = traits.get("engagement_score").and_then(Value::as_f64);
    if engagement.is_some_and(|score| score < f64::from(settings.low_engagement_below)) {
        reasons.push(Reason {
            kind: "low_engagement",
            points: -i32::from(settings.low_engagement),
        });
    }
    reasons.retain(|reason| reason.points != 0);
    reasons
}
