//! Stripe's side: one program, since each more of them costs its time to build.

mod arbitrary;
#[cfg(feature = "client")]
mod client;
mod invocations;
mod legacy;
mod mrr;
mod mrr_settings;
mod shapes;
mod wire;
