//! For tests only: an invented Stripe, its signer, servers that answer as others do, a table in memory, and
//! golden files.

#[cfg(feature = "fake-attio")]
pub mod fake_attio;
#[cfg(feature = "fake-stripe")]
pub mod fake_stripe;
pub mod golden;
pub mod history;
#[cfg(feature = "nats-server")]
pub mod nats;
pub mod reports;
pub mod signer;
pub mod table;
pub mod world;
