//! The pure core of paygraph: what a Stripe event means for a customer.
//!
//! Values in, values out. There is no I/O here, no clock, no environment and no async: time is an
//! argument, and every function is total and deterministic. The shell around it is in
//! `paygraph-engine`.

pub mod account;
pub mod alert;
pub mod analytics;
pub mod apply;
pub mod audit;
pub mod collection;
pub mod condition;
pub mod contact;
pub mod crm;
pub mod decline;
pub mod drift;
pub mod email;
pub mod event;
pub mod fact;
pub mod id;
pub mod identity;
pub mod money;
pub mod mrr;
pub mod objects;
pub mod order;
pub mod pattern;
pub mod payments;
pub mod product;
pub mod risk;
pub mod rollup;
pub mod segments;
pub mod sequence;
pub mod settings;
pub mod standing;
pub mod text;
pub mod time;
pub mod totals;
pub mod user;
pub mod view;
