//! Product events: who uses what is paid for, how much, and when.

pub mod said;
