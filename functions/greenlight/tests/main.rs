//! GreenLight: one program, since each more of them costs its time to build.

mod daily;
mod golden;
mod handled;
mod nats;
mod stories;
mod support;
mod webhooks;
