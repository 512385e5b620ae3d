//! Sequences: what is sent to a contact, step by step, for as long as there is a reason.
//!
//! They are defined as data, in `infra/catalog/sequences`. This module says what a definition is
//! and what becomes of an enrolment; it sends nothing and keeps nothing.

mod enrolment;
mod hear;
mod read;
mod seen;
mod simulate;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::condition::{Condition, Names};

pub use self::enrolment::{Advance, Enrolment, State, StepDue, Taken, Why, advance};
pub use self::hear::Happened;
pub use self::read::{InvalidSequences, problems};
pub use self::seen::{Seen, VARIABLES, Variable};
pub use self::simulate::{Simulated, What, simulate};
pub use self::template::Template;

/// The most sequences that a tenant may define: each event of a contact may be about all of them.
pub const MAX_SEQUENCES: usize = 50;
/// The most steps of a sequence.
pub const MAX_STEPS: usize = 20;
/// The longest delay of a step, in seconds: a year.
pub const MAX_DELAY: i64 = 365 * DAY;

const DAY: i64 = 86_400;

/// What starts a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Trigger {
    /// An event of the bus about the contact.
    Event {
        /// Its name.
        event: String,
        /// What must hold of the event's data (`event`) and of the contact.
        #[serde(skip_serializing_if = "Option::is_none")]
        when: Option<Condition>,
    },
    /// The contact enters a segment.
    Segment {
        /// The segment's name.
        segment: String,
    },
}

/// How long after the enrolment a step is due, in seconds; written as `0`, `30m`, `12h` or `3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delay(i64);

impl Delay {
    /// Reads a delay.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no delay; write it as `0`, `30m`, `12h` or `3d`");
        let unit = match text.chars().last() {
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => DAY,
            Some(_) | None if text == "0" => return Ok(Self(0)),
            Some(_) | None => return Err(wrong()),
        };
        let number = text.get(..text.len() - 1).unwrap_or_default();
        let digits = number.bytes().all(|b| b.is_ascii_digit());
        let number: i64 = number.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        match number.checked_mul(unit) {
            Some(seconds) if seconds <= MAX_DELAY => Ok(Self(seconds)),
            Some(_) | None => Err(format!("{text:?} is longer than 365 days")),
        }
    }

    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            seconds if seconds % DAY == 0 => write!(f, "{}d", seconds / DAY),
            seconds if seconds % 3_600 == 0 => write!(f, "{}h", seconds / 3_600),
            seconds => write!(f, "{}m", seconds / 60),
        }
    }
}

impl Serialize for Delay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// An e-mail to the contact's address.
    Email,
    /// A message inside your product.
    InApp,
    /// A task for somebody of yours.
    Task,
    /// A message in Slack.
    Slack,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 4] = [Self::Email, Self::InApp, Self::Task, Self::Slack];

    /// Its name in definitions and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::InApp => "in_app",
            Self::Task => "task",
            Self::Slack => "slack",
        }
    }
}

/// Whether a contact that was in a sequence may enter it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reentry {
    /// Once and never again.
    Never,
    /// As soon as it has ended.
    AfterEnd,
    /// When it has ended, and so many days after the last enrolment at the earliest.
    AfterDays(u16),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its name, which no other step of the sequence has.
    pub name: String,
    /// When it is due.
    pub delay: Delay,
    /// What must hold of the contact at that time; else it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// Where it goes.
    pub channel: Channel,
    /// The subject; every e-mail has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Template>,
    /// The text.
    pub text: Template,
}

/// One sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sequence {
    /// What people read.
    pub description: String,
    /// What starts it.
    pub trigger: Trigger,
    /// Once this holds of the contact, its reason is gone: it is left, and not entered.
    pub exit_when: Condition,
    /// Whether it may be entered again.
    pub reentry: Reentry,
    /// Its steps by their delays.
    pub steps: Vec<Step>,
}

impl Sequence {
    /// Every condition that it has.
    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let trigger = match &self.trigger {
            Trigger::Event { when, .. } => when.as_ref(),
            Trigger::Segment { .. } => None,
        };
        let steps = self.steps.iter().filter_map(|step| step.when.as_ref());
        std::iter::once(&self.exit_when).chain(trigger).chain(steps)
    }
}

/// Every sequence by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, Value>",
    into = "BTreeMap<String, Sequence>"
)]
pub struct Sequences {
    all: BTreeMap<String, Sequence>,
    names: Names,
}

/// The definitions that ship as the example.
const EXAMPLE: [&str; 4] = [
    include_str!("../../../infra/catalog/sequences/cancellation_win_back.yaml"),
    include_str!("../../../infra/catalog/sequences/failed_payment_recovery.yaml"),
    include_str!("../../../infra/catalog/sequences/trial_expiry.yaml"),
    include_str!("../../../infra/catalog/sequences/upgrade_celebration.yaml"),
];

impl Sequences {
    /// Reads definitions from YAML: name → `description`, `trigger`, `exit_when`, `reentry`, `steps`.
    ///
    /// # Errors
    /// [`InvalidSequences`] with everything that is wrong.
    pub fn parse(yaml: &str) -> Result<Self, InvalidSequences> {
        read::parse(yaml)
    }

    /// The sequences that ship as the example; without those whose file were not valid, which a test
    /// reads.
    #[must_use]
    pub fn example() -> Self {
        static ALL: LazyLock<Sequences> = LazyLock::new(|| {
            let read = EXAMPLE.iter().filter_map(|yaml| read::parse(yaml).ok());
            Sequences::from_all(read.flat_map(|sequences| sequences.all).collect())
        });
        ALL.clone()
    }

    fn from_all(all: BTreeMap<String, Sequence>) -> Self {
        let mut names = Names::default();
        for condition in all.values().flat_map(Sequence::conditions) {
            names.extend(condition.names());
        }
        Self { all, names }
    }

    /// Every sequence.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Sequence)> {
        let all = self.all.iter();
        all.map(|(name, sequence)| (name.as_str(), sequence))
    }

    /// A sequence by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Sequence> {
        self.all.get(name)
    }

    /// What their conditions name.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }
}

impl TryFrom<BTreeMap<String, Value>> for Sequences {
    type Error = InvalidSequences;
    fn try_from(written: BTreeMap<String, Value>) -> Result<Self, InvalidSequences> {
        read::all(&written)
    }
}

impl From<Sequences> for BTreeMap<String, Sequence> {
    fn from(sequences: Sequences) -> Self {
        sequences.all
    }
}

#[cfg(test)]
#[path = "sequence_tests.rs"]
mod tests;
