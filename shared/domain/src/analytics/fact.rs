//! What happened, one fact per event, and what the facts of a month come to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Day;
use crate::money::{Currency, Money};
use crate::time::Timestamp;

/// What an event means to the figures of its day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// So much was paid.
    Paid(Money),
    /// A subscription that was past its trial ended.
    Canceled,
    /// A trial became a running subscription.
    Converted,
    /// A subscription ended within its trial.
    Lost,
}

/// What happened when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// When.
    pub at: Timestamp,
    /// What.
    pub happened: Happened,
}

impl Happened {
    /// What an event means to the figures; none for most.
    #[must_use]
    pub fn of(name: &str, data: &Value) -> Option<Self> {
        match name {
            "payment_succeeded" => {
                let amount = data.get("amount")?;
                Some(Self::Paid(Money::deserialize(amount).ok()?))
            }
            "subscription_canceled" => {
                let in_trial = data.get("status_before")? == "trialing";
                Some(if in_trial { Self::Lost } else { Self::Canceled })
            }
            "trial_converted" => Some(Self::Converted),
            _ => None,
        }
    }
}

/// What came in, in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Revenue {
    /// Minor units.
    pub amount: i64,
    /// How many payments.
    pub payments: u64,
}

/// What the facts of a month up to a day come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    day: Day,
    /// What was paid on the day itself.
    pub revenue: BTreeMap<Currency, Revenue>,
    /// Subscriptions that ended in the month.
    pub cancellations: u64,
    /// Trials that became paying in the month.
    pub converted: u64,
    /// Trials that ended without.
    pub lost: u64,
}

impl Counted {
    /// Nothing yet, for a day.
    #[must_use]
    pub fn new(day: Day) -> Self {
        Self {
            day,
            revenue: BTreeMap::new(),
            cancellations: 0,
            converted: 0,
            lost: 0,
        }
    }

    /// Whether there is none.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::new(self.day)
    }

    /// Adds a fact, if it belongs to the day or to its month before it.
    pub fn add(&mut self, fact: &Fact) {
        let day = Day::of(fact.at);
        if day < self.day.month() || day > self.day {
            return;
        }
        match &fact.happened {
            Happened::Paid(money) if day == self.day => {
                for (currency, amount) in money.iter() {
                    let revenue = self.revenue.entry(currency.clone()).or_default();
                    revenue.amount = revenue.amount.saturating_add(amount);
                    revenue.payments += 1;
                }
            }
            Happened::Paid(_) => {}
            Happened::Canceled => self.cancellations += 1,
            Happened::Converted => self.converted += 1,
            Happened::Lost => self.lost += 1,
        }
    }
}
