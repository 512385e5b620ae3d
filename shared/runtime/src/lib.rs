//! What every function shares: configuration, secrets, telemetry, clock, AWS clients.
//!
//! This is where the outside of the process is read: the environment ([`config::environment`]),
//! the wall clock ([`clock::SystemClock`]), the secrets ([`secrets`]). Nothing here knows what a
//! customer or an event is.
#[cfg(feature = "aws")]
pub mod aws;
pub mod clock;
pub mod config;
#[cfg(feature = "http")]
pub mod http;
pub mod pace;
pub mod secrets;
pub mod telemetry;
