//! Watches in memory, with the conditions of the table.

use std::collections::BTreeSet;

use paygraph_domain::id::{Cause, TenantId};

use super::MemoryStore;
use crate::ports::{CommitError, StoreError};
use crate::watch::{Watch, Watches};

impl Watches for MemoryStore {
    async fn watch(&self, tenant: &TenantId) -> Result<Option<Watch>, StoreError> {
        Ok(self.lock().watches.get(tenant).cloned())
    }

    async fn note_watch(&self, tenant: &TenantId, watch: &Watch) -> Result<(), CommitError> {
        let mut inner = self.lock();
        let known = inner.watches.get(tenant).map_or(0, |known| known.rev);
        if known != watch.rev {
            return Err(CommitError::Conflict);
        }
        let rev = watch.rev + 1;
        let next = watch.clone();
        inner.watches.insert(tenant.clone(), Watch { rev, ..next });
        Ok(())
    }

    async fn unknown(
        &self,
        tenant: &TenantId,
        causes: &[Cause],
    ) -> Result<BTreeSet<Cause>, StoreError> {
        let inner = self.lock();
        let waits = |cause: &Cause| {
            let mut places = inner.parked.iter();
            places.any(|((of, _), held)| of == tenant && held.contains_key(cause))
        };
        let is_known = |cause: &Cause| {
            inner.ledger.contains_key(&(tenant.clone(), cause.clone())) || waits(cause)
        };
        let unknown = causes.iter().filter(|cause| !is_known(cause));
        Ok(unknown.cloned().collect())
    }
}
