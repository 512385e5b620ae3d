//! Raises alerts, tells people of them, and resolves them when their reasons are gone.
//!
//! An event of the bus is a hint: what there is to be alerted about is read from what stands now. An
//! alert is kept in any case; Slack and SNS hear of it at least once.

pub mod handler;
pub mod message;
mod pace;
mod send;
pub mod slack;
pub mod tell;
mod tenant;
pub mod topic;
mod turns;
pub mod wiring;
