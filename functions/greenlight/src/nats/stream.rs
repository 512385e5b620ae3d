//! The stream that keeps the messages, and for how long it drops repeats.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{Context, ErrorCode};

use super::{PublishError, failed};

/// For how long the stream is to drop repeats: longer than a queue delivers again, and longer than a
/// publication that was left behind takes to arrive.
const WANTED_WINDOW: Duration = Duration::from_hours(24);
/// Within a shorter window the queue may deliver a message again: it does so for half an hour.
const REDELIVERED_FOR: Duration = Duration::from_mins(30);

/// Makes the stream if there is none; an existing one stays as it is.
///
/// A server may limit the window (`jetstream.limits.duplicate_window`). It then refuses a longer one
/// with error 10052 and names its limit: "duplicates window can not be larger then server limit of
/// 1h0m0s" (<https://github.com/nats-io/nats-server/blob/main/server/stream.go>, `checkStreamCfg`).
/// The stream gets that limit. If the server's words are others, it gets the server's own default,
/// which is within the limit.
pub(super) async fn ensure(context: &Context, name: String) -> Result<(), PublishError> {
    let mut config = Config {
        name,
        subjects: vec!["greenlight.>".to_owned()],
        duplicate_window: WANTED_WINDOW,
        ..Config::default()
    };
    let Err(refused) = context.get_or_create_stream(config.clone()).await else {
        return Ok(());
    };
    let Some(limit) = limit_of(&refused) else {
        return Err(failed("cannot make the stream")(refused.into()));
    };
    config.duplicate_window = limit;
    let made = context.get_or_create_stream(config).await;
    let made = made.map_err(|error| failed("cannot make the stream")(error.into()))?;
    log_window(made.cached_info().config.duplicate_window);
    Ok(())
}

/// The window that the server allows, if it has refused a longer one; none is its own default.
fn limit_of(error: &CreateStreamError) -> Option<Duration> {
    let CreateStreamErrorKind::JetStream(refusal) = error.kind() else {
        return None;
    };
    let is_limit = refusal.error_code() == ErrorCode::STREAM_INVALID_CONFIG;
    is_limit.then(|| named_limit(&refusal.to_string()).unwrap_or_default())
}

fn log_window(window: Duration) {
    let (seconds, wanted_seconds) = (window.as_secs(), WANTED_WINDOW.as_secs());
    if window < REDELIVERED_FOR {
        tracing::warn!(
            code = "duplicate_window_short",
            window_seconds = seconds,
            wanted_seconds,
            "The NATS server allows a duplicate window shorter than the queue's redeliveries: a message may be in the stream twice"
        );
    } else {
        tracing::info!(
            code = "duplicate_window_limited",
            window_seconds = seconds,
            wanted_seconds,
            "The stream has the longest duplicate window that the NATS server allows"
        );
    }
}

/// The limit that a refusal names.
fn named_limit(refusal: &str) -> Option<Duration> {
    let (_, after) = refusal.split_once("server limit of ")?;
    go_duration(after.split_whitespace().next()?)
}

/// Reads a duration as Go writes whole seconds and more: `36h0m0s`, `1m30s`, `45s`. Parts of a second
/// are cut off. <https://pkg.go.dev/time#Duration.String>
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        if after.starts_with("ms") {
            // Nothing whole is left.
            return Some(total);
        }
        let (seconds, after) = match after.split_at_checked(1)? {
            ("h", after) => (3_600, after),
            ("m", after) => (60, after),
            ("s", after) => (1, after),
            _ => return None,
        };
        let whole: u64 = number.split('.').next()?.parse().ok()?;
        total = total.checked_add(Duration::from_secs(whole.checked_mul(seconds)?))?;
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a11_the_limit_is_read_from_the_refusal() {
        let refusal = "duplicates window can not be larger then server limit of 1h30m0s (code 500, error code 10052)";
        assert_eq!(named_limit(refusal), Some(Duration::from_secs(5_400)));
        assert_eq!(named_limit("max age needs to be >= 100ms"), None);
        for (text, seconds) in [
            ("36h0m0s", 129_600),
            ("1m0s", 60),
            ("45s", 45),
            ("1.5s", 1),
            ("500ms", 0),
        ] {
            assert_eq!(
                go_duration(text),
                Some(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        for text in ["x", "1", "99999999999999999999h", "1d"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }
}
