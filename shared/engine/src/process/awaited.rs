//! Customers whose worth depends on a catalog entry that has not come yet: the entry is asked for,
//! and they are computed again once it has come.
//!
//! Each waits by a note under the entry's key, which is written and removed in the commits of its
//! roll-up, so what was done before a crash is not done again.

use std::collections::BTreeSet;

use futures::future::join_all;
use paygraph_domain::account::{Catalog, CatalogKey};

use super::{Engine, Origin, ProcessError};
use crate::fetch::Fetch;
use crate::ports::{Clock, LedgerEntry, Store};
use crate::tick::Reason;

/// How many contacts are computed side by side.
const AT_ONCE: usize = 16;
/// How many contacts one delivery computes; for what is left the message comes again.
const MAX_COMPUTED: usize = 1_000;

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Computes every contact again that waits for a catalog entry, if that tells all by now.
    pub(crate) async fn compute_awaiting(
        &self,
        origin: &Origin<'_>,
        key: &CatalogKey,
    ) -> Result<Vec<LedgerEntry>, ProcessError> {
        if matches!(key, CatalogKey::Product(_)) {
            return Ok(Vec::new());
        }
        let tenant = origin.tenant;
        let mut known = Catalog::default();
        if let Some(entry) = self.store.catalog_entry(tenant, key).await? {
            known.insert(&entry.value);
        }
        let lacks = known.lacks(key);
        // An entry tells most before it tells what Stripe says only if it is asked.
        let tells_some = match key {
            CatalogKey::Product(_) => false,
            CatalogKey::Price(id) => known.prices.contains_key(id),
            CatalogKey::Coupon(id) => known.coupons.contains_key(id),
        };
        if !tells_some {
            return Ok(Vec::new());
        }
        let awaiting = self.store.awaiting(tenant, key).await?;
        let left = awaiting.len() > MAX_COMPUTED;
        let mut contacts = BTreeSet::new();
        for customer in awaiting.iter().take(MAX_COMPUTED) {
            contacts.extend(self.store.contact_of(tenant, customer).await?);
        }
        let contacts: Vec<_> = contacts.into_iter().collect();
        let reason = Reason::Known(origin.cause.clone(), origin.source);
        let (now, deadline) = (origin.at, origin.deadline);
        let mut entries = Vec::new();
        for some in contacts.chunks(AT_ONCE) {
            if !deadline.has_time() {
                return Err(ProcessError::Busy);
            }
            let each = some
                .iter()
                .map(|id| self.recompute(tenant, id, now, &reason, deadline));
            for (id, computed) in some.iter().zip(join_all(each).await) {
                match computed {
                    Ok(entry) => entries.extend(entry),
                    Err(error) if error.retry => return Err(error.into()),
                    // One contact that cannot be read must not hold up all others.
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::error!(code = "not_computed", error, contact.id = %id, "A contact could not be computed");
                    }
                }
            }
        }
        // Whoever needs all of it waits on, and would be first again.
        if left && !lacks {
            return Err(ProcessError::Busy);
        }
        Ok(entries)
    }
}
