//! Stripe's side: webhook signature, event envelope, tolerant wire types, and the decoding into domain facts.
pub mod decode;
pub mod event;
pub mod fingerprint;
mod wire;
