//! The comparison with the truth of the simulated Stripe, as the engine's tests have it.

#[path = "../../shared/engine/tests/model/contact.rs"]
mod contact;
#[path = "../../shared/engine/tests/model/truth.rs"]
pub mod truth;
