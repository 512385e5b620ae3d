//! A fixed history of Stripe events, from which golden files are made.
//!
//! Most are the payloads of `events/stripe` as they once were. The history never changes, whatever
//! becomes of those and of the [`World`](crate::world): a change of a golden file is then a change of
//! paygraph.

use serde_json::Value;

const EVENTS: &str = include_str!("history.json");

/// The tenant whose history it is.
pub const TENANT: &str = "acme";

/// An instant (Unix seconds) in the middle of the history, with a live subscription, open and paid
/// invoices, and a dispute.
pub const MIDDLE: i64 = 1_792_700_000;

/// Every event, in the order in which it happened.
///
/// # Panics
/// Never: the file is a list of events.
#[must_use]
pub fn events() -> Vec<Value> {
    let events = serde_json::from_str(EVENTS);
    events.unwrap_or_else(|error| unreachable!("the history is a list of events: {error}"))
}

/// The events before an instant (Unix seconds).
#[must_use]
pub fn events_before(instant: i64) -> Vec<Value> {
    let mut events = events();
    events.retain(|event| event["created"].as_i64().is_some_and(|at| at < instant));
    events
}
