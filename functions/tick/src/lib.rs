//! Runs every minute: finishes the publishing that a crash left behind.
