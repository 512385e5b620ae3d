//! E-mails in memory, with the conditions of the table.

use paygraph_domain::email::{Outbound, Recipient, Suppressed};
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;

use super::MemoryStore;
use crate::email::Emails;
use crate::ports::StoreError;

impl Emails for MemoryStore {
    async fn recipient(
        &self,
        tenant: &TenantId,
        address: &str,
        token: &str,
    ) -> Result<Recipient, StoreError> {
        let mut inner = self.lock();
        let key = (tenant.clone(), address.to_owned());
        let new = || Recipient {
            token: token.to_owned(),
            suppressed: None,
        };
        Ok(inner.recipients.entry(key).or_insert_with(new).clone())
    }

    async fn suppress(
        &self,
        tenant: &TenantId,
        address: &str,
        token: Option<&str>,
        why: Suppressed,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        let key = (tenant.clone(), address.to_owned());
        let Some(known) = inner.recipients.get_mut(&key) else {
            return Ok(false);
        };
        if token.is_some_and(|token| token != known.token) {
            return Ok(false);
        }
        known.suppressed.get_or_insert(why);
        Ok(true)
    }

    async fn outbound(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
    ) -> Result<Outbound, StoreError> {
        self.let_others_in().await;
        let inner = self.lock();
        let key = (tenant.clone(), contact.clone());
        Ok(inner.outbound.get(&key).cloned().unwrap_or_default())
    }

    async fn keep_outbound(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        outbound: &Outbound,
    ) -> Result<bool, StoreError> {
        self.let_others_in().await;
        let mut inner = self.lock();
        let held = inner.outbound.entry((tenant.clone(), contact.clone()));
        let held = held.or_default();
        let is_next = held.rev + 1 == outbound.rev;
        if is_next {
            *held = outbound.clone();
        }
        Ok(is_next)
    }
}
