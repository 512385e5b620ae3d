//! For tests only: an invented Stripe, its signer, and a server that answers as it does.

#[cfg(feature = "fake-attio")]
pub mod fake_attio;
#[cfg(feature = "fake-stripe")]
pub mod fake_stripe;
#[cfg(feature = "nats-server")]
pub mod nats;
pub mod signer;
pub mod world;
