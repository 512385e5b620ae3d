//! Days of the calendar, in UTC.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant};
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

const SECONDS: i64 = 86_400;

/// A day of the calendar, in UTC: `2026-11-21`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(Date);

/// A text that is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a day, as in 2026-11-21")]
pub struct InvalidDay(String);

impl Day {
    /// Reads `2026-11-21`.
    ///
    /// # Errors
    /// [`InvalidDay`] when the text is none.
    pub fn parse(text: &str) -> Result<Self, InvalidDay> {
        let day = text.parse().map_err(|_| InvalidDay(text.to_owned()))?;
        Ok(Self(day))
    }

    /// The day of an instant.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let instant = Instant::from_second(at.unix()).unwrap_or_default();
        Self(instant.to_zoned(TimeZone::UTC).date())
    }

    /// The last day that was over at an instant.
    #[must_use]
    pub fn over_at(now: Timestamp) -> Self {
        Self::of(now.plus(-SECONDS))
    }

    /// Its first second.
    #[must_use]
    pub fn start(self) -> Timestamp {
        let start = self.0.to_zoned(TimeZone::UTC);
        let start = start.map_or(0, |start| start.timestamp().as_second());
        Timestamp::from_unix(start).unwrap_or_default()
    }

    /// The first second after it.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.start().plus(SECONDS)
    }

    /// The first day of its month.
    #[must_use]
    pub fn month(self) -> Self {
        Self(self.0.first_of_month())
    }

    /// The day before.
    #[must_use]
    pub fn yesterday(self) -> Self {
        Self(self.0.yesterday().unwrap_or(self.0))
    }

    /// The same day of the month before, or that month's last day where it is shorter.
    #[must_use]
    pub fn a_month_before(self) -> Self {
        let month = Span::new().try_months(1).unwrap_or_default();
        Self(self.0.checked_sub(month).unwrap_or(self.0))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TryFrom<String> for Day {
    type Error = InvalidDay;
    fn try_from(text: String) -> Result<Self, InvalidDay> {
        Self::parse(&text)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> String {
        day.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn a_month_before_keeps_to_the_calendar() {
        for (of, expected) in [
            ("2028-03-31", "2028-02-29"),
            ("2027-03-31", "2027-02-28"),
            ("2028-03-29", "2028-02-29"),
            ("2028-02-29", "2028-01-29"),
            ("2027-01-15", "2026-12-15"),
            ("2100-03-30", "2100-02-28"),
        ] {
            assert_eq!(day(of).a_month_before(), day(expected), "{of}");
        }
        assert_eq!(day("2028-03-01").yesterday(), day("2028-02-29"));
        assert_eq!(day("2028-02-29").month(), day("2028-02-01"));
    }

    #[test]
    fn a_day_is_over_at_midnight() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let over = |text: &str| Day::over_at(at(text));
        assert_eq!(over("2026-11-21T00:00:00Z"), day("2026-11-20"));
        assert_eq!(over("2026-11-20T23:59:59Z"), day("2026-11-19"));
        assert_eq!(day("2026-11-20").start(), at("2026-11-20T00:00:00Z"));
        assert_eq!(day("2026-11-20").end(), at("2026-11-21T00:00:00Z"));
        assert!(Day::parse("2026-02-30").is_err());
    }
}
