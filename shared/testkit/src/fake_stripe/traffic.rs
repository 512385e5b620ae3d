//! How many requests come, and how many may.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::refusal::Refusal;
use super::state::locked;

const SECOND: Duration = Duration::from_secs(1);

/// What has been asked since the start, or since the counts were last set to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests to everything but the control.
    pub requests: u64,
    /// Those that were answered with 429.
    pub limited: u64,
    /// The most requests within any second.
    pub peak: u64,
    /// The same by endpoint: the method, and the path with `:id` for ids.
    pub endpoints: BTreeMap<String, EndpointStats>,
    /// Objects of computed worlds that were computed, since the start.
    pub computed: u64,
}

/// What has been asked of an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EndpointStats {
    /// Requests.
    pub requests: u64,
    /// Those that were answered with 429.
    pub limited: u64,
    /// The most requests within any second.
    pub peak: u64,
}

/// How many requests may come within a second, by account.
#[derive(Debug)]
pub(super) struct Rates {
    pub endpoint: u32,
    /// Over all endpoints, by keys of live mode.
    pub live: u32,
    /// Over all endpoints, by keys of test mode.
    pub test: u32,
    pub retry_after: Option<String>,
}

/// The requests of late.
#[derive(Debug)]
pub(super) struct Traffic {
    rates: Rates,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    stats: Stats,
    /// All requests of the last second, by endpoint; those of all together under nothing.
    seen: BTreeMap<String, VecDeque<Instant>>,
    /// Those that were let in, by account and endpoint.
    admitted: BTreeMap<(String, String), VecDeque<Instant>>,
}

impl Traffic {
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            rates,
            counts: Mutex::default(),
        }
    }

    /// Counts a request.
    pub(super) fn see(&self, endpoint: &str, now: Instant) {
        let mut counts = locked(&self.counts);
        let peak = counts.within_second("", now);
        counts.stats.requests += 1;
        counts.stats.peak = counts.stats.peak.max(peak);
        let peak = counts.within_second(endpoint, now);
        let stats = counts.stats.endpoints.entry(endpoint.to_owned());
        let stats = stats.or_default();
        stats.requests += 1;
        stats.peak = stats.peak.max(peak);
    }

    /// Counts an answer of 429.
    pub(super) fn limit(&self, endpoint: &str) {
        let mut counts = locked(&self.counts);
        counts.stats.limited += 1;
        let stats = counts.stats.endpoints.entry(endpoint.to_owned());
        stats.or_default().limited += 1;
    }

    /// Lets a request in, or refuses it: within any second no more than the rates come in.
    /// Each mode of an account has its own.
    pub(super) fn admit(
        &self,
        (account, live): (&str, bool),
        endpoint: &str,
        now: Instant,
    ) -> Result<(), Refusal> {
        let mut counts = locked(&self.counts);
        let (mode, overall) = match live {
            true => ("live", self.rates.live),
            false => ("test", self.rates.test),
        };
        let name = |endpoint: &str| (format!("{account} {mode}"), endpoint.to_owned());
        for (endpoint, rate, reason) in [
            ("", overall, "global-rate"),
            (endpoint, self.rates.endpoint, "endpoint-rate"),
        ] {
            let admitted = counts.admitted.entry(name(endpoint)).or_default();
            forget(admitted, now);
            if admitted.len() >= usize::try_from(rate).unwrap_or(usize::MAX) {
                return Err(Refusal::too_many(reason, self.retry_after()));
            }
        }
        for endpoint in ["", endpoint] {
            let admitted = counts.admitted.entry(name(endpoint));
            admitted.or_default().push_back(now);
        }
        Ok(())
    }

    /// What a 429 says of when to come again.
    pub(super) fn retry_after(&self) -> Option<&str> {
        self.rates.retry_after.as_deref()
    }

    pub(super) fn stats(&self) -> Stats {
        locked(&self.counts).stats.clone()
    }

    pub(super) fn reset(&self) {
        *locked(&self.counts) = Counts::default();
    }
}

impl Counts {
    fn within_second(&mut self, endpoint: &str, now: Instant) -> u64 {
        let seen = self.seen.entry(endpoint.to_owned()).or_default();
        forget(seen, now);
        seen.push_back(now);
        u64::try_from(seen.len()).unwrap_or(u64::MAX)
    }
}

fn forget(times: &mut VecDeque<Instant>, now: Instant) {
    let is_past = |at: &Instant| now.saturating_duration_since(*at) >= SECOND;
    while times.front().is_some_and(is_past) {
        times.pop_front();
    }
}
