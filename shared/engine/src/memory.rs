//! A store in memory, with the same conditions as the table: for `fold` and for tests.
//!
//! It refuses every write that `DynamoDB` refuses for its keys or its size ([`crate::ports::limits`]).
//! It can tear its reads on purpose, as concurrent transactions tear a Query.

mod alerts;
mod analytics;
mod bursts;
mod bus;
mod connections;
mod effects;
mod emails;
mod enrolments;
mod inner;
mod runs;
mod shows;
mod store;
mod users;
mod watches;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use bus::MemoryBus;
use inner::Inner;
use paygraph_domain::account::{Account, Catalog, Object};
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::Review;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

use crate::envelope::Outgoing;
use crate::ports::{AuditEntry, Clock, Commit, DUE_SHARDS, LedgerEntry, Parked};

/// The store. Its clones hold the same.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    settings: Arc<Settings>,
    inner: Arc<Mutex<Inner>>,
    /// Whether reads of several objects let others in between.
    torn: bool,
    /// Whether audit entries, and outboxes after they were published, are kept for a look.
    keep_history: bool,
    /// Commits that it refuses for good, whenever they come.
    refuses: Option<fn(&Commit) -> bool>,
}

/// A Stripe customer with its working set and what is beside it.
pub type Holding = (StripeCustomerId, Account, Vec<Object>);

fn shard_of(contact: &CustomerId) -> u64 {
    shard_of_text(contact.as_str())
}

fn shard_of_text(text: &str) -> u64 {
    text.bytes().map(u64::from).sum::<u64>() % DUE_SHARDS
}

impl MemoryStore {
    /// An empty store for tenants with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            inner: Arc::default(),
            torn: false,
            keep_history: false,
            refuses: None,
        }
    }

    /// The same, refusing some commits for good, as DynamoDB refuses an item that is too large.
    #[must_use]
    pub fn refusing(self, refuses: fn(&Commit) -> bool) -> Self {
        Self {
            refuses: Some(refuses),
            ..self
        }
    }

    /// The same, with reads that concurrent commits tear.
    #[must_use]
    pub fn tearing(self) -> Self {
        Self { torn: true, ..self }
    }

    /// The same, keeping audit entries and published outboxes for a look at them.
    #[must_use]
    pub fn keeping_history(self) -> Self {
        Self {
            keep_history: true,
            ..self
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every contact, by id.
    #[must_use]
    pub fn contacts(&self) -> Vec<Contact> {
        self.lock().contacts.values().cloned().collect()
    }

    /// Every Stripe customer's working set with what is beside it, by id.
    #[must_use]
    pub fn accounts(&self) -> Vec<Holding> {
        let inner = self.lock();
        let held = inner.accounts.iter().map(|((_, id), objects)| {
            let beside = objects.beside.values().map(|(_, object)| object.clone());
            (id.clone(), objects.working_set.clone(), beside.collect())
        });
        let mut accounts: Vec<Holding> = held.collect();
        accounts.sort_by(|a, b| a.0.cmp(&b.0));
        accounts
    }

    /// The whole catalog of a tenant.
    #[must_use]
    pub fn whole_catalog(&self, tenant: &TenantId) -> Catalog {
        let mut catalog = Catalog::default();
        for ((owner, _), entry) in &self.lock().catalog {
            if owner == tenant {
                catalog.insert(&entry.value);
            }
        }
        catalog
    }

    /// Every outbox that was kept.
    #[must_use]
    pub fn outboxes(&self) -> Vec<Outgoing> {
        let inner = self.lock();
        inner
            .ledger
            .values()
            .flat_map(|(entry, _)| entry.outbox.iter().cloned())
            .collect()
    }

    /// Every entry whose outbox still waits, processed before an instant.
    #[must_use]
    pub fn all_pending(&self, before: Timestamp) -> Vec<LedgerEntry> {
        let inner = self.lock();
        let waiting = inner.ledger.values();
        let waiting = waiting.filter(|(entry, done)| !done && entry.processed_at < before);
        waiting.map(|(entry, _)| entry.clone()).collect()
    }

    /// Entries that the bus refuses for good, by cause, with the reason.
    #[must_use]
    pub fn set_aside_entries(&self) -> Vec<(Cause, String)> {
        let inner = self.lock();
        let refused = inner.refused.iter();
        refused
            .map(|((_, cause), reason)| (cause.clone(), reason.clone()))
            .collect()
    }

    /// Removes a Stripe customer's objects, as somebody with access to the table could.
    pub fn remove_objects(&self, tenant: &TenantId, customer: &StripeCustomerId) {
        let key = (tenant.clone(), customer.clone());
        self.lock().accounts.remove(&key);
    }

    /// Every audit entry, in the order of the commits.
    #[must_use]
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.lock()
            .audit
            .iter()
            .map(|(_, entry)| entry.clone())
            .collect()
    }

    /// Every message that waits.
    #[must_use]
    pub fn all_parked(&self) -> Vec<Parked> {
        let inner = self.lock();
        let places = inner.parked.values();
        places.flat_map(BTreeMap::values).cloned().collect()
    }

    /// Ends every lease, as time would.
    pub fn end_leases(&self) {
        for (until, _) in self.lock().leases.values_mut() {
            *until = Timestamp::default();
        }
    }

    /// The review list.
    #[must_use]
    pub fn reviews(&self) -> Vec<(StripeCustomerId, Review)> {
        let inner = self.lock();
        let reviews = inner.reviews.iter();
        reviews
            .map(|((_, customer), review)| (customer.clone(), review.clone()))
            .collect()
    }

    /// How many contacts and entries of the due index were read.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.lock().reads
    }

    /// How many commits went through.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.lock().commits
    }

    async fn let_others_in(&self) {
        if self.torn {
            tokio::task::yield_now().await;
        }
    }
}

/// A clock that stands still.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoppedClock(pub Timestamp);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}
