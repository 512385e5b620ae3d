//! Facts and days in memory, with the conditions of the table.

use paygraph_domain::analytics::{Day, Fact};
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;

use super::MemoryStore;
use crate::analytics::{Analytics, Census};
use crate::ports::{CommitError, StoreError};

impl Analytics for MemoryStore {
    async fn keep_fact(
        &self,
        tenant: &TenantId,
        event: &str,
        fact: &Fact,
    ) -> Result<(), StoreError> {
        let key = (tenant.clone(), fact.at, event.to_owned());
        self.lock().facts.insert(key, fact.clone());
        Ok(())
    }

    async fn facts(
        &self,
        tenant: &TenantId,
        (from, to): (Day, Day),
        each: &mut (dyn FnMut(Fact) + Send),
    ) -> Result<(), StoreError> {
        let inner = self.lock();
        let within = |at: Timestamp| at >= from.start() && at < to.end();
        let facts = inner.facts.iter();
        let own = facts.filter(|((whose, at, _), _)| whose == tenant && within(*at));
        own.for_each(|(_, fact)| each(fact.clone()));
        Ok(())
    }

    async fn censuses(
        &self,
        tenant: &TenantId,
        (from, to): (Day, Day),
    ) -> Result<Vec<Census>, StoreError> {
        let inner = self.lock();
        let days = inner
            .censuses
            .range((tenant.clone(), from)..=(tenant.clone(), to));
        Ok(days.map(|(_, census)| census.clone()).collect())
    }

    async fn note_census(
        &self,
        tenant: &TenantId,
        census: &Census,
        _: Timestamp,
    ) -> Result<(), CommitError> {
        let mut inner = self.lock();
        let key = (tenant.clone(), census.day);
        let held = inner.censuses.get(&key).map_or(0, |held| held.rev);
        if held != census.rev {
            return Err(CommitError::Conflict);
        }
        let rev = census.rev + 1;
        let next = census.clone();
        inner.censuses.insert(key, Census { rev, ..next });
        Ok(())
    }

    async fn everybody(&self, tenant: &TenantId) -> Result<Vec<CustomerId>, StoreError> {
        let inner = self.lock();
        let own = inner.contacts.keys().filter(|(whose, _)| whose == tenant);
        Ok(own.map(|(_, id)| id.clone()).collect())
    }

    async fn those(
        &self,
        tenant: &TenantId,
        ids: &[CustomerId],
    ) -> Result<Vec<Contact>, StoreError> {
        let inner = self.lock();
        let found = ids
            .iter()
            .filter_map(|id| inner.contacts.get(&(tenant.clone(), id.clone())));
        Ok(found.cloned().collect())
    }
}
