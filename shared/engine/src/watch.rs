//! Watches what Stripe sends: events that never came are taken in at once, and an endpoint that is
//! in trouble is told, once when it begins and once when it is over.

#[cfg(feature = "stripe-api")]
mod endpoint;
mod usual;
#[cfg(feature = "stripe-api")]
mod waiting;
#[cfg(feature = "stripe-api")]
mod watcher;

use std::collections::{BTreeMap, BTreeSet};

use paygraph_domain::id::{Cause, TenantId};
use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::usual::Usual;
#[cfg(feature = "stripe-api")]
pub use self::watcher::{WatchError, Watcher};
use crate::ports::{CommitError, StoreError};

/// What is wrong, by its kind, in words for people.
pub type Reasons = BTreeMap<String, String>;

/// What is kept between two watches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Watch {
    /// How often it was noted; 0 when it was not yet.
    pub rev: u64,
    /// Events before it were looked at.
    pub watched_to: Timestamp,
    /// How many events never came, since the last time that all did.
    #[serde(default)]
    pub missed: usize,
    /// How many events are usual.
    pub usual: Usual,
    /// What is wrong.
    pub reasons: Reasons,
    /// Since when anything is.
    pub since: Option<Timestamp>,
}

/// What a watch came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Watched {
    /// Events that Stripe has, of the types that are needed.
    pub events: usize,
    /// Of these, the ones that never came, and are taken in now.
    pub missed: usize,
    /// Events that waited for the connection, and are taken in now.
    pub released: usize,
    /// What is wrong.
    pub reasons: Reasons,
}

/// Where watches are kept, and what was processed.
pub trait Watches: Sync {
    /// What the last watch noted.
    fn watch(
        &self,
        tenant: &TenantId,
    ) -> impl Future<Output = Result<Option<Watch>, StoreError>> + Send;

    /// Notes a watch in the place of the one with its `rev`, and counts that up; a conflict when
    /// somebody else did.
    fn note_watch(
        &self,
        tenant: &TenantId,
        watch: &Watch,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Which of some causes, at most a hundred, were never processed and do not wait either.
    fn unknown(
        &self,
        tenant: &TenantId,
        causes: &[Cause],
    ) -> impl Future<Output = Result<BTreeSet<Cause>, StoreError>> + Send;
}

/// Where events go that never came.
pub trait Ingest: Sync {
    /// Puts a message into the ingest queue.
    fn ingest(&self, body: &str) -> impl Future<Output = Result<(), StoreError>> + Send;
}
