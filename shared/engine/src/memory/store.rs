//! Contacts, objects, the ledger and what waits, in memory, with the conditions of the table.

use std::collections::BTreeSet;
use std::sync::Arc;

use paygraph_domain::account::{Account, Catalog, CatalogEntry, CatalogKey, ObjectKey, Stored};
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::Link;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::Name;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

use super::{MemoryStore, shard_of, shard_of_text};
use crate::ports::limits::check_item;
use crate::ports::{
    Beside, Commit, CommitError, Due, IndexPage, LedgerEntry, MAX_CANDIDATES, Parked, Store,
    StoreError, key,
};

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
        commit.check().map_err(StoreError::from)?;
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

    async fn set_aside(
        &self,
        tenant: &TenantId,
        cause: &Cause,
        reason: &str,
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let key = (tenant.clone(), cause.clone());
        if let Some((_, published)) = inner.ledger.get_mut(&key) {
            *published = true;
        }
        inner.refused.insert(key, reason.to_owned());
        Ok(())
    }

    async fn pending(
        &self,
        shard: u64,
        after: Option<&str>,
        before: Timestamp,
        limit: usize,
    ) -> Result<IndexPage<LedgerEntry>, StoreError> {
        let inner = self.lock();
        let waiting = inner
            .ledger
            .values()
            .filter(|(entry, published)| !published && entry.processed_at < before);
        let here = waiting.filter(|(entry, _)| shard_of_text(entry.cause.as_str()) == shard);
        let mut entries: Vec<_> = here.map(|(entry, _)| entry.clone()).collect();
        let place = |entry: &LedgerEntry| {
            let at = key::instant(entry.processed_at);
            format!("{at}#{}#{}", entry.tenant, entry.cause)
        };
        entries.sort_by_key(place);
        Ok(page(entries, place, after, limit))
    }

    async fn due(
        &self,
        shard: u64,
        after: Option<&str>,
        until: Timestamp,
        limit: usize,
    ) -> Result<IndexPage<Due>, StoreError> {
        let mut inner = self.lock();
        let held = inner.due.iter().filter(|due| due.at <= until);
        let held = held.filter(|due| shard_of(&due.contact) == shard);
        let due: Vec<_> = held.cloned().collect();
        let place = |due: &Due| format!("{}#{}#{}", key::instant(due.at), due.tenant, due.contact);
        let page = page(due, place, after, limit);
        inner.reads += page.entries.len();
        Ok(page)
    }

    async fn park(&self, parked: &Parked) -> Result<(), StoreError> {
        check_item(&parked.item())?;
        let mut inner = self.lock();
        let here = inner.parked.entry(place_of(parked)).or_default();
        here.insert(parked.cause.clone(), parked.clone());
        if let Some(link) = parked.reason.link() {
            inner.marks.insert((parked.tenant.clone(), link));
        }
        Ok(())
    }

    async fn marked(
        &self,
        tenant: &TenantId,
        links: &BTreeSet<Link>,
    ) -> Result<BTreeSet<Link>, StoreError> {
        let inner = self.lock();
        let marked = links
            .iter()
            .filter(|link| inner.marks.contains(&(tenant.clone(), (*link).clone())));
        Ok(marked.cloned().collect())
    }

    async fn parked_links(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        before: Timestamp,
        limit: usize,
    ) -> Result<IndexPage<Option<Link>>, StoreError> {
        let place =
            |parked: &Parked| format!("{}#{}", key::instant(parked.parked_at), parked.cause);
        let mut parked = self.all_parked();
        parked.retain(|parked| parked.tenant == *tenant && parked.parked_at < before);
        parked.sort_by_key(place);
        let page = page(parked, place, after, limit);
        Ok(IndexPage {
            entries: page.entries.iter().map(|of| of.reason.link()).collect(),
            unreadable: page.unreadable,
            next: page.next,
        })
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

/// A page of sorted entries, behind a place.
pub(super) fn page<T>(
    entries: Vec<T>,
    place: impl Fn(&T) -> String,
    after: Option<&str>,
    limit: usize,
) -> IndexPage<T> {
    let is_behind = |entry: &T| after.is_none_or(|after| place(entry).as_str() > after);
    let mut entries: Vec<T> = entries.into_iter().filter(is_behind).collect();
    let is_last = entries.len() <= limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| !is_last).map(place);
    IndexPage {
        entries,
        unreadable: Vec::new(),
        next,
    }
}
