//! An object that a run asks for by its id.
#![cfg_attr(
    not(feature = "stripe-api"),
    allow(dead_code, reason = "only who asks Stripe does runs")
)]

use paygraph_domain::fact::Fact;
use paygraph_domain::id::StripeCustomerId;
use serde::{Deserialize, Serialize};

use super::kind::Kind;

/// An object that is asked for by its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Look {
    /// Whose it is.
    pub customer: StripeCustomerId,
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub object: String,
    /// Whether nothing says that it differs: no list tells of it.
    #[serde(default)]
    pub unlisted: bool,
    /// How often our object had been written at the first look; none where nobody compared it. An
    /// event that arrives before the second look changes this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<u64>,
}

impl Look {
    /// At what a fact is about, and that differs from our object of this rev.
    pub(super) fn at(customer: &StripeCustomerId, fact: &Fact, rev: Option<u64>) -> Self {
        let look = match Kind::about(&fact.body) {
            Some(kind) => Self::new(customer, kind, fact.body.id()),
            // It comes with its customer.
            None => Self::new(customer, Kind::Customers, customer.as_str()),
        };
        Self { rev, ..look }
    }

    pub(super) fn new(customer: &StripeCustomerId, kind: Kind, object: &str) -> Self {
        Self {
            customer: customer.clone(),
            kind,
            object: object.to_owned(),
            unlisted: false,
            rev: None,
        }
    }

    /// At what no list tells of.
    pub(super) fn unlisted(customer: &StripeCustomerId, kind: Kind, object: &str) -> Self {
        Self {
            unlisted: true,
            ..Self::new(customer, kind, object)
        }
    }
}
