//! Where objects come from: pages of a kind, and one by its id.

use serde_json::Value;

use super::kind::Kind;
use super::query::{Filter, Interval};

/// The place of an object in its list: by second, then in an order that stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub created: i64,
    /// What is put stands after what was computed.
    pub put: bool,
    pub number: u64,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    pub kind: &'static Kind,
    pub created: Interval,
    pub filters: &'a [Filter],
    /// The place beyond which to look.
    pub beyond: Option<Key>,
    /// From older to newer instead of from newer to older.
    pub upwards: bool,
    /// How many objects, at most.
    pub want: usize,
}

impl Search<'_> {
    /// Whether an object at this place may be in the answer.
    pub(super) fn reaches(&self, key: Key) -> bool {
        let further = self.beyond.is_none_or(|from| match self.upwards {
            true => key > from,
            false => key < from,
        });
        further && self.created.holds(key.created)
    }
}

/// A store of objects, all in the newest shape and in full.
pub(super) trait Source {
    /// The place of an object in its list.
    fn key(&self, kind: &Kind, id: &str) -> Option<Key>;

    /// An object by its id.
    fn get(&self, kind: &Kind, id: &str) -> Option<Value>;

    /// Objects in the order of the search, without those that are hidden.
    fn page(&self, search: &Search<'_>, hidden: impl Fn(&str) -> bool) -> Vec<(Key, Value)>;
}
