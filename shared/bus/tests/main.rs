//! What is sent, and what is received: one program, since each more of them costs its time to build.

mod batch;
mod put_events;
