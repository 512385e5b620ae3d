//! The CRM is shown how a contact stands: only what changed, and never an older state last.
//!
//! Who writes has the contact's turn, and nobody else writes of it meanwhile. After writing, the
//! contact is read again: what was changed since is written too. What the CRM has is remembered,
//! record by record, so that nothing is written twice and links need no search. What a contact
//! comes to in a CRM is the domain's ([`paygraph_domain::crm`]), how a CRM is asked is an adapter's
//! ([`Crm`]).

mod sync;
mod task;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use paygraph_domain::alert::hint::Hint;
use paygraph_domain::alert::plan::Held;
use paygraph_domain::crm::{Object, Record, key};
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use self::sync::{Done, SyncError, bring};
pub use self::task::Task;
use crate::ports::StoreError;

/// How long a turn lasts, in seconds: longer than anybody may write.
pub const TURN: i64 = 60;

/// Why a CRM did not take something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrmError {
    /// It may later.
    #[error("{0}")]
    Again(String),
    /// It will not.
    #[error("{0}")]
    Never(String),
}

/// A tenant's CRM. It takes the same thing twice without harm.
pub trait Crm: Sync {
    /// Brings a record up to date, or makes it. Fields that it does not have stay; lists that others
    /// fill too are added to. `workspaces` are the CRM's ids of those that it belongs to. Gives what
    /// the CRM has now.
    fn upsert(
        &self,
        record: &Record,
        workspaces: &[String],
        until: Instant,
    ) -> impl Future<Output = Result<There, CrmError>>;

    /// Makes a task about a workspace, unless it has that one.
    fn task(&self, task: &Task, until: Instant) -> impl Future<Output = Result<(), CrmError>>;
}

/// A record as the CRM tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    /// The CRM's own id of it.
    pub id: String,
    /// The page on which people see it.
    pub page: Option<String>,
    /// When one of the tenant's people was in touch last, as far as the CRM knows.
    pub contacted: Option<Timestamp>,
}

/// A record that the CRM has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Of what was written.
    pub digest: u64,
    /// The CRM's own id of it.
    pub record: String,
    /// The page on which people see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// What the CRM has of a contact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shown {
    /// The contact's version that was compared last.
    pub version: u64,
    /// By the records' names; none while nobody knows whether it was written.
    pub records: BTreeMap<String, Option<Kept>>,
    /// What it was given a task for, and still stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Held>,
}

impl Shown {
    /// The first workspace that it has: what tasks and links are about.
    #[must_use]
    pub fn workspace(&self) -> Option<&Kept> {
        let workspaces = key(Object::Workspace, "");
        let mut records = self.records.iter();
        records.find_map(|(name, kept)| kept.as_ref().filter(|_| name.starts_with(&workspaces)))
    }
}

/// Whose turn it is to write of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Ours, by this token; with what the CRM has.
    Ours(u64, Shown),
    /// Somebody else's.
    Held,
}

/// Where it is kept what a CRM has. Every read is consistent.
pub trait Shows: Sync {
    /// Takes the contact's turn until an instant, if nobody has it.
    fn take_turn(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Turn, StoreError>> + Send;

    /// What the CRM has of a contact.
    fn shown(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
    ) -> impl Future<Output = Result<Shown, StoreError>> + Send;

    /// Notes what the CRM has; the turn goes on until then, or is over. One that was taken over since
    /// changes nothing.
    fn note_shown(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        token: u64,
        shown: &Shown,
        until: Option<Timestamp>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Whom to look at.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// The contact.
    pub contact: &'a CustomerId,
    /// The event that says so, if it is news: else nobody gets a task.
    pub news: Option<Hint<'a>>,
    /// Writes what has not changed, too.
    pub anew: bool,
    /// Contacts that were written anew since they had something of this one's.
    pub written: &'a BTreeSet<CustomerId>,
    /// Until when something may be written: before the turn is over.
    pub until: Instant,
}
