//! Products, prices and coupons: what names and values everything else.

use paygraph_domain::account::{CatalogEntry, CatalogKey, Stored};
use paygraph_domain::apply::apply_catalog;
use paygraph_domain::fact::Fact;
use paygraph_domain::objects::catalog::Limit;
use paygraph_domain::order::Disposition;

use super::complete::readable;
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
                && let Some(wanted) = wanted(entry.as_ref().or(stored.as_ref()))
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

/// What has to be fetched to complete an entry: no event tells which products a coupon is for.
fn wanted(entry: Option<&Stored<CatalogEntry>>) -> Option<Wanted> {
    match &*entry?.value {
        CatalogEntry::Coupon(tracked) => {
            let coupon = tracked.get();
            let lacks = coupon.limit() == Limit::NotTold && !coupon.deleted;
            lacks.then(|| Wanted::Coupon(coupon.id.clone()))
        }
        CatalogEntry::Product(_) | CatalogEntry::Price(_) => None,
    }
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
