//! How often Stripe may be asked: one budget per Stripe account, so that the tenant's own calls
//! never meet a limit that ours have used up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Queue;
use tokio::time::{Instant, sleep_until};

/// Stripe's limits, and our share of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second to one kind of object.
    pub per_endpoint: u32,
    /// Requests a second in all.
    pub overall: u32,
    /// How much of that is ours, in percent.
    pub share: u32,
}

impl Default for Limits {
    /// Stripe's limits for live accounts, and 40 % of them.
    fn default() -> Self {
        Self {
            per_endpoint: 25,
            overall: 100,
            share: 40,
        }
    }
}

/// Gives turns, evenly spaced: what was not used is not saved up. Who waits for one kind of object
/// keeps nobody from another.
#[derive(Debug)]
pub struct Budget {
    /// How far apart two requests are.
    apart: Duration,
    /// How far apart two requests to the same kind of object are.
    apart_per_endpoint: Duration,
    turns: Mutex<Turns>,
}

#[derive(Debug, Default)]
struct Turns {
    next: Option<Instant>,
    /// Who waits for a kind of object, in order, and when the next one may ask.
    endpoints: BTreeMap<String, Arc<Queue<Option<Instant>>>>,
}

impl Budget {
    /// A budget.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            apart: apart(limits.overall, limits.share),
            apart_per_endpoint: apart(limits.per_endpoint, limits.share),
            turns: Mutex::default(),
        }
    }

    /// Waits until this kind of object may be asked for.
    pub(super) async fn turn(&self, endpoint: &str) {
        let queue = self.queue(endpoint);
        let mut next = queue.lock().await;
        let due = next.map_or_else(Instant::now, |next| next.max(Instant::now()));
        sleep_until(due).await;
        // Only now, so that the others' turns are not kept for it.
        let at = self.take(due);
        *next = Some(at + self.apart_per_endpoint);
        sleep_until(at).await;
    }

    fn take(&self, due: Instant) -> Instant {
        let mut turns = self.lock();
        let at = turns.next.map_or(due, |next| next.max(due));
        turns.next = Some(at + self.apart);
        at
    }

    fn queue(&self, endpoint: &str) -> Arc<Queue<Option<Instant>>> {
        let mut turns = self.lock();
        let queue = turns.endpoints.entry(endpoint.to_owned());
        Arc::clone(queue.or_default())
    }

    /// Lets nobody have a turn for so long.
    pub(super) fn hold(&self, wait: Duration) {
        let mut turns = self.lock();
        turns.next = turns.next.max(Some(Instant::now() + wait));
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A little more than the limit asks for: two requests that were a whole turn apart when they left
/// may be closer when they arrive.
fn apart(per_second: u32, share: u32) -> Duration {
    let per_hundred_seconds = per_second.saturating_mul(share).max(1);
    Duration::from_millis(102_000) / per_hundred_seconds
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    /// When each of these was asked for, by kind, if all were wanted at once.
    async fn turns(
        share: u32,
        endpoints: impl Iterator<Item = &'static str>,
    ) -> Vec<(&'static str, Duration)> {
        let limits = Limits {
            share,
            ..Limits::default()
        };
        let (budget, begun) = (&Budget::new(limits), Instant::now());
        let each = endpoints.map(|endpoint| async move {
            budget.turn(endpoint).await;
            (endpoint, begun.elapsed())
        });
        let mut turns = join_all(each).await;
        turns.sort_by_key(|(_, at)| *at);
        turns
    }

    const KINDS: [&str; 3] = ["/customers", "/invoices", "/subscriptions"];

    #[tokio::test(start_paused = true)]
    async fn n17_no_second_has_more_than_our_share() {
        let turns = turns(40, KINDS.into_iter().cycle().take(200)).await;
        for window in turns.windows(41) {
            assert!(window[40].1 - window[0].1 > Duration::from_secs(1));
        }
        // Three kinds of 10 a second each: all are asked for within their share, and not slower.
        let took = turns[turns.len() - 1].1;
        assert!(took < Duration::from_secs(7), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn n17_one_kind_has_its_own_limit() {
        let turns = turns(100, std::iter::repeat_n("/customers", 100)).await;
        for window in turns.windows(26) {
            assert!(window[25].1 - window[0].1 > Duration::from_secs(1));
        }
        assert!(turns[99].1 < Duration::from_millis(4_200));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_one_kind_keeps_nobody_from_another() {
        let each = KINDS.into_iter().flat_map(|kind| [kind; 50]);
        let turns = turns(100, each).await;
        let took = turns[turns.len() - 1].1;
        assert!(took < Duration::from_millis(2_200), "{took:?}");
    }
}
