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

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The most snapshots of one second that are kept, and the most events kept per snapshot.
const MAX_VERSIONS: usize = 8;

/// A set of leaf hashes: one number for each `path = value` of a raw JSON object. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Leaves(Arc<[u32]>);

impl Leaves {
    /// Takes hashes in any order, with repeats.
    #[must_use]
    pub fn new(mut hashes: Vec<u32>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes.into())
    }

    /// One number for the whole set.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let bytes: Vec<u8> = self.0.iter().flat_map(|leaf| leaf.to_le_bytes()).collect();
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }

    fn within(&self, other: &Self) -> bool {
        self.0
            .iter()
            .all(|leaf| other.0.binary_search(leaf).is_ok())
    }

    /// Whether every leaf that is in `self` but not in `target` is one of `replaced`.
    fn differs_only_by(&self, target: &Self, replaced: &Self) -> bool {
        self.0
            .iter()
            .filter(|leaf| target.0.binary_search(leaf).is_err())
            .all(|leaf| replaced.0.binary_search(leaf).is_ok())
    }
}

impl From<Leaves> for String {
    fn from(leaves: Leaves) -> String {
        let bytes: Vec<u8> = leaves
            .0
            .iter()
            .flat_map(|leaf| leaf.to_le_bytes())
            .collect();
        STANDARD_NO_PAD.encode(bytes)
    }
}

impl TryFrom<String> for Leaves {
    type Error = base64::DecodeError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD_NO_PAD.decode(text)?;
        let (chunks, _) = bytes.as_chunks::<4>();
        Ok(Self::new(
            chunks
                .iter()
                .map(|chunk| u32::from_le_bytes(*chunk))
                .collect(),
        ))
    }
}

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
}

/// What became of a snapshot that was shown to [`Tracked::observe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It is what counts now, or it changed what counts.
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
        if let Some(disposition) = self.observe_beside_fetched(&incoming) {
            return disposition;
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

    /// A fetched snapshot covers some seconds. An event from within them is the same, or nobody can
    /// tell which was first.
    fn observe_beside_fetched(&mut self, incoming: &Version<T>) -> Option<Disposition> {
        let same = |version: &Version<T>| {
            version.content == incoming.content || version.object == incoming.object
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
                    let known = known.clone();
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

fn place<T: Snapshot>(version: &Version<T>) -> (bool, Timestamp, [i64; 3]) {
    (version.object.is_final(), version.at, version.object.rank())
}

/// The index of the newest of several snapshots of one second, and whether that is a guess.
///
/// Every event is an edge from the snapshot it replaced to its own. The history of the second is a
/// walk over these edges, so its end is the one snapshot entered once more often than left. Where
/// events are missing there is no such end; then a snapshot that no other replaced is the newest,
/// if there is just one.
fn newest<T: Snapshot>(
    versions: &[Version<T>],
    earlier: Option<&Earlier>,
) -> (Option<usize>, bool) {
    let ends = [false, true].map(|merged| walk_end(versions, merged, earlier));
    match ends {
        // Once more there, or the same change told twice: both would look like this.
        [Some(end), Some(other)] if end != other => return (Some(end), true),
        [Some(end), _] | [None, Some(end)] => return (Some(end), false),
        [None, None] => {}
    }
    let open: Vec<usize> = (0..versions.len())
        .filter(|v| !is_replaced(versions, *v))
        .collect();
    let updated: Vec<usize> = open
        .iter()
        .copied()
        .filter(|v| {
            versions
                .get(*v)
                .is_some_and(|version| !is_only_created(version))
        })
        .collect();
    let candidates = if !updated.is_empty() {
        updated
    } else if !open.is_empty() {
        open
    } else {
        (0..versions.len()).collect()
    };
    let mut objects = candidates
        .iter()
        .filter_map(|v| versions.get(*v))
        .map(|v| &v.object);
    let first = objects.next();
    let agreed = objects.all(|object| Some(object) == first);
    (candidates.first().copied(), !agreed)
}

fn is_only_created<T>(version: &Version<T>) -> bool {
    version.steps.iter().all(|step| step.creation)
}

/// Whether an event of another snapshot names this one's values as those it replaced.
fn is_replaced<T>(versions: &[Version<T>], index: usize) -> bool {
    let Some(this) = versions.get(index) else {
        return false;
    };
    versions.iter().any(|other| {
        other.content != this.content
            && other
                .steps
                .iter()
                .filter_map(|step| step.previous.as_ref())
                .any(|previous| {
                    previous.within(&this.leaves)
                        && !is_replaced_exactly_elsewhere(versions, other, previous, this)
                })
    })
}

/// Whether `previous` fits some snapshot other than `this` exactly, and `this` only loosely.
fn is_replaced_exactly_elsewhere<T>(
    versions: &[Version<T>],
    target: &Version<T>,
    previous: &Leaves,
    this: &Version<T>,
) -> bool {
    !is_origin(this, target, previous)
        && versions
            .iter()
            .any(|v| v.content != this.content && is_origin(v, target, previous))
}

fn is_origin<T>(origin: &Version<T>, target: &Version<T>, previous: &Leaves) -> bool {
    origin.content != target.content
        && previous.within(&origin.leaves)
        && origin.leaves.differs_only_by(&target.leaves, previous)
}

/// The end of the walk, if the events draw exactly one complete walk.
///
/// `merged` counts events that tell the same change (a second endpoint's, say) once.
fn walk_end<T>(versions: &[Version<T>], merged: bool, earlier: Option<&Earlier>) -> Option<usize> {
    let balance = balance(versions, merged)?;
    let only_shown = |index: &usize| versions.get(*index).is_some_and(is_only_shown);
    let of = |sum: i64| {
        let all = balance.iter().enumerate();
        all.filter(move |(_, own)| **own == sum)
            .map(|(index, _)| index)
    };
    let (entered, left): (Vec<_>, Vec<_>) = (of(1).collect(), of(-1).collect());
    let even = of(0).count();
    if entered.len() + left.len() + even < versions.len() {
        return None;
    }
    // What was only shown was entered before the second: the walk begins there, if anywhere.
    if of(0).any(|index| only_shown(&index)) {
        return None;
    }
    match (entered.as_slice(), left.as_slice()) {
        ([end], [] | [_]) => Some(*end),
        // There and back: it ends where it began, and that is where the time before left off.
        ([], []) => {
            let known = |index: &usize| {
                let content = versions.get(*index).map(|version| version.content);
                earlier
                    .zip(content)
                    .is_some_and(|(earlier, content)| earlier.contents.contains(&content))
            };
            let mut began = (0..versions.len()).filter(known);
            let end = began.next();
            end.filter(|_| began.next().is_none())
        }
        _ => None,
    }
}

/// How much more often each snapshot was entered than left; none where an event could have come
/// from more than one.
fn balance<T>(versions: &[Version<T>], merged: bool) -> Option<Vec<i64>> {
    let mut balance = vec![0_i64; versions.len()];
    for (index, target) in versions.iter().enumerate() {
        let mut told = BTreeSet::new();
        for step in &target.steps {
            if is_showing(step) || (merged && !told.insert(&step.previous)) {
                continue;
            }
            if let Some(entered) = balance.get_mut(index) {
                *entered += 1;
            }
            let Some(previous) = &step.previous else {
                continue;
            };
            let origins: Vec<usize> = (0..versions.len())
                .filter(|v| {
                    versions
                        .get(*v)
                        .is_some_and(|v| is_origin(v, target, previous))
                })
                .collect();
            match origins.as_slice() {
                [] => {}
                [origin] => {
                    if let Some(left) = balance.get_mut(*origin) {
                        *left -= 1;
                    }
                }
                _ => return None,
            }
        }
    }
    Some(balance)
}

/// Whether an event says what the object is, and nothing of a change: `trial_will_end`, say.
fn is_showing(step: &Step) -> bool {
    step.previous.is_none() && !step.creation
}

fn is_only_shown<T>(version: &Version<T>) -> bool {
    version.steps.iter().all(is_showing)
}

/// A field that some API versions do not send: it remembers when it was last seen.
///
/// "Absent" is not "null": an absent field never wipes a value that another snapshot had.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Seen<T> {
    #[serde(default)]
    at: Option<Timestamp>,
    value: T,
}

impl<T: Default> Default for Seen<T> {
    fn default() -> Self {
        Self {
            at: None,
            value: T::default(),
        }
    }
}

impl<T: PartialEq> PartialEq for Seen<T> {
    /// Compares what the field says, not when it was seen.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Clone + Default> Seen<T> {
    /// A field as a snapshot of second `at` has it; `None` when the snapshot does not have it.
    pub fn new(at: Timestamp, value: Option<T>) -> Self {
        match value {
            Some(value) => Self {
                at: Some(at),
                value,
            },
            None => Self::default(),
        }
    }

    /// The value last seen.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// Takes the other's value if it was seen later.
    pub fn inherit(&mut self, other: &Self) {
        if other.at > self.at {
            *self = other.clone();
        }
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
