//! DynamoDB: keys, items, transactions. One table; the tenant is in every key
//! but those that say whose a Stripe account is.
//!
//! This crate knows how things are written down and what makes a write conditional. What is
//! written, and when, is the engine's.

pub mod alerts;
mod analytics;
mod bursts;
mod cache;
mod commit;
mod connection;
mod effects;
mod emails;
mod enrolments;
mod item;
pub mod key;
pub mod listing;
pub mod read;
mod runs;
pub mod settings;
mod shows;
mod store;
pub mod token;
mod users;
mod watches;

pub use store::DynamoStore;
