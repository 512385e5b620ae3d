//! A user of the product, as its events tell of them. Who pays is a contact; a user may work in
//! several.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::product::activity::Activity;
use crate::product::said::Said;
use crate::time::Timestamp;

/// The most traits of a user. Of more, those count that come first by name, in whatever order they
/// came.
pub const MAX_TRAITS: usize = 50;
/// The most workspaces of a user, likewise.
pub const MAX_WORKSPACES: usize = 100;

/// A user as it is stored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct User {
    /// The product's own id.
    pub id: String,
    /// How often it was written; 0 before the first time.
    pub version: u64,
    /// Full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What else is known, by name: texts, numbers, true and false.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traits: BTreeMap<String, Value>,
    /// The workspaces that the user works in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub workspaces: BTreeSet<String>,
    /// The hour in which the user was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// What it did of which no workspace is known.
    #[serde(default, skip_serializing_if = "Activity::is_empty")]
    pub elsewhere: Activity,
    /// When each of these was told, so that nothing older overwrites it.
    #[serde(default, skip_serializing_if = "Said::is_empty")]
    pub said: Said,
}

impl User {
    /// A user that nothing is known of yet.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }
}
