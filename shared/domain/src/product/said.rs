//! What was told last counts, in whatever order it comes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::{InvalidTime, Timestamp};

/// An instant in milliseconds since 1970: the product's clock is finer than Stripe's.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(i64);

impl Moment {
    /// Reads RFC 3339.
    ///
    /// # Errors
    /// [`InvalidTime`] when the text is none.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let second = Timestamp::parse(text)?;
        let instant: Option<jiff::Timestamp> = text.parse().ok();
        let milliseconds = instant.map(jiff::Timestamp::as_millisecond);
        Ok(milliseconds.map_or(second.into(), Self))
    }

    /// Its second.
    #[must_use]
    pub fn second(self) -> Timestamp {
        Timestamp::from_unix(self.0.div_euclid(1000)).unwrap_or_default()
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn unix_milliseconds(self) -> i64 {
        self.0
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self(time.unix().saturating_mul(1000))
    }
}

/// When each of several values was told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Said(BTreeMap<String, Moment>);

impl Said {
    /// Whether nothing was told yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When a value was told.
    #[must_use]
    pub fn when(&self, name: &str) -> Option<Moment> {
        self.0.get(name).copied()
    }

    /// Whether a value counts that is told of a moment, over the one that is held; if so, the
    /// moment is noted. Of two of the same moment the greater counts, so that their order does not.
    pub fn takes(&mut self, name: &str, at: Moment, value: &Value, held: Option<&Value>) -> bool {
        let text = |value: Option<&Value>| value.unwrap_or(&Value::Null).to_string();
        let counts = match self.when(name) {
            None => true,
            Some(known) if known == at => text(Some(value)) > text(held),
            Some(known) => known < at,
        };
        if counts {
            self.0.insert(name.to_owned(), at);
        }
        counts
    }

    /// Forgets that a value was told.
    pub(super) fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// A value that was told before is said anew at a moment.
    pub(super) fn renew(&mut self, name: &str, at: Moment) {
        if let Some(known) = self.0.get_mut(name) {
            *known = at;
        }
    }

    /// Takes over when values were told of which this knows nothing.
    pub(super) fn fill(&mut self, other: &Self) {
        for (name, at) in &other.0 {
            self.0.entry(name.clone()).or_insert(*at);
        }
    }

    /// Keeps the first so many of the names that begin alike; gives the rest of each that it let
    /// go.
    pub(super) fn keep_first(&mut self, beginning: &str, most: usize) -> Vec<String> {
        let alike = self
            .0
            .keys()
            .filter_map(|name| name.strip_prefix(beginning));
        let dropped: Vec<String> = alike.skip(most).map(str::to_owned).collect();
        for name in &dropped {
            self.0.remove(&format!("{beginning}{name}"));
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_told_last_counts_and_of_two_at_once_the_greater() {
        let (early, late) = ("2026-11-21T04:43:03.100Z", "2026-11-21T04:43:03.2+00:00");
        let [early, late] = [early, late].map(|text| Moment::parse(text).unwrap());
        assert_eq!(late.unix_milliseconds() - early.unix_milliseconds(), 100);
        assert_eq!(late.second().to_string(), "2026-11-21T04:43:03Z");
        let mut said = Said::default();
        assert!(said.takes("a", late, &json!("x"), None));
        assert!(!said.takes("a", early, &json!("y"), Some(&json!("x"))));
        assert!(!said.takes("a", late, &json!("x"), Some(&json!("x"))));
        assert!(said.takes("a", late, &json!("y"), Some(&json!("x"))));
        assert!(said.takes("b", early, &json!(1), None));
        assert!(Moment::parse("yesterday").is_err());
    }
}
