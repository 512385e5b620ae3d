//! Products, prices and coupons: what names and values everything else.

use paygraph_domain::account::{Catalog, CatalogEntry, CatalogKey, Stored};
use paygraph_domain::apply::{apply_catalog, catalog_key};
use paygraph_domain::fact::Fact;
use paygraph_domain::order::Disposition;

use super::complete::{readable, readable_entry};
use super::{Done, Engine, Origin, ProcessError, Processed, finish};
use crate::backoff::pause;
use crate::fetch::{Fetch, Wanted};
use crate::ports::{Clock, Commit, CommitError, Store, StoreError};

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    pub(crate) async fn process_catalog(
        &self,
        origin: &Origin<'_>,
        fact: &Fact,
        key: &CatalogKey,
    ) -> Result<Processed, ProcessError> {
        let done = self.commit_catalog(origin, fact, key).await?;
        let released = self.compute_awaiting(origin, key).await?;
        Ok(Processed { done, released })
    }

    async fn commit_catalog(
        &self,
        origin: &Origin<'_>,
        fact: &Fact,
        key: &CatalogKey,
    ) -> Result<Done, ProcessError> {
        let mut attempt = 0;
        let mut asked = None;
        loop {
            let mut commit = Commit::new(origin.tenant.clone());
            let mut disposition = Disposition::Stale;
            let stored = self.store.catalog_entry(origin.tenant, key).await?;
            let mut entry = apply_catalog(stored.clone(), fact);
            if origin.is_message
                && let Some(wanted) = wanted(key, entry.as_ref().or(stored.as_ref()), fact)
            {
                let told = match asked.take() {
                    Some(told) => told,
                    None => self.told(origin, fact, &wanted).await?,
                };
                if let Some(told) = &told {
                    entry = completed(entry, stored, told);
                }
                asked = Some(told);
            }
            if let Some(entry) = entry {
                disposition = Disposition::Applied;
                commit.catalog = Some((key.clone(), entry));
            }
            if origin.is_message || commit.catalog.is_some() {
                let outbox = origin.seal(None, None, Vec::new());
                commit.ledger = Some(self.entry(origin, disposition, outbox));
            }
            match self.commit(origin, commit).await {
                Err(CommitError::Conflict) if origin.deadline.has_time() => {
                    attempt += 1;
                    pause(attempt).await;
                }
                done => return finish(done),
            }
        }
    }

    /// Asks Stripe for an entry that a message's customer waits for, and keeps the answer: no event
    /// of a price or coupon may ever come, and a list expands four levels only.
    ///
    /// # Errors
    /// [`ProcessError`]; whoever waits for it stays marked.
    pub(super) async fn fetch_awaited(
        &self,
        origin: &Origin<'_>,
        key: &CatalogKey,
    ) -> Result<(), ProcessError> {
        let Some(wanted) = Wanted::of_catalog(key).filter(|_| origin.is_message) else {
            return Ok(());
        };
        let mut known = Catalog::default();
        if let Some(entry) = self.store.catalog_entry(origin.tenant, key).await? {
            known.insert(&entry.value);
        }
        if !known.lacks(key) {
            return Ok(());
        }
        let Some(fetched) = self.ask(origin, &wanted).await? else {
            return Ok(());
        };
        let alone = Origin {
            tenant: origin.tenant,
            cause: origin.cause.part(&key.sort_key()),
            event_type: origin.event_type.clone(),
            at: origin.at,
            source: origin.source,
            is_message: false,
            told: Vec::new(),
            deadline: origin.deadline,
        };
        match readable_entry(&wanted, &fetched, &alone) {
            Some(fact) if catalog_key(&fact.body).as_ref() == Some(key) => {
                self.commit_catalog(&alone, &fact, key).await.map(|_| ())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What Stripe tells of an entry if it is asked.
    async fn told(
        &self,
        origin: &Origin<'_>,
        fact: &Fact,
        wanted: &Wanted,
    ) -> Result<Option<Fact>, StoreError> {
        let fetched = self.ask(origin, wanted).await?;
        let told = fetched.and_then(|fetched| readable(wanted, &fetched, fact));
        Ok(told.filter(|told| told.body.id() == fact.body.id()))
    }
}

/// What has to be fetched to complete an entry after an event of it. No event tells a price's tiers,
/// a coupon's products, or the amounts in other currencies; an update may have changed the last.
fn wanted(key: &CatalogKey, entry: Option<&Stored<CatalogEntry>>, fact: &Fact) -> Option<Wanted> {
    let entry = entry?;
    let (is_deleted, has_options) = match &*entry.value {
        CatalogEntry::Product(_) => return None,
        CatalogEntry::Price(tracked) => (false, !tracked.get().currency_options.get().is_empty()),
        CatalogEntry::Coupon(tracked) => {
            let coupon = tracked.get();
            (coupon.deleted, !coupon.currency_options.get().is_empty())
        }
    };
    let mut known = Catalog::default();
    known.insert(&entry.value);
    let may_have_changed = has_options && fact.event_type.ends_with(".updated");
    Wanted::of_catalog(key).filter(|_| !is_deleted && (known.lacks(key) || may_have_changed))
}

/// An entry, as it is stored or to be written, with what Stripe tells of it beside.
fn completed(
    changed: Option<Stored<CatalogEntry>>,
    stored: Option<Stored<CatalogEntry>>,
    told: &Fact,
) -> Option<Stored<CatalogEntry>> {
    let rev = stored.as_ref().map_or(0, |stored| stored.rev);
    let known = changed.clone().or(stored);
    // Both are one write.
    let known = known.map(|known| Stored { rev, ..known });
    apply_catalog(known, told).or(changed)
}
