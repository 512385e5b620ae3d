//! What an event of the bus may be the news of. All else follows from the state as it is now.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Kind;
use crate::standing;
use crate::time::Timestamp;

/// An event of the bus, as far as alerts look at it.
#[derive(Debug, Clone, Copy)]
pub struct Hint<'a> {
    /// The bus's `detail-type`.
    pub name: &'a str,
    /// What it says.
    pub data: &'a Value,
    /// When it happened.
    pub at: Timestamp,
}

impl Hint<'_> {
    /// The kinds that may be raised because of it. What stood already when something else happened
    /// (after an import, say) is no news: an event lets only its own kinds be raised.
    #[must_use]
    pub fn may_raise(&self) -> BTreeSet<Kind> {
        match self.name {
            "risk_signal_raised" => self.signal().into_iter().collect(),
            "invoice.payment_failed" => [Kind::PaymentFailure, Kind::Dunning, Kind::PastDue].into(),
            "subscription_past_due" => [Kind::PastDue].into(),
            "payment_retries_exhausted" => [Kind::RetriesExhausted].into(),
            "card_expiring" => [Kind::CardExpiring].into(),
            "dispute_opened" => [Kind::Dispute].into(),
            "cancellation_scheduled" => [Kind::Cancellation].into(),
            "usage_limit_approached" | "segment_entered" => [Kind::UsageLimit, Kind::Upsell].into(),
            "drift_detected" => [Kind::Drift].into(),
            "webhook_endpoint_unhealthy" => [Kind::Endpoint].into(),
            _ => BTreeSet::new(),
        }
    }

    /// The usage that it tells of, in percent.
    #[must_use]
    pub fn usage_percent(&self) -> Option<f64> {
        let told = (self.name == "usage_limit_approached").then_some(self.data)?;
        told.get("percent").and_then(Value::as_f64)
    }

    fn signal(&self) -> Option<Kind> {
        let kind = self.data.get("kind").cloned().unwrap_or_default();
        let kind: standing::Kind = serde_json::from_value(kind).ok()?;
        of_signal(kind)
    }
}

/// The kind of alert that a signal is a reason for.
#[must_use]
pub fn of_signal(kind: standing::Kind) -> Option<Kind> {
    match kind {
        standing::Kind::FailedPayment => Some(Kind::PaymentFailure),
        standing::Kind::Dunning => Some(Kind::Dunning),
        standing::Kind::PastDue => Some(Kind::PastDue),
        standing::Kind::CardExpiring => Some(Kind::CardExpiring),
        standing::Kind::Dispute => Some(Kind::Dispute),
        standing::Kind::CancellationRequested => Some(Kind::Cancellation),
        // A segment and a sequence have it; nobody has to act.
        standing::Kind::Downgrade => None,
    }
}
