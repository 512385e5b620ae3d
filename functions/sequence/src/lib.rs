//! Enrols contacts in sequences, and tells the steps that are due.
//!
//! It has two inputs: its queue, with the events of the bus, and the minute. What they come to is
//! the engine's (`paygraph_engine::sequence`). It sends nothing by itself: a step is the event
//! `sequence_step_due`, for whoever owns its channel.

pub mod handler;
