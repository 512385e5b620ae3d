//! Runs over everything that Stripe has: the import of history, and the comparison.
//!
//! A run reads lists in ranges of time, side by side. It notes a page as done when everything that the
//! page told is committed. After a kill, it therefore reads at most one page of each range again.
//! Objects are decoded, ordered and committed as those of a webhook are.

#[cfg(feature = "stripe-api")]
mod by_id;
pub mod drift;
#[cfg(feature = "stripe-api")]
mod errors;
pub mod kind;
pub mod look;
#[cfg(feature = "stripe-api")]
mod methods;
#[cfg(feature = "stripe-api")]
mod parked;
pub mod range;
#[cfg(feature = "stripe-api")]
mod read;
mod report;
mod request;
#[cfg(feature = "stripe-api")]
mod runner;
#[cfg(feature = "stripe-api")]
mod second_look;
#[cfg(feature = "stripe-api")]
mod stall;
pub mod state;
#[cfg(feature = "stripe-api")]
mod take_in;

pub use drift::{Class, Drift, Outcome, Severity};
pub use kind::{Kind, Stage};
pub use look::Look;
pub use range::Range;
pub use request::{InvalidRequest, Request, run_name};
#[cfg(feature = "stripe-api")]
pub use runner::{Left, RunError, Runner};
#[cfg(feature = "stripe-api")]
pub use stall::{note_stall, stop};
pub use state::{Counts, Failure, Job, LONGEST_STALL, MethodReads, Run, Scope, Wait};
