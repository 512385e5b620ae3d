//! Receives Stripe's webhooks, and product events from Segment: verify, queue, answer.
//!
//! The one function that strangers can call. It reads as little as it can: whose secret signed the
//! bytes, and the event's envelope. What the event means is the worker's part; here it is only
//! handed on, with the tenant that was verified. Stripe hears 200 once the queue has the event,
//! 400 when it was not Stripe, and 5xx when it should try again.
pub mod gateway;
pub mod handler;
pub mod queue;
pub mod refusal;
pub mod route;
pub mod scope;
pub mod track;
pub mod wiring;
