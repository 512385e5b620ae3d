//! What is asked of a list, and a page of it.

use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What is asked of a list: newest first, a page at a time.
#[derive(Debug, Clone, Default, Serialize)]
pub struct List<'a> {
    /// How many objects a page has, at most 100.
    pub limit: u8,
    /// The id of the last object of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_after: Option<&'a str>,
    /// From when the objects are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Created>,
    /// The Stripe customer they belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<&'a str>,
    /// The account (`acct_…`) that is the customer they belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_account: Option<&'a str>,
    /// The subscription they belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<&'a str>,
    /// Their status; `all` for subscriptions in any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'a str>,
    /// Of events: whether each endpoint has got them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_success: Option<bool>,
    /// Of events: their types, at most 20.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub types: &'a [&'a str],
    /// Fields that are objects, and not ids.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub expand: &'a [&'a str],
}

/// A part of time, in Unix seconds: from `gte`, before `lt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Created {
    /// The first second.
    pub gte: i64,
    /// The first second that is no more in it.
    pub lt: i64,
}

impl Created {
    /// From a second, before another.
    #[must_use]
    pub fn between(from: Timestamp, before: Timestamp) -> Self {
        Self {
            gte: from.unix(),
            lt: before.unix(),
        }
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// The objects, verbatim.
    pub data: Vec<Box<RawValue>>,
    /// Whether there are more.
    pub has_more: bool,
}
