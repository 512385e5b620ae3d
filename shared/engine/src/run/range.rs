//! A part of one of Stripe's lists, with its checkpoint.
#![cfg_attr(
    not(feature = "stripe-api"),
    allow(dead_code, reason = "only who asks Stripe does runs")
)]

use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::kind::Kind;

/// The shortest range that is worth cutting in two, in seconds.
const SHORTEST: i64 = 3_600;
/// About how many pages it has: each range ends with a page that is not full.
const FEWEST_PAGES: i64 = 8;
/// Nothing at Stripe is older, in Unix seconds: the beginning of 2010.
const BEGINNING: i64 = 1_262_304_000;

/// A part of one of Stripe's lists: objects made in a part of time, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Of what.
    pub kind: Kind,
    /// The first second.
    pub from: Timestamp,
    /// The first second that is no more in it.
    pub before: Timestamp,
    /// Only in this status; what Stripe takes for live, when there is none.
    pub status: Option<String>,
    /// The last object that was taken in.
    pub after: Option<String>,
    /// When that one was made.
    #[serde(default)]
    pub read_to: Option<Timestamp>,
}

impl Range {
    /// How much time is left of it, in seconds.
    pub(super) fn left(&self) -> i64 {
        let to = self.read_to.unwrap_or(self.before);
        to.unix() - self.from.unix().max(BEGINNING)
    }

    /// The same range from its checkpoint on, without its cursor: Stripe no longer knows the object
    /// that the cursor names. The objects of the checkpoint's second are read again.
    pub(super) fn without_cursor(&self) -> Self {
        Self {
            before: self.read_to.map_or(self.before, |read_to| read_to.plus(1)),
            after: None,
            ..self.clone()
        }
    }

    /// Cuts off the older half of what is left, where a page spans so many seconds; none when it
    /// is short, or far shorter than the longest of the others, which is then cut instead.
    pub(super) fn cut(&mut self, page: i64, longest: i64) -> Option<Self> {
        let left = self.left();
        let shortest = SHORTEST.max(page.saturating_mul(FEWEST_PAGES));
        if left < shortest.max(longest / 2) {
            return None;
        }
        let to = self.read_to.unwrap_or(self.before);
        let middle = to.plus(-(left / 2));
        let older = Self {
            before: middle,
            after: None,
            read_to: None,
            ..self.clone()
        };
        self.from = middle;
        Some(older)
    }
}
