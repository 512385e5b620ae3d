//! Enrols contacts in sequences, and tells the steps that are due.
//!
//! It has two inputs: its queue, with the events of the bus, and the minute. What they come to is
//! the engine's (`paygraph_engine::sequence`). A step is the event `sequence_step_due`, for whoever
//! owns its channel; those that go by e-mail come back to its queue, and it sends them by SES
//! (`paygraph_engine::email`).

pub mod feedback;
pub mod handler;
pub mod ses;
mod tenant_tag;
pub mod wiring;
