//! Claims in memory, with the conditions of the table.

use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;

use super::MemoryStore;
use crate::ports::StoreError;
use crate::target::{Claim, Effect, Effects};

/// What is known of an effect.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Claimed {
    until: Timestamp,
    token: u64,
    done: bool,
}

impl Effects for MemoryStore {
    async fn claim(
        &self,
        tenant: &TenantId,
        effect: &Effect,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, StoreError> {
        let mut inner = self.lock();
        let key = (tenant.clone(), effect.clone());
        let known = inner.effects.entry(key).or_default();
        if known.done {
            return Ok(Claim::Done);
        }
        if known.until > now {
            return Ok(Claim::Held);
        }
        (known.until, known.token) = (until, known.token + 1);
        Ok(Claim::Ours(known.token))
    }

    async fn done(
        &self,
        tenant: &TenantId,
        effect: &Effect,
        token: u64,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let key = (tenant.clone(), effect.clone());
        let known = inner.effects.entry(key).or_default();
        known.done |= known.token == token;
        Ok(())
    }
}
