//! Instants, in whole Unix seconds as Stripe counts them.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// An instant in whole seconds since 1970-01-01T00:00:00Z, within the years 1 to 9999.
///
/// Stored as the number; shown (`Display`, [`rfc3339`]) as RFC 3339 in UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timestamp(i64);

/// A number or text that is no instant between the years 1 and 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an instant between the years 1 and 9999")]
pub struct InvalidTime(String);

const EARLIEST: i64 = -62_135_596_800;
const LATEST: i64 = 253_402_207_200;

impl Timestamp {
    /// The instant `seconds` after 1970.
    ///
    /// # Errors
    /// [`InvalidTime`] outside the years 1 to 9999.
    pub fn from_unix(seconds: i64) -> Result<Self, InvalidTime> {
        if (EARLIEST..=LATEST).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(InvalidTime(seconds.to_string()))
        }
    }

    /// Reads RFC 3339, as in `2026-11-21T04:43:03Z`; fractions of a second are cut off.
    ///
    /// # Errors
    /// [`InvalidTime`] when the text is none.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| InvalidTime(text.to_owned()))?;
        Self::from_unix(instant.as_second())
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0
    }

    /// The instant `seconds` later, held within the range.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds).clamp(EARLIEST, LATEST))
    }

    /// Its day in UTC.
    #[must_use]
    pub fn date(self) -> jiff::civil::Date {
        let instant = jiff::Timestamp::from_second(self.0).unwrap_or_default();
        instant.to_zoned(jiff::tz::TimeZone::UTC).date()
    }

    /// Its day in UTC as people read it: `21 November 2026`.
    #[must_use]
    pub fn day(self) -> String {
        let instant = jiff::Timestamp::from_second(self.0).unwrap_or_default();
        instant.strftime("%-d %B %Y").to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = jiff::Timestamp::from_second(self.0).unwrap_or_default();
        write!(f, "{instant}")
    }
}

impl TryFrom<i64> for Timestamp {
    type Error = InvalidTime;
    fn try_from(seconds: i64) -> Result<Self, InvalidTime> {
        Self::from_unix(seconds)
    }
}

impl From<Timestamp> for i64 {
    fn from(time: Timestamp) -> i64 {
        time.0
    }
}

/// For `#[serde(serialize_with)]`: an instant as an RFC 3339 string.
///
/// # Errors
/// What the serializer reports.
pub fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// For `#[serde(serialize_with)]`: an instant or none, as an RFC 3339 string or null.
///
/// # Errors
/// What the serializer reports.
pub fn rfc3339_opt<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_and_read_as_rfc_3339() {
        let time = Timestamp::parse("2026-11-21T04:43:03Z").unwrap();
        assert_eq!(time.unix(), 1_795_236_183);
        assert_eq!(time.to_string(), "2026-11-21T04:43:03Z");
        assert_eq!(
            Timestamp::parse("2026-11-21T05:43:03.9+01:00").unwrap(),
            time
        );
        assert_eq!(time.day(), "21 November 2026");
        assert!(Timestamp::parse("yesterday").is_err());
        assert!(Timestamp::from_unix(i64::MAX).is_err());
        assert_eq!(time.plus(i64::MAX).unix(), LATEST);
    }
}
