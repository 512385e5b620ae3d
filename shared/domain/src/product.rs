//! Product events: who uses what is paid for, how much, and when.
//!
//! They come in any order and more than once, so everything that follows from them is a function
//! of the set of events: of two values the one told last counts, and days and hours are only ever
//! added. What is kept of them is coarse on purpose: a contact moves once an hour, not with every
//! click.

pub mod activity;
pub mod message;
pub mod said;
pub mod segment;
pub mod settings;
mod take_in;
pub mod usage;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::activity::Activity;
use self::said::{Moment, Said};
use self::settings::ProductSettings;
pub(crate) use self::take_in::CONTACTED;
pub use self::take_in::Heard;
use self::usage::Usage;
use crate::time::Timestamp;

/// Traits of a user or workspace, or properties of an event: texts, numbers, true, false, and null
/// for what is no more.
pub type Traits = BTreeMap<String, Value>;

/// What one event of the product says.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductEvent {
    /// Its own id; the same one when it is sent again.
    pub id: String,
    /// The user, where one is named.
    pub user: Option<String>,
    /// The workspace, where one is named outside the properties.
    pub workspace: Option<String>,
    /// When it happened; never after it came.
    pub at: Moment,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Something is known of the user.
    Identify(Traits),
    /// Something is known of the workspace, and the user works in it.
    Group(Traits),
    /// The user did something.
    Track {
        /// The event's name.
        event: String,
        /// What it was about.
        properties: Traits,
    },
}

impl ProductEvent {
    /// Its type's name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.what {
            What::Identify(_) => "identify",
            What::Group(_) => "group",
            What::Track { .. } => "track",
        }
    }

    /// The workspace that it is about: named outside the properties, else by the one of them that
    /// the settings say.
    #[must_use]
    pub fn workspace(&self, settings: &ProductSettings) -> Option<String> {
        let property = || match &self.what {
            What::Track { properties, .. } => segment::id(properties.get(&settings.workspace)?),
            What::Identify(_) | What::Group(_) => None,
        };
        self.workspace.clone().or_else(property)
    }

    /// When somebody did something, if it tells of that.
    #[must_use]
    pub fn activity(&self, settings: &ProductSettings) -> Activity {
        match &self.what {
            What::Track { event, .. } if !settings.passive_events.contains(event) => {
                Activity::at(self.at.second())
            }
            What::Track { .. } | What::Identify(_) | What::Group(_) => Activity::default(),
        }
    }
}

/// What a contact keeps of product events, beside what its profile shows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Product {
    /// When fields and traits were told that came by events.
    #[serde(skip_serializing_if = "Said::is_empty")]
    pub said: Said,
    /// When it was used.
    #[serde(skip_serializing_if = "Activity::is_empty")]
    pub activity: Activity,
    /// How much of what the plan allows is used, by what is counted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<String, Usage>,
    /// When one of the tenant's people was in touch last, as the CRM and our own e-mails tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacted: Option<Timestamp>,
}

impl Product {
    /// Whether nothing came yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
