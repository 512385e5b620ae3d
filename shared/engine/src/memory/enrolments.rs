//! Enrolments in memory, with the conditions of the table.

use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::sequence::Enrolment;
use paygraph_domain::time::Timestamp;

use super::store::page;
use super::{MemoryStore, shard_of};
use crate::ports::{IndexPage, StoreError, key};
use crate::sequence::{DueEnrolment, Enrolments};

impl MemoryStore {
    /// Every enrolment, by contact and sequence.
    #[must_use]
    pub fn all_enrolments(&self) -> Vec<(CustomerId, Enrolment)> {
        let inner = self.lock();
        let all = inner.enrolments.iter();
        all.map(|((_, contact, _), enrolment)| (contact.clone(), enrolment.clone()))
            .collect()
    }
}

impl Enrolments for MemoryStore {
    async fn enrolments(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
    ) -> Result<Vec<Enrolment>, StoreError> {
        self.let_others_in().await;
        let inner = self.lock();
        let all = inner.enrolments.iter();
        let theirs = all.filter(|((owner, of, _), _)| owner == tenant && of == contact);
        Ok(theirs.map(|(_, enrolment)| enrolment.clone()).collect())
    }

    async fn enrolment(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        sequence: &str,
    ) -> Result<Option<Enrolment>, StoreError> {
        self.let_others_in().await;
        let key = (tenant.clone(), contact.clone(), sequence.to_owned());
        Ok(self.lock().enrolments.get(&key).cloned())
    }

    async fn due_enrolments(
        &self,
        shard: u64,
        after: Option<&str>,
        until: Timestamp,
        limit: usize,
    ) -> Result<IndexPage<DueEnrolment>, StoreError> {
        let inner = self.lock();
        let all = inner.enrolments.iter();
        let mut due: Vec<_> = all
            .filter(|((_, contact, _), _)| shard_of(contact) == shard)
            .filter_map(|((tenant, contact, sequence), enrolment)| {
                Some(DueEnrolment {
                    at: enrolment.due().filter(|at| *at <= until)?,
                    tenant: tenant.clone(),
                    contact: contact.clone(),
                    sequence: sequence.clone(),
                })
            })
            .collect();
        due.sort();
        let place = |due: &DueEnrolment| {
            let DueEnrolment {
                at,
                tenant,
                contact,
                sequence,
            } = due;
            format!("{}#{tenant}#{contact}#{sequence}", key::instant(*at))
        };
        Ok(page(due, place, after, limit))
    }
}
