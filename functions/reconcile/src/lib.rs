//! Does what the jobs queue asks for: imports of history, and comparisons with Stripe.
//!
//! A message begins a run, or goes on with one. What is not done when the time is nearly up is
//! handed on by another message, and so is the second look, which is minutes later. Schedules send
//! the same messages, for every connected tenant. Every few minutes it watches whether Stripe's
//! events reach us, and wakes runs that stand still.

mod jobs;
mod watch;
pub mod wiring;

pub use jobs::{Jobs, Reconciler};
