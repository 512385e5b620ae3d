//! End to end on the local stack: production binaries, production template, real queue, table and
//! bus. One file per chapter of the catalogue of failures.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod access;
mod connect;
mod duplicates;
mod emails;
mod histories;
mod identity;
mod infrastructure;
mod model;
mod payloads;
mod product_events;
mod reports;
mod runs;
mod standing;
mod targets;
mod truths;
