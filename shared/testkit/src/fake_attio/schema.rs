//! The objects with their attributes: Attio's own, and those that a tenant makes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// What an attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text, a number or a day.
    Plain,
    /// Options, of which there is a list.
    Options,
    /// Workspaces: one.
    Workspace,
    /// Workspaces: several.
    Workspaces,
}

impl Kind {
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Options | Self::Workspaces)
    }
}

/// The attributes of each object.
pub(super) type Schema = BTreeMap<&'static str, BTreeMap<&'static str, Kind>>;

pub(super) fn schema() -> Schema {
    let workspaces = [
        ("workspace_id", Kind::Plain),
        ("name", Kind::Plain),
        ("usage_percent", Kind::Plain),
        ("last_contacted_at", Kind::Plain),
        ("domains", Kind::Options),
    ];
    let users = [
        ("user_id", Kind::Plain),
        ("primary_email_address", Kind::Plain),
        ("name", Kind::Plain),
        ("workspace", Kind::Workspaces),
    ];
    let subscriptions = [
        ("stripe_customer_id", Kind::Plain),
        ("status", Kind::Plain),
        ("plan_name", Kind::Plain),
        ("arr", Kind::Plain),
        ("currency", Kind::Plain),
        ("renewal_date", Kind::Plain),
        ("workspace", Kind::Workspace),
    ];
    BTreeMap::from([
        ("workspaces", workspaces.into()),
        ("users", users.into()),
        ("subscriptions", subscriptions.into()),
    ])
}

/// The attribute by which an object's records are told apart.
pub(super) fn unique(object: &str) -> &'static str {
    match object {
        "workspaces" => "workspace_id",
        "users" => "user_id",
        _ => "stripe_customer_id",
    }
}

/// The attributes of which no two records of an object have the same value. A user's address is one.
/// <https://docs.attio.com/docs/standard-objects/standard-objects-users>
pub(super) fn uniques(object: &str) -> &'static [&'static str] {
    match object {
        "workspaces" => &["workspace_id"],
        "users" => &["user_id", "primary_email_address"],
        _ => &["stripe_customer_id"],
    }
}

/// What a record must have when it is made (`is_required`). A tenant may change that of its own
/// objects; of Attio's users both are required.
/// <https://docs.attio.com/docs/attribute-types>
pub(super) fn required() -> BTreeSet<(&'static str, &'static str)> {
    BTreeSet::from([
        ("workspaces", "workspace_id"),
        ("users", "user_id"),
        ("users", "primary_email_address"),
    ])
}

/// The attributes as Attio lists them.
pub(super) fn listed(object: &str, attributes: &BTreeMap<&'static str, Kind>) -> Value {
    let each = attributes.iter().map(|(name, kind)| {
        json!({ "api_slug": name, "is_unique": uniques(object).contains(name),
            "is_multiselect": kind.is_list(), "is_archived": false })
    });
    json!({ "data": each.collect::<Vec<_>>() })
}
