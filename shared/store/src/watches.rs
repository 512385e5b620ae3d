//! What the watch over Stripe's events notes, and which events were processed.

use std::collections::BTreeSet;

use paygraph_domain::id::{Cause, TenantId};
use paygraph_engine::ports::{CommitError, StoreError};
use paygraph_engine::watch::{Watch, Watches};

use crate::item::{doc, get_text, keyed, number, text, with_doc};
use crate::key;
use crate::store::{DynamoStore, call_failed, if_met};

/// The sort key of the watch.
const WATCH: &str = "WATCH";

impl Watches for DynamoStore {
    async fn watch(&self, tenant: &TenantId) -> Result<Option<Watch>, StoreError> {
        let item = self.get(key::health(tenant), WATCH).await?;
        item.as_ref().map(doc).transpose()
    }

    async fn note_watch(&self, tenant: &TenantId, watch: &Watch) -> Result<(), CommitError> {
        let mut next = watch.clone();
        next.rev += 1;
        let mut item = with_doc(keyed(key::health(tenant), WATCH), &next)?;
        item.insert("rev".to_owned(), number(next.rev));
        let put = self
            .client()
            .put_item()
            .table_name(self.table())
            .set_item(Some(item));
        let put = match watch.rev {
            0 => put.condition_expression("attribute_not_exists(pk)"),
            before => put
                .condition_expression("rev = :rev")
                .expression_attribute_values(":rev", number(before)),
        };
        let noted = if_met(put.send().await, "noting a watch")?;
        noted.map(|_| ()).ok_or(CommitError::Conflict)
    }

    async fn unknown(
        &self,
        tenant: &TenantId,
        causes: &[Cause],
    ) -> Result<BTreeSet<Cause>, StoreError> {
        let keys: BTreeSet<_> = causes
            .iter()
            .map(|cause| key::ledger(tenant, cause))
            .collect();
        let keys = keys.into_iter().map(|pk| keyed(pk, key::EVENT));
        let items = self.batch_get(keys.collect(), "looking for events").await?;
        let known: BTreeSet<&str> = items
            .iter()
            .filter_map(|item| get_text(item, "pk"))
            .collect();
        let is_known = |cause: &Cause| known.contains(key::ledger(tenant, cause).as_str());
        let unknown = causes.iter().filter(|cause| !is_known(cause));
        let mut unknown: BTreeSet<_> = unknown.cloned().collect();
        if !unknown.is_empty() {
            for waiting in self.waiting(tenant).await? {
                unknown.remove(&waiting);
            }
        }
        Ok(unknown)
    }
}

impl DynamoStore {
    /// The causes of all that is parked; may be some seconds old.
    pub(crate) async fn waiting(&self, tenant: &TenantId) -> Result<Vec<Cause>, StoreError> {
        let query = self
            .client()
            .query()
            .table_name(self.table())
            .index_name("tenant")
            .key_condition_expression("tenant_pk = :listing")
            .expression_attribute_values(":listing", text(key::parked_listing(tenant)));
        let mut pages = query.into_paginator().send();
        let mut causes = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| call_failed("looking for what waits", error))?;
            let items = page.items().iter();
            causes.extend(items.filter_map(|item| Cause::parse(get_text(item, "sk")?).ok()));
        }
        Ok(causes)
    }
}
