//! The read API over the customer records, the changes of who is who, and connecting to Stripe.
//!
//! Only connecting waits for Stripe: every other answer is from the table. Every request carries a
//! token that names its tenant, and a tenant sees only its own; who comes back from Stripe carries
//! a signed state instead, and who wants no more e-mails the token of the one that they got.

pub mod alerts;
pub mod answer;
pub mod connect;
pub mod customer;
pub mod customers;
pub mod health;
pub mod links;
mod page;
pub mod router;
pub mod runs;
pub mod segments;
pub mod signals;
mod unsubscribe;
pub mod wiring;
