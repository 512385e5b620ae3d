//! The webhook's handler against a queue, a store of secrets and a clock in memory.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]
mod messages;
mod payloads;
mod support;
mod tenants;
mod track;
