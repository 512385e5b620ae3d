//! EventBridge: the publisher, and what targets read. SQS: what is sent to queues.
//!
//! An event may be published twice and in any order; its id is the same, so consumers drop
//! repeats and take it as a hint to look at the current state.

pub mod batch;
pub mod dead_letters;
pub mod incoming;
mod pack;
mod publisher;
mod queue;
pub mod schedule;

pub use publisher::EventBridge;
pub use queue::{LONGEST_DELAY, Queue};

/// The source of every event of ours.
pub const SOURCE: &str = "paygraph";
