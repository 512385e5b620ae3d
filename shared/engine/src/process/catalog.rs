//! Products, prices and coupons: what names and values everything else.

use paygraph_domain::account::CatalogKey;
use paygraph_domain::apply::apply_catalog;
use paygraph_domain::fact::Fact;
use paygraph_domain::order::Disposition;

use super::{Done, Engine, Origin, ProcessError, Processed, finish};
use crate::backoff::pause;
use crate::fetch::Fetch;
use crate::ports::{Clock, Commit, CommitError, Store};

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
        loop {
            let mut commit = Commit::new(origin.tenant.clone());
            let mut disposition = Disposition::Stale;
            let stored = self.store.catalog_entry(origin.tenant, key).await?;
            if let Some(entry) = apply_catalog(stored, fact) {
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
}
