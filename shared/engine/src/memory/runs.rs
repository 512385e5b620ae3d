//! Runs in memory, with the conditions of the table.

use paygraph_domain::id::{CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::time::Timestamp;

use super::MemoryStore;
use crate::ports::{CommitError, Runs, StoreError};
use crate::run::{Drift, Failure, Look, Run};

type LookKey = (TenantId, String, (StripeCustomerId, String));

fn look_key(run: &Run, look: &Look) -> LookKey {
    let place = (look.customer.clone(), look.object.clone());
    (run.tenant.clone(), run.id.clone(), place)
}

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
        self.let_others_in().await;
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
        self.let_others_in().await;
        let mut inner = self.lock();
        for look in looks {
            let key = look_key(run, look);
            if look.unlisted {
                inner.looks.entry(key).or_insert_with(|| look.clone());
            } else {
                inner.looks.insert(key, look.clone());
            }
        }
        Ok(())
    }

    async fn looks(
        &self,
        run: &Run,
        after: Option<&Look>,
        limit: usize,
    ) -> Result<Vec<Look>, StoreError> {
        let inner = self.lock();
        let after = after.map(|look| look_key(run, look));
        let of_run = inner
            .looks
            .iter()
            .filter(|((tenant, id, _), _)| *tenant == run.tenant && *id == run.id);
        let rest = of_run.filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
        Ok(rest.map(|(_, look)| look.clone()).take(limit).collect())
    }

    async fn note_failures(&self, run: &Run, failures: &[Failure]) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let row = |failure: &Failure| {
            let key = (run.tenant.clone(), run.id.clone(), failure.object.clone());
            (key, failure.clone())
        };
        inner.failures.extend(failures.iter().map(row));
        Ok(())
    }

    async fn failures(&self, run: &Run) -> Result<Vec<Failure>, StoreError> {
        let inner = self.lock();
        let of_run = inner
            .failures
            .iter()
            .filter(|((_, id, _), _)| *id == run.id);
        Ok(of_run.map(|(_, failure)| failure.clone()).collect())
    }

    async fn note_returned(&self, run: &Run, name: &str, ids: &[u64]) -> Result<(), StoreError> {
        self.let_others_in().await;
        let key = (run.tenant.clone(), run.id.clone(), name.to_owned());
        self.lock().returned.insert(key, ids.to_vec());
        Ok(())
    }

    async fn returned(&self, run: &Run) -> Result<Vec<u64>, StoreError> {
        let inner = self.lock();
        let of_run = inner
            .returned
            .iter()
            .filter(|((_, id, _), _)| *id == run.id);
        Ok(of_run.flat_map(|(_, ids)| ids.iter().copied()).collect())
    }

    async fn note_drift(&self, run: &Run, drift: &[Drift]) -> Result<(), StoreError> {
        self.let_others_in().await;
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
        self.let_others_in().await;
        let mut inner = self.lock();
        for look in looks {
            inner.looks.remove(&look_key(run, look));
        }
        Ok(())
    }

    async fn everyone(&self, tenant: &TenantId) -> Result<Vec<CustomerId>, StoreError> {
        let inner = self.lock();
        let ids = inner.contacts.keys().filter(|(of, _)| of == tenant);
        Ok(ids.map(|(_, id)| id.clone()).collect())
    }
}
