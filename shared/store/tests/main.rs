//! The requests to DynamoDB, and what its answers mean: one program, since each more of them costs its time to build.

mod adapter;
mod alerts;
mod analytics;
mod bursts;
mod common;
mod connection;
mod effects;
mod enrolments;
mod items;
mod listing;
mod settings;
mod shows;
mod users;
