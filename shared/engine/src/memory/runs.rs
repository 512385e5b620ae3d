//! Runs in memory, with the conditions of the table.

use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;

use super::MemoryStore;
use crate::ports::{CommitError, Runs, StoreError};
use crate::run::{Drift, Look, Run};

impl Runs for MemoryStore {
    async fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let mut inner = self.lock();
        let lease = inner.leases.entry(tenant.clone()).or_default();
        if lease.0 > now {
            return Ok(None);
        }
        *lease = (until, lease.1 + 1);
        Ok(Some(lease.1))
    }

    async fn release(&self, tenant: &TenantId, token: u64) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let lease = inner.leases.entry(tenant.clone()).or_default();
        if lease.1 == token {
            lease.0 = Timestamp::default();
        }
        Ok(())
    }

    async fn note(&self, run: &Run, token: u64, until: Timestamp) -> Result<(), CommitError> {
        let mut inner = self.lock();
        let lease = inner.leases.entry(run.tenant.clone()).or_default();
        if lease.1 != token {
            return Err(CommitError::Conflict);
        }
        lease.0 = until;
        let key = (run.tenant.clone(), run.id.clone());
        inner.runs.insert(key, run.clone());
        Ok(())
    }

    async fn latest(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Run>, StoreError> {
        let inner = self.lock();
        let runs = inner.runs.iter().rev();
        let of_tenant = runs.filter(|((owner, _), _)| owner == tenant);
        Ok(of_tenant.map(|(_, run)| run.clone()).take(limit).collect())
    }

    async fn run(&self, tenant: &TenantId, id: &str) -> Result<Option<Run>, StoreError> {
        let key = (tenant.clone(), id.to_owned());
        Ok(self.lock().runs.get(&key).cloned())
    }

    async fn note_looks(&self, run: &Run, looks: &[Look]) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let key = |look: &Look| (run.tenant.clone(), run.id.clone(), look.clone());
        inner.looks.extend(looks.iter().map(key));
        Ok(())
    }

    async fn looks(&self, run: &Run) -> Result<Vec<Look>, StoreError> {
        let inner = self.lock();
        let of_run = inner.looks.iter().filter(|(_, id, _)| *id == run.id);
        Ok(of_run.map(|(.., look)| look.clone()).collect())
    }

    async fn note_drift(&self, run: &Run, drift: &[Drift]) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let key = |drift: &Drift| {
            let what = format!("{:?}#{}", drift.class, drift.object);
            (run.tenant.clone(), run.id.clone(), what)
        };
        let new = drift.iter().map(|drift| (key(drift), drift.clone()));
        inner.drift.extend(new);
        Ok(())
    }

    async fn drift(&self, run: &Run) -> Result<Vec<Drift>, StoreError> {
        let inner = self.lock();
        let of_run = inner.drift.iter().filter(|((_, id, _), _)| *id == run.id);
        let mut drift: Vec<Drift> = of_run.map(|(_, drift)| drift.clone()).collect();
        drift.sort_by_key(|drift| (drift.severity, drift.class, drift.object.clone()));
        Ok(drift)
    }

    async fn looked(&self, run: &Run, looks: &[Look]) -> Result<(), StoreError> {
        let mut inner = self.lock();
        for look in looks {
            let key = (run.tenant.clone(), run.id.clone(), look.clone());
            inner.looks.remove(&key);
        }
        Ok(())
    }

    async fn everyone(&self, tenant: &TenantId) -> Result<Vec<CustomerId>, StoreError> {
        let inner = self.lock();
        let ids = inner.contacts.keys().filter(|(of, _)| of == tenant);
        Ok(ids.map(|(_, id)| id.clone()).collect())
    }
}
