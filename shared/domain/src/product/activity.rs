//! On which days and in which hour something was used, and the score that follows.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// How many days count.
const WINDOW: i64 = 14;
/// How many of them count fully.
const RECENT: i64 = 7;
/// What a recent day gives, and what one before gives.
const POINTS: [u64; 2] = [10, 5];

/// Use, as far as it is kept: the last hour, and the days of the two weeks up to it. Adding the
/// same use again, or in another order, gives the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Activity {
    /// The hour in which somebody was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    /// The days with use, a bit each: the lowest is the day of `seen`.
    #[serde(default)]
    days: u16,
}

impl Activity {
    /// Use at an instant.
    #[must_use]
    pub fn at(instant: Timestamp) -> Self {
        let hour = instant.unix().div_euclid(HOUR) * HOUR;
        Self {
            seen: Timestamp::from_unix(hour).ok(),
            days: 1,
        }
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_none()
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (newer, older) = if self.seen >= other.seen {
            (self, other)
        } else {
            (other, self)
        };
        let (Some(last), Some(before)) = (newer.seen, older.seen) else {
            return newer;
        };
        let ago = u32::try_from(day(last) - day(before)).unwrap_or(u32::MAX);
        let moved = older.days.checked_shl(ago).unwrap_or(0);
        let window = (1_u16 << WINDOW) - 1;
        Self {
            seen: newer.seen,
            days: (newer.days | moved) & window,
        }
    }

    /// 0 to 100: 10 for each day with use of the last seven, 5 for each of the seven before.
    ///
    /// The last seven end today, or yesterday as long as today saw no use: a day that has only
    /// begun takes nothing away.
    #[must_use]
    pub fn score(&self, now: Timestamp) -> u64 {
        self.score_on(day(now))
    }

    fn score_on(&self, today: i64) -> u64 {
        let Some(last) = self.seen.map(day) else {
            return 0;
        };
        let end = last.max(today - 1);
        let points = (0..WINDOW).filter_map(|ago| {
            let used = self.days.checked_shr(u32::try_from(ago).ok()?)? & 1 == 1;
            let age = end - (last - ago);
            let [recent, before] = POINTS;
            used.then_some(match age {
                ..RECENT => recent,
                RECENT..WINDOW => before,
                _ => 0,
            })
        });
        points.sum::<u64>().min(100)
    }

    /// The next day on which the score falls by itself.
    #[must_use]
    pub fn falls_at(&self, now: Timestamp) -> Option<Timestamp> {
        let (today, last) = (day(now), day(self.seen?));
        let score = self.score_on(today);
        let falls = (today + 1..=last + WINDOW + 1).find(|day| self.score_on(*day) != score)?;
        Timestamp::from_unix(falls * DAY).ok()
    }
}

/// The number of a day in UTC.
fn day(instant: Timestamp) -> i64 {
    instant.unix().div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TODAY: i64 = 20_000;

    fn on(day: i64) -> Activity {
        Activity::at(Timestamp::from_unix(day * DAY + 5 * HOUR + 17).unwrap())
    }

    fn over(days: impl IntoIterator<Item = i64>) -> Activity {
        days.into_iter()
            .map(on)
            .fold(Activity::default(), Activity::and)
    }

    fn score(activity: &Activity, day: i64) -> u64 {
        activity.score(Timestamp::from_unix(day * DAY + 60).unwrap())
    }

    #[test]
    fn a_day_gives_ten_and_half_of_it_a_week_later() {
        assert_eq!(score(&Activity::default(), TODAY), 0);
        assert_eq!(score(&on(TODAY), TODAY), 10);
        assert_eq!(score(&over(TODAY - 6..=TODAY), TODAY), 70);
        assert_eq!(score(&over(TODAY - 13..=TODAY), TODAY), 100);
        let week = over(TODAY - 4..=TODAY);
        // Tomorrow has only begun; the day after, a day was missed.
        assert_eq!(score(&week, TODAY + 1), 50);
        assert_eq!(score(&week, TODAY + 3), 50);
        assert_eq!(score(&week, TODAY + 4), 45);
        assert_eq!(score(&week, TODAY + 14), 5);
        assert_eq!(score(&week, TODAY + 15), 0);
    }

    #[test]
    fn it_is_known_when_the_score_falls() {
        let now = Timestamp::from_unix(TODAY * DAY + 3).unwrap();
        let week = over(TODAY - 4..=TODAY);
        let falls = week.falls_at(now).unwrap();
        assert_eq!(falls.unix(), (TODAY + 4) * DAY);
        assert_eq!(over([]).falls_at(now), None);
        assert_eq!(on(TODAY - 15).falls_at(now), None);
        let mut at = now;
        let mut falls = 0;
        while let Some(next) = week.falls_at(at) {
            assert!(week.score(next) < week.score(at));
            (at, falls) = (next, falls + 1);
        }
        assert_eq!((week.score(at), falls), (0, 10));
    }

    proptest! {
        #[test]
        fn order_and_repeats_do_not_count(days in prop::collection::vec(TODAY - 40..TODAY, 1..30)) {
            let forward = over(days.iter().copied());
            let backward = over(days.iter().rev().chain(&days).copied());
            prop_assert_eq!(forward, backward);
            let last = *days.iter().max().unwrap();
            let in_week = |age: std::ops::Range<i64>| {
                let used: std::collections::BTreeSet<_> =
                    days.iter().filter(|day| age.contains(&(last - *day))).collect();
                u64::try_from(used.len()).unwrap()
            };
            let expected = (10 * in_week(0..7) + 5 * in_week(7..14)).min(100);
            prop_assert_eq!(score(&forward, last), expected);
        }
    }
}
