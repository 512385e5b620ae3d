//! How many events are usual, so that silence is heard.
#![cfg_attr(
    not(feature = "stripe-api"),
    allow(dead_code, reason = "only who asks Stripe watches")
)]

use std::collections::BTreeMap;

use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many days are counted.
const DAYS: usize = 7;
const DAY: i64 = 86_400;
/// Silence is no event for as long as so many usually take: by chance that does not happen.
const EXPECTED: u64 = 30;
/// No silence is shorter, in seconds.
const SHORTEST: i64 = 3_600;

/// How many events there were, by day, for some days.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usual {
    /// Events, and seconds that were watched, by day since 1970.
    days: BTreeMap<i64, (u64, u64)>,
    /// To when there was an event.
    last: Option<Timestamp>,
}

impl Usual {
    /// Counts the events of a part of time.
    pub fn count(&mut self, from: Timestamp, before: Timestamp, events: u64) {
        let seconds = u64::try_from(before.unix() - from.unix()).unwrap_or(0);
        let day = self.days.entry(from.unix().div_euclid(DAY)).or_default();
        *day = (day.0 + events, day.1 + seconds);
        while self.days.len() > DAYS {
            self.days.pop_first();
        }
        if events > 0 {
            self.last = Some(before);
        }
    }

    /// Whether there was no event for far too long.
    #[must_use]
    pub fn is_silent(&self, now: Timestamp) -> bool {
        let Some(last) = self.last else { return false };
        let quiet = now.unix() - last.unix();
        let days = self.days.values();
        let (events, seconds) = days.fold((0, 0), |sum, day| (sum.0 + day.0, sum.1 + day.1));
        let expected = u64::try_from(quiet).unwrap_or(0) * events / seconds.max(1);
        quiet >= SHORTEST && expected >= EXPECTED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n14_silence_is_far_longer_than_usual() {
        let at = |seconds| Timestamp::from_unix(seconds).unwrap();
        let mut usual = Usual::default();
        assert!(!usual.is_silent(at(DAY)), "nothing is known yet");
        // Two events an hour, for ten days.
        for hour in 0..240 {
            usual.count(at(hour * 3_600), at((hour + 1) * 3_600), 2);
        }
        let now = 240 * 3_600;
        assert!(!usual.is_silent(at(now + 6 * 3_600)), "a quiet night");
        assert!(usual.is_silent(at(now + 16 * 3_600)));
        assert_eq!(usual.days.len(), DAYS);
        for hour in 240..255 {
            usual.count(at(hour * 3_600), at((hour + 1) * 3_600), 0);
        }
        assert!(!usual.is_silent(at(255 * 3_600)), "less is usual now");
        assert!(usual.is_silent(at(260 * 3_600)));
    }
}
