//! One message a second for a place with a limit, over all functions that run.

use std::time::Duration;

use paygraph_domain::alert::Channel;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::Clock;
use paygraph_runtime::telemetry::Chain;
use tokio::time::{Instant, sleep};

use crate::handler::{Table, Taking, Target};
use crate::tell::{Tell, TellError, Told};

/// The wait before a second attempt where the place names none; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest of these.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl<S: Table, C: Clock, A: Tell, B: Tell> Target<S, C, A, B> {
    /// Makes attempts, each in a second that it has reserved, until one is final or the time is over.
    ///
    /// If the place asks to be left alone, no other function sends to it meanwhile either.
    pub(crate) async fn tell_at_pace(
        &self,
        taking: &Taking<'_>,
        channel: Channel,
        attempt: impl AsyncFn() -> Result<Told, TellError>,
    ) -> Result<Told, TellError> {
        let mut wait = FIRST_WAIT;
        loop {
            self.wait_for_second(taking, channel).await?;
            let error = match attempt().await {
                Err(error @ (TellError::Again(_) | TellError::Limited(..))) => error,
                done => return done,
            };
            if let TellError::Limited(asked, _) = &error {
                self.leave_alone(taking, channel, *asked).await?;
                if Instant::now() + *asked >= taking.until {
                    return Err(error);
                }
                // The next second that is free comes after this wait.
                continue;
            }
            if Instant::now() + wait >= taking.until {
                return Err(error);
            }
            sleep(wait).await;
            wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        }
    }

    /// Waits for a second in which nobody else sends to the place.
    async fn wait_for_second(
        &self,
        taking: &Taking<'_>,
        channel: Channel,
    ) -> Result<(), TellError> {
        let tenant = &taking.event.detail.tenant;
        let left = taking.until.saturating_duration_since(Instant::now());
        let (now, left) = (self.clock.now(), seconds(left));
        let reserved = self
            .store
            .reserve_second(tenant, channel, now, now.plus(left));
        let reserved = reserved
            .await
            .map_err(|error| TellError::Again(Chain(&error).to_string()))?;
        let Some(second) = reserved else {
            let reason = format!("{} has no free second in time", channel.as_str());
            return Err(TellError::Again(reason));
        };
        sleep(Duration::from_secs(until(now, second))).await;
        Ok(())
    }

    async fn leave_alone(
        &self,
        taking: &Taking<'_>,
        channel: Channel,
        wait: Duration,
    ) -> Result<(), TellError> {
        let tenant = &taking.event.detail.tenant;
        // A part of a second counts as a whole one.
        let until = self
            .clock
            .now()
            .plus(seconds(wait).saturating_add(i64::from(wait.subsec_nanos() > 0)));
        let held = self.store.hold_channel(tenant, channel, until).await;
        held.map_err(|error| TellError::Again(Chain(&error).to_string()))
    }
}

/// Whole seconds.
fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// The seconds from one instant to another; none where that is past.
fn until(now: Timestamp, then: Timestamp) -> u64 {
    u64::try_from(then.unix().saturating_sub(now.unix())).unwrap_or(0)
}
