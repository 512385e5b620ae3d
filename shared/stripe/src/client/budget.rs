//! How often Stripe may be asked: one budget per Stripe account, so that the tenant's own calls
//! never meet a limit that ours have used up.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

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

/// Gives turns, evenly spaced: what was not used is not saved up.
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
    endpoints: BTreeMap<String, Instant>,
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
        tokio::time::sleep_until(self.take(endpoint, Instant::now())).await;
    }

    fn take(&self, endpoint: &str, now: Instant) -> Instant {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let endpoints = turns.endpoints.get(endpoint).copied();
        let at = [turns.next, endpoints].into_iter().flatten().max();
        let at = at.map_or(now, |next| next.max(now));
        turns.next = Some(at + self.apart);
        let next = at + self.apart_per_endpoint;
        turns.endpoints.insert(endpoint.to_owned(), next);
        at
    }

    /// Lets nobody have a turn for so long.
    pub(super) fn hold(&self, wait: Duration) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.next = turns.next.max(Some(Instant::now() + wait));
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
    use super::*;

    #[test]
    fn n17_no_second_has_more_than_our_share() {
        let budget = Budget::new(Limits::default());
        let now = Instant::now();
        let mut turns: Vec<Instant> = Vec::new();
        for n in 0..200 {
            let endpoint = ["/customers", "/invoices", "/subscriptions"][n % 3];
            turns.push(budget.take(endpoint, now));
        }
        turns.sort();
        for (n, turn) in turns.iter().enumerate() {
            let second = turns[n..]
                .iter()
                .take_while(|at| **at - *turn < Duration::from_secs(1));
            assert!(second.count() <= 40);
        }
        // Three kinds of 10 a second each: all are asked for within their share, and not slower.
        let took = turns[turns.len() - 1] - now;
        assert!(took < Duration::from_secs(7), "{took:?}");
    }

    #[test]
    fn n17_one_kind_has_its_own_limit() {
        let budget = Budget::new(Limits {
            share: 100,
            ..Limits::default()
        });
        let now = Instant::now();
        let turns: Vec<_> = (0..100).map(|_| budget.take("/customers", now)).collect();
        for window in turns.windows(26) {
            assert!(window[25] - window[0] > Duration::from_secs(1));
        }
        assert!(turns[99] - now < Duration::from_millis(4_100));
    }
}
