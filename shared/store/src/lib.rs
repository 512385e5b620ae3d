//! DynamoDB: keys, items, transactions. One table; the tenant is in every key.
//!
//! This crate knows how things are written down and what makes a write conditional. What is
//! written, and when, is the engine's.

mod cache;
mod commit;
mod item;
pub mod key;
pub mod listing;
pub mod read;
mod runs;
pub mod settings;
mod store;
pub mod token;

pub use store::DynamoStore;
