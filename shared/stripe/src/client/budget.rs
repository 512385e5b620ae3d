//! How often Stripe may be asked: one budget per Stripe account, so that the tenant's own calls
//! never meet a limit that ours have used up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paygraph_runtime::pace::{Line, MAX_HOLD, Window};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

/// Stripe's limits, and our share of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second to one kind of object.
    pub per_endpoint: u32,
    /// Requests a second in all, with a key of live mode.
    pub overall: u32,
    /// Requests a second in all, with a key of test mode.
    pub test_overall: u32,
    /// How much of that is ours, in percent.
    pub share: u32,
}

impl Default for Limits {
    /// Stripe's limits, and 40 % of them. (<https://docs.stripe.com/rate-limits>)
    fn default() -> Self {
        Self {
            per_endpoint: 25,
            overall: 100,
            test_overall: 25,
            share: 40,
        }
    }
}

impl Limits {
    /// The limits of a key's mode: those of test mode for `sk_test_…` and `rk_test_…`, which Stripe
    /// allows less in all.
    #[must_use]
    pub fn of_key(self, key: &SecretString) -> Self {
        let (_, mode) = key.expose_secret().split_once('_').unwrap_or_default();
        if mode.starts_with("test_") {
            let overall = self.test_overall;
            Self { overall, ..self }
        } else {
            self
        }
    }
}

/// The kinds of objects that accounts have most of. Each has a line of its own, so that the longest list is
/// read at full speed from the beginning. All other kinds share one line, with the limit of one kind.
const MANY: [&str; 3] = ["/invoices", "/charges", "/customers"];

/// How long whoever cannot wait leaves a Stripe alone that did not answer.
const SILENCE: Duration = Duration::from_secs(30);

/// Gives turns. Who waits for one kind of object keeps nobody from another.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    /// Who waits for a kind of object.
    endpoints: Mutex<BTreeMap<&'static str, Arc<Line>>>,
    /// Who waits for any.
    overall: Line,
    /// Nobody asks before.
    held: Mutex<Option<Instant>>,
    /// Until when nobody asks who cannot wait: it did not answer a moment ago.
    silent: Mutex<Option<Instant>>,
}

/// A turn that was given.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    budget: &'a Budget,
    of_kind: Arc<Line>,
    at: Instant,
}

impl Turn<'_> {
    /// Notes how long it took until an answer's headers came. A long body says nothing about when
    /// the request arrived.
    pub fn answered(self, took: Duration) {
        for line in [&self.of_kind, &self.budget.overall] {
            line.window().answered(self.at, took);
        }
    }
}

impl Budget {
    /// A budget.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            endpoints: Mutex::default(),
            overall: Line::new(Window::new(limits.overall, limits.share)),
            held: Mutex::default(),
            silent: Mutex::default(),
        }
    }

    /// A budget of a part of all requests: of a fifth, say, for `parts` = 5.
    pub(super) fn part(&self, parts: u32) -> Self {
        Self::new(Limits {
            overall: (self.limits.overall / parts.max(1)).max(1),
            ..self.limits
        })
    }

    /// Waits until this kind of object may be asked for.
    pub(super) async fn turn(&self, endpoint: &str) -> Turn<'_> {
        let of_kind = self.line(endpoint);
        let first = of_kind.first(|| None).await;
        // Only now, so that the others' turns are not kept for it.
        let _first_of_all = self.overall.first(|| *locked(&self.held)).await;
        let at = Instant::now();
        for line in [&*of_kind, &self.overall] {
            line.window().note(at);
        }
        drop(first);
        Turn {
            budget: self,
            of_kind,
            at,
        }
    }

    fn line(&self, endpoint: &str) -> Arc<Line> {
        let kind = MANY.iter().find(|many| **many == endpoint);
        let kind = kind.copied().unwrap_or("what there is little of");
        let mut endpoints = locked(&self.endpoints);
        let line = endpoints.entry(kind).or_insert_with(|| {
            let window = Window::new(self.limits.per_endpoint, self.limits.share);
            Arc::new(Line::new(window))
        });
        Arc::clone(line)
    }

    /// Gives nobody a turn for `wait`, at most [`MAX_HOLD`].
    pub(super) fn hold(&self, wait: Duration) {
        let mut held = locked(&self.held);
        *held = (*held).max(Some(Instant::now() + wait.min(MAX_HOLD)));
    }

    /// Notes that somebody's patience is over, or that an answer has come.
    pub(super) fn note(&self, answered: bool) {
        *locked(&self.silent) = (!answered).then(|| Instant::now() + SILENCE);
    }

    /// Whether somebody's patience is over, and no answer has come since.
    pub(super) fn is_silent(&self) -> bool {
        (*locked(&self.silent)).is_some_and(|until| Instant::now() < until)
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
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
        turns_of(limits, endpoints).await
    }

    async fn turns_of(
        limits: Limits,
        endpoints: impl Iterator<Item = &'static str>,
    ) -> Vec<(&'static str, Duration)> {
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

    /// A6: a key of test mode is given less in all, and a kind of object no more than that.
    #[tokio::test(start_paused = true)]
    async fn a6_no_second_has_more_than_test_mode_allows() {
        for (key, most) in [
            ("sk_test_1", 25),
            ("rk_test_1", 25),
            ("sk_live_1", 100),
            ("rk_live_1", 100),
            ("odd", 100),
        ] {
            let limits = Limits {
                share: 100,
                ..Limits::default()
            };
            let limits = limits.of_key(&SecretString::from(key));
            assert_eq!(limits.overall, most, "{key}");
        }
        let limits = Limits {
            share: 100,
            ..Limits::default()
        };
        let limits = limits.of_key(&SecretString::from("rk_test_1"));
        let kinds = KINDS.into_iter().cycle().take(150);
        let turns = turns_of(limits, kinds).await;
        for window in turns.windows(26) {
            assert!(window[25].1 - window[0].1 > Duration::from_secs(1));
        }
        // And nothing of that is wasted.
        let took = turns[turns.len() - 1].1;
        assert!(took < Duration::from_millis(6_500), "{took:?}");
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

    #[tokio::test(start_paused = true)]
    async fn what_takes_longest_is_not_held_up_by_what_is_soon_done() {
        let few = ["/a", "/b", "/c", "/d", "/e", "/f"].map(|kind| [kind; 10]);
        let invoices = std::iter::repeat_n("/invoices", 100);
        let turns = turns(100, few.into_iter().flatten().chain(invoices)).await;
        let mut invoices = turns.iter().filter(|(kind, _)| *kind == "/invoices");
        let took = invoices.next_back().unwrap().1;
        assert!(took < Duration::from_millis(4_200), "{took:?}");
    }
}
