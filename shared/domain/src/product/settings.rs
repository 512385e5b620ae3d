//! What a tenant decides about its product events.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What a tenant decides about its product events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProductSettings {
    /// The traits of users and workspaces that also become traits of the contact, as they are
    /// written after reading: letters, digits and `_`.
    pub traits: BTreeSet<String>,
    /// The property of an event that names its workspace, where `context.groupId` does not.
    pub workspace: String,
    /// Events that no user does by hand: they are no sign of use.
    pub passive_events: BTreeSet<String>,
    /// The events that tell how much of the plan is used, by what they count.
    pub usage: BTreeMap<String, UsageOf>,
}

impl Default for ProductSettings {
    fn default() -> Self {
        Self {
            traits: BTreeSet::new(),
            workspace: "workspace_id".to_owned(),
            passive_events: BTreeSet::new(),
            usage: BTreeMap::new(),
        }
    }
}

/// The event that tells how much of something is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageOf {
    /// The event's name.
    pub event: String,
    /// The property that says how much is used.
    pub used: String,
    /// The property that says how much the plan allows; without one, `used` is in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}
