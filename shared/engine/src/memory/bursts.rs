//! Bursts of alerts in memory, with the conditions of the table.

use std::collections::BTreeSet;

use paygraph_domain::alert::{AlertId, Channel};
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;

use super::MemoryStore;
use crate::alert::{AlertBursts, Burst, BurstShare, SINGLE_MESSAGES};
use crate::ports::StoreError;

/// A burst as it is kept.
#[derive(Debug, Default)]
pub(super) struct BurstState {
    singles: BTreeSet<AlertId>,
    digest: BTreeSet<AlertId>,
    is_closed: bool,
}

impl AlertBursts for MemoryStore {
    async fn join_burst(
        &self,
        tenant: &TenantId,
        burst: &Burst,
        alert: &AlertId,
    ) -> Result<BurstShare, StoreError> {
        let mut inner = self.lock();
        let state = inner.bursts.entry((tenant.clone(), *burst)).or_default();
        if state.singles.contains(alert) {
            return Ok(BurstShare::Single);
        }
        if state.digest.contains(alert) {
            return Ok(BurstShare::Digest);
        }
        if state.singles.len() < SINGLE_MESSAGES {
            state.singles.insert(alert.clone());
            return Ok(BurstShare::Single);
        }
        if state.is_closed {
            return Ok(BurstShare::Single);
        }
        state.digest.insert(alert.clone());
        Ok(BurstShare::Digest)
    }

    async fn close_burst(&self, tenant: &TenantId, burst: &Burst) -> Result<usize, StoreError> {
        let mut inner = self.lock();
        let state = inner.bursts.entry((tenant.clone(), *burst)).or_default();
        state.is_closed = true;
        Ok(state.digest.len())
    }

    async fn reserve_second(
        &self,
        tenant: &TenantId,
        channel: Channel,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut inner = self.lock();
        let free = inner.channel_seconds.entry((tenant.clone(), channel));
        let free = free.or_insert(now);
        let second = now.max(*free);
        if second > latest {
            return Ok(None);
        }
        *free = second.plus(1);
        Ok(Some(second))
    }

    async fn hold_channel(
        &self,
        tenant: &TenantId,
        channel: Channel,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let free = inner.channel_seconds.entry((tenant.clone(), channel));
        let free = free.or_insert(until);
        *free = until.max(*free);
        Ok(())
    }
}
