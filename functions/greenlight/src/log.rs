//! The function's log, in which the lines stand as plain text.

use std::io::{self, Write};

/// Where lines are written.
pub trait Log {
    /// Writes a line.
    ///
    /// # Errors
    /// When the log does not take it.
    fn write(&self, line: &str) -> io::Result<()>;
}

/// Standard output, which Lambda takes to the function's log group.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stdout;

impl Log for Stdout {
    fn write(&self, line: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    }
}
