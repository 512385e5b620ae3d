//! Segments: groups of contacts that are defined as data, in `infra/catalog/segments.yaml`.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::condition::{Condition, Facts, Names};
use crate::time::Timestamp;

pub use self::check::problems;

/// The most segments that a tenant may define: a contact may enter all of them in one transaction.
const MAX_SEGMENTS: usize = 60;

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// What people read.
    pub description: String,
    /// Who is in it.
    pub when: Condition,
    /// The instants at which time alone may bring somebody in or out; needed when `when` asks for
    /// `now`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flips_at: Vec<Condition>,
}

/// Every segment by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, Segment>",
    into = "BTreeMap<String, Segment>"
)]
pub struct Segments {
    all: BTreeMap<String, Segment>,
    names: Names,
}

/// Definitions that are not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSegments {
    /// Not YAML of the right shape, or a condition that is none.
    #[error("the segments cannot be read: {0}")]
    Unreadable(String),
    /// A name that cannot be part of a key.
    #[error("segment {0:?}: a name has 1 to 64 of a-z, 0-9 and _")]
    Name(String),
    /// It moves with time, and says not when.
    #[error(
        "segment {0:?} asks for `now`, so it needs `flips_at`: the instants at which it may change"
    )]
    NoFlips(String),
    /// More than a tenant may have.
    #[error("there are {0} segments; at most {MAX_SEGMENTS} are possible")]
    TooMany(usize),
}

impl Segments {
    /// Reads definitions from YAML: name → `description`, `when`, `flips_at`.
    ///
    /// # Errors
    /// [`InvalidSegments`], with the place.
    pub fn parse(yaml: &str) -> Result<Self, InvalidSegments> {
        serde_saphyr::from_str(yaml).map_err(|error| InvalidSegments::Unreadable(error.to_string()))
    }

    /// The segments that ship as the example; none if that file were not valid, which a test reads.
    #[must_use]
    pub fn example() -> Self {
        static EXAMPLE: LazyLock<Segments> = LazyLock::new(|| {
            Segments::parse(include_str!("../../../infra/catalog/segments.yaml"))
                .unwrap_or_default()
        });
        EXAMPLE.clone()
    }

    /// Every segment.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Segment)> {
        self.all
            .iter()
            .map(|(name, segment)| (name.as_str(), segment))
    }

    /// What their conditions name.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// A segment by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Segment> {
        self.all.get(name)
    }

    /// Those that the facts fulfil.
    #[must_use]
    pub fn of(&self, facts: &Facts) -> BTreeSet<String> {
        let fulfilled = self.iter().filter(|(_, segment)| segment.when.holds(facts));
        fulfilled.map(|(name, _)| name.to_owned()).collect()
    }

    /// The first instant after `now` at which one may change by itself.
    #[must_use]
    pub fn next_flip(&self, facts: &Facts, now: Timestamp) -> Option<Timestamp> {
        let flips = self.all.values().flat_map(|segment| &segment.flips_at);
        flips
            .flat_map(|flip| flip.instants(facts))
            .filter(|at| *at > now)
            .min()
    }
}

/// Whether a name can be part of a key.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

impl TryFrom<BTreeMap<String, Segment>> for Segments {
    type Error = InvalidSegments;
    fn try_from(segments: BTreeMap<String, Segment>) -> Result<Self, InvalidSegments> {
        if segments.len() > MAX_SEGMENTS {
            return Err(InvalidSegments::TooMany(segments.len()));
        }
        for (name, segment) in &segments {
            if !is_name(name) {
                return Err(InvalidSegments::Name(name.clone()));
            }
            if segment.when.asks_the_time() && segment.flips_at.is_empty() {
                return Err(InvalidSegments::NoFlips(name.clone()));
            }
        }
        let mut names = Names::default();
        for segment in segments.values() {
            let conditions = std::iter::once(&segment.when).chain(&segment.flips_at);
            conditions.for_each(|condition| names.extend(condition.names()));
        }
        Ok(Self {
            all: segments,
            names,
        })
    }
}

impl From<Segments> for BTreeMap<String, Segment> {
    fn from(segments: Segments) -> Self {
        segments.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_valid() {
        let yaml = include_str!("../../../infra/catalog/segments.yaml");
        let segments = Segments::parse(yaml).unwrap();
        for name in ["trial_expiring", "failed_payment", "churned", "tier_pro"] {
            assert!(segments.get(name).is_some(), "{name}");
        }
        assert_eq!(segments, Segments::example());
    }

    #[test]
    fn errors_say_what_to_change() {
        for (yaml, word) in [
            (
                "a: { description: x, when: 'now > now' }",
                "needs `flips_at`",
            ),
            ("a b: { description: x, when: 'true' }", "a name has"),
            (
                "a: { description: x, when: 'billing.teir == 1' }",
                "has no `teir`",
            ),
            ("a: { description: x, whn: 'true' }", "whn"),
            ("- 1", "cannot be read"),
        ] {
            let error = Segments::parse(yaml).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
