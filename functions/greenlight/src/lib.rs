//! Writes every billing transition as a coded line.
//!
//! The line's form is a third party's: `[CODES] action: entity — message`. An event of the bus is
//! a hint; whose it is is read from the contact as it is now.

pub mod handler;
pub mod line;
