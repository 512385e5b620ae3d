//! Logs: one JSON object a line on standard output, which Lambda hands to CloudWatch.
//!
//! An event's own fields stand under `fields`, the message included: the metric filters of the
//! template read `$.fields.code`. GreenLight's lines come through the target [`GREENLIGHT`].

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// The target of GreenLight's coded lines.
pub const GREENLIGHT: &str = "greenlight";

/// A filter's text is not `level` or `target=level`, joined by commas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log filter must be a level or target=level, joined by commas")]
pub struct InvalidFilter;

/// What is logged.
#[derive(Debug, Clone)]
pub struct LogFilter(Targets);

impl LogFilter {
    /// Reads a level (`info`), or levels by target (`info,paygraph_webhook=debug`). What it does
    /// not name is as [`LogFilter::default`].
    ///
    /// # Errors
    /// [`InvalidFilter`].
    pub fn parse(text: &str) -> Result<Self, InvalidFilter> {
        let wanted = Targets::from_str(text).map_err(|_| InvalidFilter)?;
        let Self(mut targets) = Self::default();
        if let Some(level) = wanted.default_level() {
            targets = targets.with_default(level);
        }
        for (target, level) in &wanted {
            targets = targets.with_target(target, level);
        }
        Ok(Self(targets))
    }
}

impl Default for LogFilter {
    /// Everything from `info`, GreenLight's lines at any level of the rest, and of the libraries
    /// only what they warn of.
    fn default() -> Self {
        Self(
            Targets::new()
                .with_default(LevelFilter::INFO)
                .with_target(GREENLIGHT, LevelFilter::INFO)
                .with_targets(["aws_", "h2", "hyper", "rustls"].map(|t| (t, LevelFilter::WARN))),
        )
    }
}

/// Logs to standard output from now on, panics included. A second call changes nothing.
pub fn init(filter: LogFilter) {
    if tracing::subscriber::set_global_default(subscriber(filter, std::io::stdout)).is_err() {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let location = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(code = "panic", location, "The function panicked.");
    }));
}

/// What [`init`] installs, with another writer.
pub fn subscriber<W>(filter: LogFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer)
        .with_filter(filter.0);
    tracing_subscriber::registry().with(lines)
}

/// An error and what caused it, in one line: `the call failed: no connection: refused`.
///
/// ```
/// let error = std::io::Error::other("refused");
/// assert_eq!(paygraph_runtime::telemetry::Chain(&error).to_string(), "refused");
/// ```
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "telemetry_tests.rs"]
mod tests;
