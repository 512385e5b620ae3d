//! The target over a store in memory, with a stand-in for Slack.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

mod bursts;
mod golden;
mod orders;
mod places;
mod sns;
mod stories;
mod support;
mod tenants;
