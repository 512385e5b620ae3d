//! Load, apply, commit, publish: the one path of every change.
//!
//! A webhook's event, an object of a run and a timer all come through here. The engine owns no
//! outside system: it asks for a [`ports::Store`] and a [`ports::Publisher`], which the DynamoDB
//! and EventBridge crates provide, and [`memory`] for tests and for folding a file.

pub mod alert;
pub mod analytics;
mod backoff;
#[cfg(feature = "stripe-api")]
pub mod connect;
pub mod connection;
pub mod crm;
pub mod email;
pub mod envelope;
pub mod fetch;
pub mod identity;
pub mod memory;
pub mod ports;
pub mod process;
pub mod product;
pub mod publish;
pub mod reevaluate;
pub mod run;
pub mod sequence;
pub mod target;
pub mod tick;
pub mod user;
pub mod watch;

pub use backoff::{Deadline, pause};
