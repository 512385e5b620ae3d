//! How much of what the plan allows is used.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::said::Moment;
use super::settings::UsageOf;
use super::{ProductEvent, What};
use crate::event::Event;
use crate::settings::Settings;

const HOUR: i64 = 3_600_000;

/// How much is used of one thing, as it was told at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// When.
    pub at: Moment,
    /// How much.
    pub used: u64,
    /// Of how much; never 0.
    pub limit: u64,
}

impl Usage {
    /// What an event says, if it is the one that tells of this.
    #[must_use]
    pub fn of(event: &ProductEvent, of: &UsageOf) -> Option<Self> {
        let What::Track {
            event: name,
            properties,
        } = &event.what
        else {
            return None;
        };
        if *name != of.event {
            return None;
        }
        let number = |property: &String| properties.get(property).and_then(whole);
        let limit = of.limit.as_ref().map_or(Some(100), number)?;
        let used = number(&of.used)?;
        (limit > 0).then_some(Self {
            at: event.at,
            used,
            limit,
        })
    }

    /// In whole percent; may be over 100.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let share = u128::from(self.used) * 100 / u128::from(self.limit.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// The one that counts: of the newest hour, there of those that crossed most thresholds, the
    /// first. So it moves once an hour, or when a threshold is crossed upwards, and in whatever
    /// order all came, the same one counts in the end.
    #[must_use]
    pub fn or(self, other: Self, thresholds: &BTreeSet<u64>) -> Self {
        let place = |usage: &Self| {
            let hour = usage.at.unix_milliseconds().div_euclid(HOUR);
            let percent = usage.percent();
            let crossed = thresholds.range(..=percent).count();
            let at = Reverse(usage.at);
            (hour, crossed, at, percent, usage.used)
        };
        if place(&other) > place(&self) {
            other
        } else {
            self
        }
    }

    /// What is told when so much is used.
    #[must_use]
    pub fn approached(&self, metric: &str) -> Event {
        let data = json!({
            "metric": metric, "used": self.used, "limit": self.limit, "percent": self.percent(),
        });
        Event::new("usage_limit_approached", data)
    }
}

/// The percentages at which something may follow: of the alerts, and those that segments compare
/// `traits.usage_percent` with.
#[must_use]
pub fn thresholds(settings: &Settings) -> BTreeSet<u64> {
    let alerts = &settings.alerts;
    let mut all = BTreeSet::from([
        u64::from(alerts.usage_limit_percent),
        u64::from(alerts.upsell_above_percent) + 1,
    ]);
    for compared in settings
        .segments
        .names()
        .compared("traits", super::take_in::USAGE)
    {
        // Whatever the comparison is, it turns at the number or right after it.
        all.extend([compared, compared.saturating_add(1)]);
    }
    all
}

/// A number without its fraction.
fn whole(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(fraction)).then(|| whole.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn usage(minute: i64, used: u64) -> Usage {
        let at = Timestamp::from_unix(1_790_002_800 + 60 * minute).unwrap();
        Usage {
            at: at.into(),
            used,
            limit: 100,
        }
    }

    #[test]
    fn numbers_are_read_without_their_fraction() {
        for (value, expected) in [
            (json!(7), Some(7)),
            (json!(7.9), Some(7)),
            (json!("12"), Some(12)),
            (json!(-1), None),
            (json!(1e30), None),
            (json!("many"), None),
            (json!(""), None),
            (json!(null), None),
        ] {
            assert_eq!(whole(&value), expected, "{value}");
        }
    }

    #[test]
    fn the_first_of_an_hour_counts_until_a_threshold_is_crossed() {
        let thresholds = BTreeSet::from([80]);
        let all = [
            usage(1, 40),
            usage(5, 79),
            usage(7, 85),
            usage(9, 20),
            usage(11, 99),
        ];
        for at in 0..all.len() {
            let mut order = all.to_vec();
            order.rotate_left(at);
            let counts = order.iter().copied().reduce(|a, b| a.or(b, &thresholds));
            assert_eq!(counts, Some(usage(7, 85)));
            order.push(usage(61, 30));
            order.rotate_right(1);
            let counts = order.into_iter().reduce(|a, b| a.or(b, &thresholds));
            assert_eq!(counts, Some(usage(61, 30)), "the next hour");
        }
    }

    #[test]
    fn thresholds_are_those_of_alerts_and_segments() {
        let settings = Settings::example().unwrap();
        assert_eq!(thresholds(&settings), BTreeSet::from([75, 76, 80, 81]));
    }
}
