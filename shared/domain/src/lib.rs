//! The pure core: what a Stripe event means for a customer. No I/O, no clock, no async.
