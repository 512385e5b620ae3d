//! EventBridge: the publisher, and what targets read.
//!
//! An event may be published twice and in any order; its id is the same, so consumers drop
//! repeats and take it as a hint to look at the current state.

pub mod incoming;
mod pack;
mod publisher;

pub use publisher::EventBridge;

/// The source of every event of ours.
pub const SOURCE: &str = "paygraph";
