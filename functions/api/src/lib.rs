//! The read API over the customer records, and `PUT /api/customers/{id}`.
//!
//! It reads the table and nothing else: no answer waits for Stripe. Every request carries a token
//! that names its tenant, and a tenant sees only its own.

pub mod answer;
pub mod customer;
pub mod customers;
pub mod health;
pub mod links;
pub mod router;
pub mod runs;
pub mod segments;
pub mod signals;
