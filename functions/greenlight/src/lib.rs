//! Tells every billing transition in GreenLight's convention: a coded line, and a message on NATS.
//!
//! The form is a third party's: `[CODES] action: entity — message`. An event of the bus is a hint;
//! whose it is is read from the contact as it is now. Once a day the figures of the day before are
//! told in the same way.

pub mod daily;
pub mod failed;
pub mod handler;
pub mod input;
pub mod line;
pub mod log;
pub mod message;
pub mod nats;
pub mod state;
pub mod subject;
pub mod told;
pub mod webhook;
pub mod whom;
pub mod wiring;
