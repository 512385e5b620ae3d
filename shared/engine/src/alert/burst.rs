//! Bursts: many alerts of one kind within a minute become one message.
//!
//! The first [`SINGLE_MESSAGES`] alerts of a minute have a message each. The others join the burst's
//! digest: one message with their number, after the minute. A tenant's channel with a limit also has
//! seconds, of which each carries one message.

use std::future::Future;

use paygraph_domain::alert::{AlertId, Channel, Kind};
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;

use crate::ports::StoreError;

/// How many alerts of a burst have a message of their own.
pub const SINGLE_MESSAGES: usize = 20;
/// How long a burst lasts, in seconds.
const BURST_SECONDS: i64 = 60;

/// The alerts of one kind that were raised within one minute, as one channel hears of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Burst {
    /// Where they are sent.
    pub channel: Channel,
    /// Their kind.
    pub kind: Kind,
    /// The beginning of the minute, by our clock.
    pub begins_at: Timestamp,
}

impl Burst {
    /// The burst of an alert of this kind that was raised then.
    #[must_use]
    pub fn of(channel: Channel, kind: Kind, raised_at: Timestamp) -> Self {
        let into_minute = raised_at.unix().rem_euclid(BURST_SECONDS);
        Self {
            channel,
            kind,
            begins_at: raised_at.plus(-into_minute),
        }
    }

    /// When its digest may be sent: no further alert joins it from then on.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.begins_at.plus(BURST_SECONDS)
    }

    /// Its name in keys: `{channel}#{kind}#{Unix seconds}`.
    #[must_use]
    pub fn name(&self) -> String {
        let (channel, kind) = (self.channel.as_str(), self.kind.as_str());
        format!("{channel}#{kind}#{}", self.begins_at.unix())
    }
}

/// How an alert of a burst is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BurstShare {
    /// By a message of its own.
    Single,
    /// Together with others, by the digest.
    Digest,
}

/// Where bursts and the seconds of channels are kept.
pub trait AlertBursts: Sync {
    /// Adds an alert to its burst. Adding it again gives the same answer. An alert that comes after
    /// the digest was closed has a message of its own.
    fn join_burst(
        &self,
        tenant: &TenantId,
        burst: &Burst,
        alert: &AlertId,
    ) -> impl Future<Output = Result<BurstShare, StoreError>> + Send;

    /// Closes a burst's digest and counts the alerts in it. Closing it again gives the same count.
    fn close_burst(
        &self,
        tenant: &TenantId,
        burst: &Burst,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Reserves a channel's next free second, if that is `latest` or earlier. No two callers get the
    /// same second.
    fn reserve_second(
        &self,
        tenant: &TenantId,
        channel: Channel,
        now: Timestamp,
        latest: Timestamp,
    ) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send;

    /// Leaves a channel alone until an instant: nobody gets an earlier second.
    fn hold_channel(
        &self,
        tenant: &TenantId,
        channel: Channel,
        until: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a10_alerts_of_one_minute_are_one_burst() {
        let at = |seconds: i64| Timestamp::from_unix(1_790_000_040 + seconds).unwrap();
        let burst = |seconds| Burst::of(Channel::Slack, Kind::Dispute, at(seconds));
        assert_eq!(burst(0), burst(59));
        assert_ne!(burst(0), burst(60));
        assert_ne!(burst(0), burst(-1));
        assert_eq!(burst(59).ends_at(), at(60));
        assert_eq!(burst(7).name(), "slack#dispute#1790000040");
    }
}
