//! The target from Stripe's events through the engine, the bus and the minute, over a store in
//! memory.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

mod email;
mod golden;
mod orders;
mod ses;
mod story;
mod support;
