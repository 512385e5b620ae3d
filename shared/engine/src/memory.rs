//! A store in memory, with the same conditions as the table: for `fold` and for tests.
//!
//! It can tear its reads on purpose, as concurrent transactions tear a Query.

mod alerts;
mod analytics;
mod bursts;
mod connections;
mod effects;
mod emails;
mod enrolments;
mod inner;
mod runs;
mod shows;
mod users;
mod watches;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inner::Inner;
use paygraph_domain::account::{
    Account, Catalog, CatalogEntry, CatalogKey, Object, ObjectKey, Stored,
};
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::Link;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::{Name, Review};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

use crate::envelope::Outgoing;
use crate::ports::{
    AuditEntry, Beside, Clock, Commit, CommitError, DUE_SHARDS, Due, LedgerEntry, MAX_CANDIDATES,
    Parked, Publisher, Store, StoreError,
};

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
    contact.as_str().bytes().map(u64::from).sum::<u64>() % DUE_SHARDS
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

impl Store for MemoryStore {
    async fn settings(&self, _: &TenantId) -> Result<Arc<Settings>, StoreError> {
        Ok(Arc::clone(&self.settings))
    }

    async fn contact_of(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
    ) -> Result<Option<CustomerId>, StoreError> {
        Ok(self
            .lock()
            .stripe_links
            .get(&(tenant.clone(), customer.clone()))
            .cloned())
    }

    async fn customer_by(
        &self,
        tenant: &TenantId,
        link: &Link,
    ) -> Result<Option<StripeCustomerId>, StoreError> {
        Ok(self
            .lock()
            .links
            .get(&(tenant.clone(), link.clone()))
            .cloned())
    }

    async fn named(&self, tenant: &TenantId, name: &Name) -> Result<Vec<CustomerId>, StoreError> {
        let inner = self.lock();
        let rows = inner.names.iter();
        let rows = rows.filter(|(owner, held, _)| owner == tenant && held == name);
        Ok(rows
            .map(|(.., contact)| contact.clone())
            .take(MAX_CANDIDATES)
            .collect())
    }

    async fn contact(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
    ) -> Result<Option<Contact>, StoreError> {
        self.let_others_in().await;
        let mut inner = self.lock();
        inner.reads += 1;
        Ok(inner.contacts.get(&(tenant.clone(), id.clone())).cloned())
    }

    async fn account(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
    ) -> Result<Account, StoreError> {
        let key = (tenant.clone(), customer.clone());
        let mut account = self
            .lock()
            .accounts
            .get(&key)
            .map(|objects| objects.working_set.clone())
            .unwrap_or_default();
        if self.torn {
            // As if each object were on a page of its own: later pages are read later.
            let subscriptions: Vec<_> = account.subscriptions.keys().cloned().collect();
            for id in subscriptions {
                self.let_others_in().await;
                let key_of = ObjectKey::Subscription(id);
                let read = self
                    .lock()
                    .accounts
                    .get(&key)
                    .and_then(|o| o.working_set.clone().take(&key_of));
                if let Some((rev, object)) = read {
                    account.insert(key_of, rev, object);
                }
            }
        }
        Ok(account)
    }

    async fn beside(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<Beside, StoreError> {
        self.let_others_in().await;
        let inner = self.lock();
        let Some(objects) = inner.accounts.get(&(tenant.clone(), customer.clone())) else {
            return Ok(Beside::new());
        };
        let found = |key: &ObjectKey| Some((key.clone(), objects.beside.get(key)?.clone()));
        Ok(keys.iter().filter_map(found).collect())
    }

    async fn catalog(
        &self,
        tenant: &TenantId,
        keys: &BTreeSet<CatalogKey>,
    ) -> Result<Catalog, StoreError> {
        let inner = self.lock();
        let mut catalog = Catalog::default();
        for key in keys {
            if let Some(entry) = inner.catalog.get(&(tenant.clone(), key.sort_key())) {
                catalog.insert(&entry.value);
            }
        }
        Ok(catalog)
    }

    async fn catalog_entry(
        &self,
        tenant: &TenantId,
        key: &CatalogKey,
    ) -> Result<Option<Stored<CatalogEntry>>, StoreError> {
        Ok(self
            .lock()
            .catalog
            .get(&(tenant.clone(), key.sort_key()))
            .cloned())
    }

    async fn awaiting(
        &self,
        tenant: &TenantId,
        key: &CatalogKey,
    ) -> Result<Vec<StripeCustomerId>, StoreError> {
        let inner = self.lock();
        let notes = inner.awaits.iter();
        let notes = notes.filter(|(owner, wanted, _)| owner == tenant && wanted == key);
        Ok(notes.map(|(.., customer)| customer.clone()).collect())
    }

    async fn commit(&self, commit: &Commit) -> Result<(), CommitError> {
        self.let_others_in().await;
        if self.refuses.is_some_and(|refuses| refuses(commit)) {
            return Err(CommitError::Store(StoreError {
                context: "a commit is refused for good".to_owned(),
                retry: false,
                source: None,
            }));
        }
        let mut inner = self.lock();
        inner.check(commit)?;
        inner.write(commit);
        if self.keep_history {
            let entry = commit.audit.clone();
            inner
                .audit
                .extend(entry.map(|entry| (commit.tenant.clone(), entry)));
        }
        Ok(())
    }

    async fn ledger(
        &self,
        tenant: &TenantId,
        cause: &Cause,
    ) -> Result<Option<LedgerEntry>, StoreError> {
        let inner = self.lock();
        let found = inner.ledger.get(&(tenant.clone(), cause.clone()));
        Ok(found.map(|(entry, published)| {
            let outbox = if *published {
                Vec::new()
            } else {
                entry.outbox.clone()
            };
            LedgerEntry {
                outbox,
                ..entry.clone()
            }
        }))
    }

    async fn published(&self, tenant: &TenantId, cause: &Cause) -> Result<(), StoreError> {
        let keep = self.keep_history;
        if let Some((entry, published)) =
            self.lock().ledger.get_mut(&(tenant.clone(), cause.clone()))
        {
            *published = true;
            if !keep {
                entry.outbox = Vec::new();
            }
        }
        Ok(())
    }

    async fn pending(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        let inner = self.lock();
        let waiting = inner
            .ledger
            .values()
            .filter(|(entry, published)| !published && entry.processed_at < before);
        Ok(waiting
            .map(|(entry, _)| entry.clone())
            .take(limit)
            .collect())
    }

    async fn due(
        &self,
        shard: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        let mut inner = self.lock();
        let held = inner.due.iter().filter(|due| due.at <= until);
        let held = held.filter(|due| shard_of(&due.contact) == shard);
        let due: Vec<_> = held.take(limit).cloned().collect();
        inner.reads += due.len();
        Ok(due)
    }

    async fn park(&self, parked: &Parked) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let here = inner.parked.entry(place_of(parked)).or_default();
        here.insert(parked.cause.clone(), parked.clone());
        Ok(())
    }

    async fn parked(&self, tenant: &TenantId, place: &str) -> Result<Vec<Parked>, StoreError> {
        let inner = self.lock();
        let here = inner.parked.get(&(tenant.clone(), place.to_owned()));
        Ok(here
            .map(|here| here.values().cloned().collect())
            .unwrap_or_default())
    }

    async fn unpark(&self, parked: &Parked) -> Result<(), StoreError> {
        if let Some(here) = self.lock().parked.get_mut(&place_of(parked)) {
            here.remove(&parked.cause);
        }
        Ok(())
    }
}

/// Where a message waits.
fn place_of(parked: &Parked) -> (TenantId, String) {
    (parked.tenant.clone(), parked.reason.place())
}

/// A bus in memory: it keeps what was published. Its clones are the same bus.
#[derive(Debug, Clone, Default)]
pub struct MemoryBus(Arc<Mutex<Vec<Outgoing>>>);

impl MemoryBus {
    /// Everything that was published, in order, with repeats.
    #[must_use]
    pub fn published(&self) -> Vec<Outgoing> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Publisher for MemoryBus {
    async fn publish(&self, events: &[&Outgoing]) -> BTreeSet<usize> {
        let mut published = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        published.extend(events.iter().copied().cloned());
        BTreeSet::new()
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
