//! A store that counts and keeps nothing but the run, and a bus that nobody hears.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use paygraph_domain::account::{Account, Catalog, CatalogEntry, CatalogKey, ObjectKey, Stored};
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::Link;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::Name;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::envelope::Outgoing;
use paygraph_engine::ports::{
    Beside, Commit, CommitError, Due, IndexPage, LedgerEntry, Parked, Publisher, Runs, Store,
    StoreError, Unpublished,
};
use paygraph_engine::run::{Drift, Failure, Kind, Look, Run, Stage};

use xxhash_rust::xxh3::xxh3_64;

use crate::bench::memory::resident_kib;

type Answer<T> = Result<T, StoreError>;

/// Of so many objects the store refuses one, if it refuses any.
const REFUSED: u64 = 10;

/// Takes everything, and keeps only how far the run is.
pub struct Nowhere {
    settings: Arc<Settings>,
    commits: AtomicU64,
    noted: Mutex<Noted>,
    /// Whether it refuses every tenth object for good, as DynamoDB refuses an item that is too large.
    refuses: bool,
    /// The objects that it refused, and those that the run set aside.
    refusals: Mutex<Refusals>,
}

/// The ids of objects that a store refused, and of those that the run names for it.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    refused: BTreeSet<String>,
    named: BTreeSet<String>,
}

impl Refusals {
    /// How many objects the store refused.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// How many of them the run names.
    pub fn named(&self) -> usize {
        self.refused.intersection(&self.named).count()
    }

    /// How many objects the run names that are kept in a refused one: a refund is kept in its charge.
    pub fn others(&self) -> usize {
        self.named.difference(&self.refused).count()
    }
}

/// The measurements that are taken at each note of a run.
#[derive(Debug, Clone, Default)]
pub struct Noted {
    run: Option<Run>,
    /// When the objects' stage began.
    began: Option<Instant>,
    /// The objects of each kind so far, and how long after the stage began the last one came.
    pub kinds: BTreeMap<Kind, (u64, Duration)>,
    /// Resident memory at each note, in KiB.
    pub resident: Vec<u64>,
}

impl Noted {
    fn see(&mut self, run: &Run) {
        if run.stage == Stage::Objects {
            let began = *self.began.get_or_insert_with(Instant::now);
            for (kind, objects) in &run.counts.objects {
                let seen = self.kinds.entry(*kind).or_default();
                if seen.0 != *objects {
                    *seen = (*objects, began.elapsed());
                }
            }
        }
        self.resident.push(resident_kib());
        self.run = Some(run.clone());
    }
}

impl Nowhere {
    /// With a tenant's settings.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            commits: AtomicU64::new(0),
            noted: Mutex::default(),
            refuses: false,
            refusals: Mutex::default(),
        }
    }

    /// The same, refusing every tenth object for good.
    pub fn refusing(self) -> Self {
        Self {
            refuses: true,
            ..self
        }
    }

    /// The objects that it refused so far.
    pub fn refusals(&self) -> Refusals {
        self.lock_refusals().clone()
    }

    fn lock_refusals(&self) -> MutexGuard<'_, Refusals> {
        let refusals = self.refusals.lock();
        refusals.unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects of a commit that it refuses.
    fn refused(&self, commit: &Commit) -> Vec<String> {
        let keys = commit.objects.keys().filter(|_| self.refuses);
        let ids = keys.map(|(customer, key)| key.id().map_or(customer.as_str(), |id| id.as_str()));
        let refused = ids.filter(|id| xxh3_64(id.as_bytes()).is_multiple_of(REFUSED));
        refused.map(str::to_owned).collect()
    }

    /// How many commits came.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// The measurements so far.
    pub fn noted(&self) -> Noted {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Nowhere {
    async fn settings(&self, _: &TenantId) -> Answer<Arc<Settings>> {
        Ok(Arc::clone(&self.settings))
    }

    async fn contact_of(&self, _: &TenantId, _: &StripeCustomerId) -> Answer<Option<CustomerId>> {
        Ok(None)
    }

    async fn customer_by(&self, _: &TenantId, _: &Link) -> Answer<Option<StripeCustomerId>> {
        Ok(None)
    }

    async fn named(&self, _: &TenantId, _: &Name) -> Answer<Vec<CustomerId>> {
        Ok(Vec::new())
    }

    async fn contact(&self, _: &TenantId, _: &CustomerId) -> Answer<Option<Contact>> {
        Ok(None)
    }

    async fn account(&self, _: &TenantId, _: &StripeCustomerId) -> Answer<Account> {
        Ok(Account::default())
    }

    async fn beside(
        &self,
        _: &TenantId,
        _: &StripeCustomerId,
        _: &BTreeSet<ObjectKey>,
    ) -> Answer<Beside> {
        Ok(Beside::new())
    }

    async fn catalog(&self, _: &TenantId, _: &BTreeSet<CatalogKey>) -> Answer<Catalog> {
        Ok(Catalog::default())
    }

    async fn catalog_entry(
        &self,
        _: &TenantId,
        _: &CatalogKey,
    ) -> Answer<Option<Stored<CatalogEntry>>> {
        Ok(None)
    }

    async fn awaiting(&self, _: &TenantId, _: &CatalogKey) -> Answer<Vec<StripeCustomerId>> {
        Ok(Vec::new())
    }

    async fn commit(&self, commit: &Commit) -> Result<(), CommitError> {
        let refused = self.refused(commit);
        if let Some(first) = refused.first() {
            let context = format!("{first} is too large for an item");
            self.lock_refusals().refused.extend(refused);
            return Err(CommitError::Store(StoreError {
                context,
                retry: false,
                source: None,
            }));
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn ledger(&self, _: &TenantId, _: &Cause) -> Answer<Option<LedgerEntry>> {
        Ok(None)
    }

    async fn published(&self, _: &TenantId, _: &Cause) -> Answer<()> {
        Ok(())
    }

    async fn set_aside(&self, _: &TenantId, _: &Cause, _: &str) -> Answer<()> {
        Ok(())
    }

    async fn pending(
        &self,
        _: u64,
        _: Option<&str>,
        _: Timestamp,
        _: usize,
    ) -> Answer<IndexPage<LedgerEntry>> {
        Ok(IndexPage::last(Vec::new()))
    }

    async fn due(&self, _: u64, _: Option<&str>, _: Timestamp, _: usize) -> Answer<IndexPage<Due>> {
        Ok(IndexPage::last(Vec::new()))
    }

    async fn park(&self, _: &Parked) -> Answer<()> {
        Ok(())
    }

    async fn marked(&self, _: &TenantId, _: &BTreeSet<Link>) -> Answer<BTreeSet<Link>> {
        Ok(BTreeSet::new())
    }

    async fn parked_links(
        &self,
        _: &TenantId,
        _: Option<&str>,
        _: Timestamp,
        _: usize,
    ) -> Answer<IndexPage<Option<Link>>> {
        Ok(IndexPage::last(Vec::new()))
    }

    async fn parked(&self, _: &TenantId, _: &str) -> Answer<Vec<Parked>> {
        Ok(Vec::new())
    }

    async fn unpark(&self, _: &Parked) -> Answer<()> {
        Ok(())
    }
}

impl Runs for Nowhere {
    async fn lease(&self, _: &TenantId, _: Timestamp, _: Timestamp) -> Answer<Option<u64>> {
        Ok(Some(1))
    }

    async fn release(&self, _: &TenantId, _: u64) -> Answer<()> {
        Ok(())
    }

    async fn note(&self, run: &Run, _: u64, _: Timestamp) -> Result<(), CommitError> {
        self.lock().see(run);
        Ok(())
    }

    async fn latest(&self, _: &TenantId, _: usize) -> Answer<Vec<Run>> {
        Ok(self.lock().run.clone().into_iter().collect())
    }

    async fn run(&self, _: &TenantId, _: &str) -> Answer<Option<Run>> {
        Ok(self.lock().run.clone())
    }

    async fn note_looks(&self, _: &Run, _: &[Look]) -> Answer<()> {
        Ok(())
    }

    async fn looks(&self, _: &Run, _: Option<&Look>, _: usize) -> Answer<Vec<Look>> {
        Ok(Vec::new())
    }

    async fn note_failures(&self, _: &Run, failures: &[Failure]) -> Answer<()> {
        let ids = failures.iter().map(|failure| failure.object.clone());
        self.lock_refusals().named.extend(ids);
        Ok(())
    }

    async fn failures(&self, _: &Run) -> Answer<Vec<Failure>> {
        let refusals = self.lock_refusals();
        let failure = |object: &String| Failure {
            object: object.clone(),
            reason: String::new(),
        };
        Ok(refusals.named.iter().map(failure).collect())
    }

    async fn note_returned(&self, _: &Run, _: &str, _: &[u64]) -> Answer<()> {
        Ok(())
    }

    async fn returned(&self, _: &Run) -> Answer<Vec<u64>> {
        Ok(Vec::new())
    }

    async fn note_drift(&self, _: &Run, _: &[Drift]) -> Answer<()> {
        Ok(())
    }

    async fn drift(&self, _: &Run) -> Answer<Vec<Drift>> {
        Ok(Vec::new())
    }

    async fn looked(&self, _: &Run, _: &[Look]) -> Answer<()> {
        Ok(())
    }

    async fn everyone(&self, _: &TenantId) -> Answer<Vec<CustomerId>> {
        Ok(Vec::new())
    }
}

/// Takes every event.
pub struct Unheard;

impl Publisher for Unheard {
    async fn publish(&self, _: &[&Outgoing]) -> Unpublished {
        Unpublished::default()
    }
}
