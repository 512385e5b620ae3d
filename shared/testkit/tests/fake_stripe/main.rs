//! The fake Stripe behaves as Stripe says that Stripe does.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod access;
mod asking;
mod breaking;
mod contract;
mod histories;
mod lists;
mod shown;
mod webhooks;
mod worlds;
