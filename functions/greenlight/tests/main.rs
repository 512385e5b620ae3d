//! GreenLight's lines: one program, since each more of them costs its time to build.

mod handled;
mod stories;
