//! What a CRM has, in memory, with the conditions of the table.

use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;

use super::MemoryStore;
use crate::crm::{Shown, Shows, Turn};
use crate::ports::StoreError;

/// A contact's turn, and what the CRM has of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Showing {
    until: Option<Timestamp>,
    token: u64,
    shown: Shown,
}

impl Shows for MemoryStore {
    async fn take_turn(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Turn, StoreError> {
        let mut inner = self.lock();
        let showing = inner.shows.entry((tenant.clone(), contact.clone()));
        let showing = showing.or_default();
        if showing.until.is_some_and(|until| until > now) {
            return Ok(Turn::Held);
        }
        showing.until = Some(until);
        showing.token += 1;
        Ok(Turn::Ours(showing.token, showing.shown.clone()))
    }

    async fn shown(&self, tenant: &TenantId, contact: &CustomerId) -> Result<Shown, StoreError> {
        let key = (tenant.clone(), contact.clone());
        let held = self.lock().shows.get(&key).map(|held| held.shown.clone());
        Ok(held.unwrap_or_default())
    }

    async fn note_shown(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        token: u64,
        shown: &Shown,
        until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let showing = inner.shows.entry((tenant.clone(), contact.clone()));
        let showing = showing.or_default();
        if showing.token == token {
            showing.until = until;
            showing.shown = shown.clone();
        }
        Ok(())
    }
}
