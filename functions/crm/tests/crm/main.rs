//! The target over a store in memory, with a stand-in for Attio.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

mod board;
mod conflict;
mod golden;
mod many;
mod orders;
mod stories;
mod support;
mod trouble;
