//! Domain events: what happened, in the product's own words.

use serde_json::Value;

use crate::id::CustomerId;

/// One event for the bus. Its id is given when it is committed: `{cause}#n`.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `subscription_created`, `payment_succeeded`, … (the bus's `detail-type`)
    pub name: &'static str,
    /// Ids and the few values that the event is about. Never a whole object.
    pub data: Value,
    /// The contact it is about, where that is not the one of the fact.
    pub contact: Option<CustomerId>,
}

impl Event {
    /// An event about the fact's own contact.
    #[must_use]
    pub fn new(name: &'static str, data: Value) -> Self {
        Self {
            name,
            data,
            contact: None,
        }
    }
}
