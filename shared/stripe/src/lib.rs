//! Stripe's side: webhook signature, event envelope, tolerant wire types, and the decoding into domain facts.
#[cfg(feature = "client")]
pub mod client;
pub mod decode;
pub mod envelope;
pub mod event;
pub mod event_types;
pub mod fingerprint;
pub mod ingest;
pub mod signature;
mod wire;
