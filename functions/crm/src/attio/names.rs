//! What things are called in Attio. Users and workspaces are Attio's own objects; subscriptions are
//! one that the tenant makes.
//! <https://docs.attio.com/docs/standard-objects/standard-objects-users>

use paygraph_domain::crm::Object;

/// What an attribute must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Must {
    /// Hold one value.
    Hold,
    /// Tell records apart.
    BeUnique,
    /// Hold several.
    HoldSeveral,
}

/// An object.
pub(super) const fn slug(object: Object) -> &'static str {
    match object {
        Object::Workspace => "workspaces",
        Object::User => "users",
        Object::Subscription => "subscriptions",
    }
}

/// The attribute by which its records are found.
pub(super) const fn id(object: Object) -> &'static str {
    match object {
        Object::Workspace => "workspace_id",
        Object::User => "user_id",
        Object::Subscription => "stripe_customer_id",
    }
}

/// The attribute of a field or list.
pub(super) fn attribute(field: &'static str) -> &'static str {
    match field {
        "email" => "primary_email_address",
        other => other,
    }
}

/// The attribute that leads to the workspaces that a record belongs to.
pub(super) const WORKSPACE: &str = "workspace";

/// Every attribute that is written.
pub(super) const fn attributes(object: Object) -> &'static [(&'static str, Must)] {
    match object {
        Object::Workspace => &[
            ("workspace_id", Must::BeUnique),
            ("name", Must::Hold),
            ("usage_percent", Must::Hold),
            ("domains", Must::HoldSeveral),
        ],
        Object::User => &[
            ("user_id", Must::BeUnique),
            ("primary_email_address", Must::Hold),
            ("name", Must::Hold),
            (WORKSPACE, Must::HoldSeveral),
        ],
        Object::Subscription => &[
            ("stripe_customer_id", Must::BeUnique),
            ("status", Must::Hold),
            ("plan_name", Must::Hold),
            ("arr", Must::Hold),
            ("currency", Must::Hold),
            ("renewal_date", Must::Hold),
            (WORKSPACE, Must::Hold),
        ],
    }
}
