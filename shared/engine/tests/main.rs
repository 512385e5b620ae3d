//! The engine over a store in memory: one program, since each more of them costs half a minute to build.

mod analytics;
#[cfg(feature = "stripe-api")]
mod asked;
mod awaited;
mod bounds;
mod bus_events;
mod common;
#[cfg(feature = "stripe-api")]
mod connect;
mod contacted;
mod fetching;
mod guests;
mod histories;
mod identity;
mod isolated;
mod lifecycle;
mod limits;
mod model;
mod product;
mod reevaluate;
#[cfg(feature = "stripe-api")]
mod runs;
mod schemas;
#[cfg(feature = "stripe-api")]
mod shapes;
#[cfg(feature = "stripe-api")]
mod stripe_api;
mod time;
#[cfg(feature = "stripe-api")]
mod watch;
