//! The worker over its ports: one program, since each more of them costs its time to build.

mod again;
mod batch;
