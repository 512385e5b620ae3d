//! The wall clock, read in this one place.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a handler takes the time from.
pub trait Clock {
    /// Unix seconds.
    fn now(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds)
            }
        }
    }
}

impl SystemClock {
    /// How long there is until a deadline, which is in Unix milliseconds as Lambda gives it.
    #[must_use]
    pub fn left(self, deadline: u64) -> Duration {
        let until = i64::try_from(deadline / 1000).unwrap_or(i64::MAX);
        Duration::from_secs(u64::try_from(until.saturating_sub(self.now())).unwrap_or(0))
    }
}

/// The time of the machine's clock, in Unix seconds.
#[must_use]
pub fn now() -> i64 {
    SystemClock.now()
}

/// A closure is a clock: a test sets the time with it.
impl<F: Fn() -> i64> Clock for F {
    fn now(&self) -> i64 {
        self()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_tells_unix_seconds() {
        assert!(SystemClock.now() > 1_700_000_000);
        assert_eq!((|| 7).now(), 7);
    }

    #[test]
    fn a_deadline_that_is_over_leaves_nothing() {
        let now = u64::try_from(SystemClock.now()).unwrap();
        assert_eq!(SystemClock.left((now - 1) * 1000), Duration::ZERO);
        let left = SystemClock.left((now + 60) * 1000);
        assert!((58..=60).contains(&left.as_secs()), "{left:?}");
    }
}
