//! The words of alerts: kinds, places, states.

use serde::{Deserialize, Serialize};

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An open invoice could not be collected.
    PaymentFailure,
    /// Stripe has given up collecting an invoice by itself.
    RetriesExhausted,
    /// Stripe is trying again to collect an invoice.
    Dunning,
    /// A subscription is past due or unpaid.
    PastDue,
    /// The card on file runs out within thirty days, or has.
    CardExpiring,
    /// A dispute is open.
    Dispute,
    /// A live subscription has a scheduled end.
    Cancellation,
    /// A customer has used most of what the plan allows.
    UsageLimit,
    /// A customer without a plan uses a lot, and nobody has talked to them: a task.
    Upsell,
    /// What is kept here differed from Stripe.
    Drift,
    /// Stripe's events do not reach us as they should.
    Endpoint,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::PaymentFailure,
        Self::RetriesExhausted,
        Self::Dunning,
        Self::PastDue,
        Self::CardExpiring,
        Self::Dispute,
        Self::Cancellation,
        Self::UsageLimit,
        Self::Upsell,
        Self::Drift,
        Self::Endpoint,
    ];

    /// The word of the API, of settings and of keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaymentFailure => "payment_failure",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Dunning => "dunning",
            Self::PastDue => "past_due",
            Self::CardExpiring => "card_expiring",
            Self::Dispute => "dispute",
            Self::Cancellation => "cancellation",
            Self::UsageLimit => "usage_limit",
            Self::Upsell => "upsell",
            Self::Drift => "drift",
            Self::Endpoint => "endpoint",
        }
    }

    /// The kind that has a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether it is about a contact, rather than about the tenant's connection.
    #[must_use]
    pub const fn is_of_contacts(self) -> bool {
        match self {
            Self::PaymentFailure
            | Self::RetriesExhausted
            | Self::Dunning
            | Self::PastDue
            | Self::CardExpiring
            | Self::Dispute
            | Self::Cancellation
            | Self::UsageLimit
            | Self::Upsell => true,
            Self::Drift | Self::Endpoint => false,
        }
    }
}

/// Where an alert is sent. It is kept and listed in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The tenant's Slack, at least once.
    Slack,
    /// The deployment's SNS topic, at least once.
    Sns,
}

impl Channel {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Sns => "sns",
        }
    }
}

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has taken it on.
    Open,
    /// Somebody has.
    Acknowledged,
    /// Its reason is gone.
    Resolved,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Resolved];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// The status that has a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_json() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        for channel in [Channel::Slack, Channel::Sns] {
            assert_eq!(serde_json::to_value(channel).unwrap(), channel.as_str());
        }
    }
}
