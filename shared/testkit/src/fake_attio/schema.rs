//! The objects with their attributes: Attio's own, and those that a tenant makes.

use std::collections::BTreeMap;

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

/// What a record must have from the beginning.
pub(super) fn required(object: &str) -> &'static [&'static str] {
    match object {
        "workspaces" => &["workspace_id"],
        "users" => &["user_id", "primary_email_address"],
        _ => &[],
    }
}

/// The attributes as Attio lists them.
pub(super) fn listed(object: &str, attributes: &BTreeMap<&'static str, Kind>) -> Value {
    let each = attributes.iter().map(|(name, kind)| {
        json!({ "api_slug": name, "is_unique": *name == unique(object),
            "is_multiselect": kind.is_list(), "is_archived": false })
    });
    json!({ "data": each.collect::<Vec<_>>() })
}
