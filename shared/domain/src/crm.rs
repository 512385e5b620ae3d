//! What a CRM is to show of a contact: its workspaces, its users, and what each of its Stripe
//! customers pays for.
//!
//! This is state, not news. What is not known is left out, never sent as nothing: a CRM keeps what
//! people have put there. How a CRM calls these things is its adapter's to know.

mod records;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

pub use self::records::records;
use crate::money::Decimal;
use crate::time::Timestamp;

/// The most workspaces of one contact that are shown, and the most users: the first by id.
pub const MAX_WORKSPACES: usize = 20;
/// The most users of one contact that are shown.
pub const MAX_USERS: usize = 200;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// A workspace of the product: who pays.
    Workspace,
    /// A user of the product.
    User,
    /// What a Stripe customer is subscribed to.
    Subscription,
}

impl Object {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::User => "user",
            Self::Subscription => "subscription",
        }
    }
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// A text.
    Text(String),
    /// A number.
    Number(Decimal),
    /// A day, in UTC.
    Day(Timestamp),
}

/// The workspaces that a record belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Belongs {
    /// None: it is one.
    Nowhere,
    /// This one and no other.
    To(String),
    /// These, and others that somebody else knows of.
    Among(BTreeSet<String>),
}

impl Belongs {
    /// Their ids.
    pub fn workspaces(&self) -> impl Iterator<Item = &str> {
        let (one, several) = match self {
            Self::Nowhere => (None, None),
            Self::To(one) => (Some(one), None),
            Self::Among(several) => (None, Some(several)),
        };
        let several = several.into_iter().flatten();
        one.into_iter().chain(several).map(String::as_str)
    }
}

/// A record as the CRM is to show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// What it is about.
    pub object: Object,
    /// By what it is found: the product's id of a workspace or user, Stripe's of a customer.
    pub id: String,
    /// What is known, by name.
    pub fields: BTreeMap<&'static str, Field>,
    /// What is added to lists that others fill too.
    pub added: BTreeMap<&'static str, BTreeSet<String>>,
    /// Where it belongs.
    pub belongs: Belongs,
}

impl Record {
    /// Its name among the records of its contact.
    #[must_use]
    pub fn key(&self) -> String {
        key(self.object, &self.id)
    }

    /// Tells it from what it was before.
    #[must_use]
    pub fn digest(&self) -> u64 {
        // Every map is sorted, so the same record gives the same text.
        let text = serde_json::to_string(self).unwrap_or_default();
        xxh3_64(text.as_bytes())
    }
}

/// A record's name among those of its contact.
#[must_use]
pub fn key(object: Object, id: &str) -> String {
    format!("{}#{id}", object.as_str())
}

#[cfg(test)]
#[path = "crm_tests.rs"]
mod tests;
