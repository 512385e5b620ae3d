//! How much of the product a customer may use, and until when.

use serde::{Deserialize, Serialize};

use super::Clock;
use crate::contact::{Billing, Contact};
use crate::risk::Basis;
use crate::settings::Settings;
use crate::time::{Timestamp, rfc3339_opt};

/// How much of the product a customer may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing runs.
    #[default]
    None,
    /// Unpaid, paused, or out of grace.
    Restricted,
    /// Past due, and trusted for a while.
    Grace,
    /// Paid, or in a trial.
    Full,
}

impl Level {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Restricted => "restricted",
            Self::Grace => "grace",
            Self::Full => "full",
        }
    }
}

/// Access, and until when it is sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Access {
    /// How much.
    pub level: Level,
    /// The end of grace.
    #[serde(serialize_with = "rfc3339_opt", default, deserialize_with = "opt")]
    pub until: Option<Timestamp>,
}

fn opt<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Timestamp::parse(&text).map_err(serde::de::Error::custom))
        .transpose()
}

pub(super) fn access(
    contact: &Contact,
    billing: &Billing,
    settings: &Settings,
    clock: &mut Clock,
) -> Access {
    let basis = contact
        .accounts
        .values()
        .map(|rollup| rollup.risk.basis)
        .max();
    let bought = billing.plan.as_ref().is_some_and(|plan| {
        let of = settings.tier_of(&plan.price, plan.product.as_ref());
        plan.weight.is_none() && of.is_some_and(|of| of.lifetime)
    });
    let held = contact
        .accounts
        .values()
        .any(|rollup| rollup.lifetime.is_some());
    let level = match basis.unwrap_or_default() {
        _ if bought || held => Level::Full,
        Basis::Full => Level::Full,
        Basis::Grace(until) if clock.at(Some(until)) => Level::Restricted,
        Basis::Grace(until) => {
            return Access {
                level: Level::Grace,
                until: Some(until),
            };
        }
        Basis::Restricted => Level::Restricted,
        Basis::None => Level::None,
    };
    Access { level, until: None }
}
