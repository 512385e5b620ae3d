//! The read API over the customer records.
