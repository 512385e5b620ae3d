//! Which snapshot of an object is the newest, whatever order they arrive in.
//!
//! Stripe's events carry whole objects and whole seconds, and arrive in any order. An object keeps
//! the second of its newest snapshot (the watermark) and every different snapshot of that second;
//! the one that counts is a pure function of that set, so the order of arrival cannot matter:
//!
//! 1. a final state (canceled, deleted, void) beats any other, then the later second wins;
//! 2. in one second, the type's own rank decides (an invoice's paid after open);
//! 3. then the chain that `previous_attributes` draws: each update names the values it replaced; if
//!    it is closed (there and back), it ends where the second before left off;
//! 4. what no event can tell is undecided: a deterministic guess stands, and the object is marked.

mod leaves;
mod newest;
mod seen;

use std::collections::BTreeSet;

pub use leaves::Leaves;
pub use seen::Seen;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use newest::newest;

/// The most snapshots of one second that are kept, and the most events kept per snapshot.
const MAX_VERSIONS: usize = 8;

/// How one event changed the object: the values it replaced, if it said so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Step {
    /// A hash of the event's id.
    pub event: u64,
    /// The leaves of `previous_attributes`; none where the event had none.
    pub previous: Option<Leaves>,
    /// Whether the event says that the object was created.
    pub creation: bool,
}

/// A snapshot of an object with what places it in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version<T> {
    /// Stripe's second; of a fetched object the latest that it may be from.
    pub at: Timestamp,
    /// Of a fetched object the earliest second that it may be from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// A hash of the whole raw object.
    pub content: u64,
    /// The leaves of the raw object.
    pub leaves: Leaves,
    /// The events of this second that brought exactly this snapshot.
    pub steps: Vec<Step>,
    /// The object, as far as paygraph reads it.
    pub object: T,
}

/// What the rules of order need to know of a type.
pub trait Snapshot: Clone + PartialEq {
    /// Whether this state absorbs every other: canceled, deleted, void.
    fn is_final(&self) -> bool;
    /// The place among snapshots of one second; equal where the type has no such order.
    fn rank(&self) -> [i64; 3] {
        [0; 3]
    }
    /// Takes over, from another snapshot, fields that this one does not have at all.
    fn inherit(&mut self, other: &Self);
    /// The part of that which Stripe tells only if it is asked for: no event has it, and it never
    /// changes.
    fn complete(&mut self, _: &Self) {}
}

/// The effect of a snapshot on an object, from [`Tracked::observe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The snapshot counts now, or it changed the one that counts.
    Applied,
    /// It is older than what is stored and adds nothing.
    Stale,
    /// It was there already.
    Known,
}

/// An object with its watermark and all that was seen of its newest second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tracked<T> {
    head: Version<T>,
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    rivals: Vec<Version<T>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    undecided: bool,
    /// Whether more was seen of the newest second than is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    overflown: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier: Option<Earlier>,
}

/// The snapshots that went before the newest second, or the newest rank, as far as they matter to
/// it: by their hashes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Earlier {
    at: Timestamp,
    rank: [i64; 3],
    contents: BTreeSet<u64>,
}

impl<T: Snapshot> Tracked<T> {
    /// An object seen for the first time.
    #[must_use]
    pub fn first(version: Version<T>) -> Self {
        Self {
            head: version,
            rivals: Vec::new(),
            undecided: false,
            overflown: false,
            earlier: None,
        }
    }

    /// The snapshot that counts.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.head.object
    }

    /// Stripe's second of the snapshot that counts.
    #[must_use]
    pub fn watermark(&self) -> Timestamp {
        self.head.at
    }

    /// Whether the events cannot tell which snapshot counts, so that it should be fetched.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.undecided
    }

    /// Takes a snapshot in. The result is the same for every order of the same snapshots.
    pub fn observe(&mut self, incoming: Version<T>) -> Disposition {
        if incoming.since.is_some() && self.is_confirmed_by(&incoming.object) {
            return Disposition::Known;
        }
        if let Some(disposition) = self.observe_beside_fetched(&incoming) {
            return disposition;
        }
        if self.takes_in_another_answer(&incoming) {
            return Disposition::Applied;
        }
        match place(&incoming).cmp(&place(&self.head)) {
            std::cmp::Ordering::Less => {
                let before = self.head.object.clone();
                self.head.object.inherit(&incoming.object);
                let went_before = self.note_earlier(&incoming);
                if before == self.head.object && !went_before {
                    Disposition::Stale
                } else {
                    Disposition::Applied
                }
            }
            std::cmp::Ordering::Greater => {
                let mut incoming = incoming;
                incoming.object.inherit(&self.head.object);
                let earlier = Earlier {
                    at: self.head.at,
                    rank: self.head.object.rank(),
                    contents: self.versions().map(|version| version.content).collect(),
                };
                // A final state needs nothing that went before.
                let earlier = Some(earlier).filter(|_| !incoming.object.is_final());
                *self = Self {
                    earlier,
                    ..Self::first(incoming)
                };
                Disposition::Applied
            }
            std::cmp::Ordering::Equal => self.observe_rival(incoming),
        }
    }

    /// Whether a fetched snapshot says only what is known: then nothing is written for it.
    fn is_confirmed_by(&self, object: &T) -> bool {
        let mut object = object.clone();
        object.inherit(&self.head.object);
        !self.undecided && object == self.head.object
    }

    /// A fetched snapshot covers some seconds. An event from within them is the same, or nobody can
    /// tell which was first.
    fn observe_beside_fetched(&mut self, incoming: &Version<T>) -> Option<Disposition> {
        let same = |version: &Version<T>| {
            version.content == incoming.content || agree(&version.object, &incoming.object)
        };
        if incoming.object.is_final() != self.head.object.is_final() {
            return None;
        }
        match (self.head.since, incoming.since) {
            (Some(since), None) if since <= incoming.at && incoming.at <= self.head.at => {
                if self.undecided || same(&self.head) {
                    return Some(Disposition::Known);
                }
                self.undecided = true;
                Some(Disposition::Applied)
            }
            (None, Some(since)) if since <= self.head.at && self.head.at <= incoming.at => {
                let held = std::iter::once(&self.head).chain(&self.rivals);
                if let Some(known) = held.into_iter().find(|version| same(version)) {
                    let mut known = known.clone();
                    known.object.complete(&incoming.object);
                    *self = Self::first(Version {
                        at: incoming.at,
                        since: incoming.since,
                        ..known
                    });
                    return Some(Disposition::Applied);
                }
                let was = std::mem::replace(&mut self.undecided, true);
                Some(if was {
                    Disposition::Known
                } else {
                    Disposition::Applied
                })
            }
            (Some(_) | None, Some(_) | None) => None,
        }
    }

    /// Takes in another answer of Stripe from the same seconds: a list and a single object do not have
    /// the same fields. Two answers that contradict each other are rivals.
    fn takes_in_another_answer(&mut self, incoming: &Version<T>) -> bool {
        let are_fetched = self.head.since.is_some() && incoming.since.is_some();
        if !are_fetched || self.undecided || place(incoming) != place(&self.head) {
            return false;
        }
        let mut merged = self.head.object.clone();
        merged.inherit(&incoming.object);
        let mut other = incoming.object.clone();
        other.inherit(&self.head.object);
        if merged != other {
            return false;
        }
        if incoming.content > self.head.content {
            self.head = incoming.clone();
        }
        self.head.object = merged;
        true
    }

    fn versions(&self) -> impl Iterator<Item = &Version<T>> {
        self.rivals.iter().chain(std::iter::once(&self.head))
    }

    /// Notes an older snapshot, if none is known that is newer. Tells whether that says anything new.
    fn note_earlier(&mut self, incoming: &Version<T>) -> bool {
        if self.head.object.is_final() {
            return false;
        }
        let place = (incoming.at, incoming.object.rank());
        match &mut self.earlier {
            Some(earlier) if (earlier.at, earlier.rank) > place => return false,
            Some(earlier) if (earlier.at, earlier.rank) == place => {
                let before = earlier.contents.clone();
                earlier.contents.insert(incoming.content);
                // Those with the largest hashes stay, as among the rivals.
                while earlier.contents.len() > MAX_VERSIONS {
                    earlier.contents.pop_first();
                }
                if before == earlier.contents {
                    return false;
                }
            }
            Some(_) | None => {
                let (at, rank) = place;
                let contents = BTreeSet::from([incoming.content]);
                self.earlier = Some(Earlier { at, rank, contents });
            }
        }
        if !self.rivals.is_empty() {
            let versions = std::mem::take(&mut self.rivals);
            self.decide(versions);
        }
        true
    }

    fn observe_rival(&mut self, incoming: Version<T>) -> Disposition {
        let mut versions = std::mem::take(&mut self.rivals);
        versions.push(self.head.clone());
        let known = versions
            .iter_mut()
            .find(|version| version.content == incoming.content);
        match known {
            Some(version) => {
                if incoming
                    .steps
                    .iter()
                    .all(|step| version.steps.contains(step))
                {
                    versions.retain(|version| version.content != self.head.content);
                    self.rivals = versions;
                    return Disposition::Known;
                }
                version.steps.extend(incoming.steps);
                version.steps.sort();
                version.steps.dedup();
                self.overflown |= version.steps.len() > MAX_VERSIONS;
                version.steps.truncate(MAX_VERSIONS);
            }
            None => versions.push(incoming),
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.content));
        self.overflown |= versions.len() > MAX_VERSIONS;
        versions.truncate(MAX_VERSIONS);
        self.choose(versions);
        Disposition::Applied
    }

    /// Decides anew among the rivals and the head.
    fn decide(&mut self, mut versions: Vec<Version<T>>) {
        versions.push(self.head.clone());
        versions.sort_by_key(|version| std::cmp::Reverse(version.content));
        self.choose(versions);
    }

    fn choose(&mut self, mut versions: Vec<Version<T>>) {
        let (winner, undecided) = newest(&versions, self.earlier.as_ref());
        if let Some(position) = winner {
            let mut head = versions.remove(position);
            for other in versions.iter().chain(std::iter::once(&self.head)) {
                head.object.inherit(&other.object);
            }
            self.head = head;
        }
        self.rivals = versions;
        self.undecided = undecided || self.overflown;
    }
}

/// Whether two snapshots say the same, but for what only one of them was asked to tell.
fn agree<T: Snapshot>(one: &T, other: &T) -> bool {
    let (mut one, mut completed) = (one.clone(), other.clone());
    one.complete(other);
    completed.complete(&one);
    one == completed
}

fn place<T: Snapshot>(version: &Version<T>) -> (bool, Timestamp, [i64; 3]) {
    (version.object.is_final(), version.at, version.object.rank())
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
