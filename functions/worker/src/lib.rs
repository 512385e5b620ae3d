//! Takes events from the ingest queue through the engine.
//!
//! One bad message never fails a batch: each has its own result. The messages of one Stripe
//! customer are taken in the order of `created`, those of different ones side by side. What cannot
//! be read goes to the dead letters at once, with its reason; what may succeed later is given back.

pub mod batch;
mod message;
mod product;
pub mod wiring;
