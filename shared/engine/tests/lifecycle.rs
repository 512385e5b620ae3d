//! The lives of customers, row by row of docs/FAILURES.md: what their record shows, and what is
//! told, once.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

mod changes;
mod disputes;
mod money;
mod order;
mod payments;
mod purchases;
mod story;
mod subscriptions;
mod trials;
