//! Turns: who changes a tenant's own alerts does so alone.
//!
//! The events of a run come by the hundred, and side by side they would only find that another one
//! is at it, and come again minutes later. Tenants do not wait for each other.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use paygraph_domain::id::TenantId;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A turn for each tenant of whom this process has heard.
#[derive(Debug, Default)]
pub(crate) struct Turns(std::sync::Mutex<BTreeMap<TenantId, Arc<Mutex<()>>>>);

impl Turns {
    /// Waits for the tenant's turn. It ends when it is dropped.
    pub(crate) async fn of(&self, tenant: &TenantId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(tenant.clone()).or_default().clone()
        };
        turn.lock_owned().await
    }
}
