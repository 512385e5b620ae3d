//! The `paygraph` command.
fn main() {}
