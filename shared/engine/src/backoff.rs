//! Waiting between attempts, until shortly before the deadline.

use std::time::Duration;

use tokio::time::Instant;

/// How long before the deadline the last attempt must begin.
const RESERVE: Duration = Duration::from_secs(5);
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// The instant at which the work must be done or given back.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline so long from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The deadline of one piece of the work: its attempts end after `time`, or with the whole.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self(self.0.min(Instant::now() + time + RESERVE))
    }

    /// Whether there is still time to begin another attempt.
    #[must_use]
    pub fn has_time(self) -> bool {
        self.has_time_for(Duration::ZERO)
    }

    /// Whether there is still time for another attempt after something that takes so long.
    #[must_use]
    pub fn has_time_for(self, time: Duration) -> bool {
        Instant::now() + time + RESERVE < self.0
    }
}

/// Waits a random time, up to twice as long after each attempt. (Full jitter: many workers on one
/// contact must not come back together.)
pub async fn pause(attempt: u32) {
    let most = FIRST
        .saturating_mul(2_u32.saturating_pow(attempt.min(10)))
        .min(LONGEST);
    let millis = u64::try_from(most.as_millis()).unwrap_or(1000).max(1);
    let random = getrandom::u64().unwrap_or(millis / 2);
    tokio::time::sleep(Duration::from_millis(random % millis + 1)).await;
}
