//! Runs over all of Stripe's objects: the tenant's lease, what was done, and what was found.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::{CommitError, Runs, StoreError};
use paygraph_engine::run::{Drift, Failure, Look, Run};

use crate::commit::refused;
use crate::item::{Item, doc, get_number, keyed, number, with_doc};
use crate::key;
use crate::store::{DynamoStore, call_failed, failed, if_met};

const LEASE: &str = "LEASE";
const LOOK: &str = "LOOK#";
const DRIFT: &str = "DRIFT#";
const FAILED: &str = "FAILED#";
const RETURNED: &str = "RETURNED#";
/// How long runs and what they found are kept.
const KEPT: i64 = 400 * 86_400;
/// How long the ids that lists returned are kept: longer than any run lasts.
const RETURNED_KEPT: i64 = 30 * 86_400;
/// How many items are written side by side.
const AT_ONCE: usize = 16;

fn look_key(look: &Look) -> String {
    format!("{LOOK}{}#{}", look.customer, look.object)
}

impl DynamoStore {
    async fn put_all(&self, items: Vec<Item>) -> Result<(), StoreError> {
        all(items.into_iter().map(|item| self.put(item))).await
    }
}

/// Does all of it, some side by side.
async fn all(
    work: impl Iterator<Item = impl Future<Output = Result<(), StoreError>>>,
) -> Result<(), StoreError> {
    stream::iter(work)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// An item of a run, kept as long as the run.
fn of_run(run: &Run, mut item: Item) -> Item {
    let expires = run.started_at.unix() + KEPT;
    item.insert("expires_at".to_owned(), number(expires));
    item
}

impl Runs for DynamoStore {
    async fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let taken = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keyed(key::lease(tenant), LEASE)))
            .update_expression("SET #until = :until ADD #token :one")
            .condition_expression("attribute_not_exists(pk) OR #until <= :now")
            .expression_attribute_names("#until", "until")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":until", number(until.unix()))
            .expression_attribute_values(":now", number(now.unix()))
            .expression_attribute_values(":one", number(1))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew)
            .send()
            .await;
        let taken = if_met(taken, "taking the lease")?;
        let item = taken.and_then(|answer| answer.attributes);
        Ok(item.map(|item| get_number(&item, "token")))
    }

    async fn release(&self, tenant: &TenantId, token: u64) -> Result<(), StoreError> {
        let released = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keyed(key::lease(tenant), LEASE)))
            .update_expression("SET #until = :never")
            .condition_expression("#token = :token")
            .expression_attribute_names("#until", "until")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":never", number(0))
            .expression_attribute_values(":token", number(token))
            .send()
            .await;
        if_met(released, "giving the lease back").map(|_| ())
    }

    async fn note(&self, run: &Run, token: u64, until: Timestamp) -> Result<(), CommitError> {
        let item = with_doc(keyed(key::runs(&run.tenant), &run.id), run)?;
        let item = of_run(run, item);
        let mut lease = keyed(key::lease(&run.tenant), LEASE);
        lease.insert("until".to_owned(), number(until.unix()));
        lease.insert("token".to_owned(), number(token));
        // Who holds the lease by now has another token.
        let lease = Put::builder()
            .table_name(self.table())
            .set_item(Some(lease))
            .condition_expression("#token = :token")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":token", number(token));
        let run = Put::builder().table_name(self.table()).set_item(Some(item));
        let mut writes = Vec::new();
        for put in [lease, run] {
            let put = put
                .build()
                .map_err(|error| failed("noting a run", false, error))?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        let noted = self
            .client()
            .transact_write_items()
            .set_transact_items(Some(writes))
            .send()
            .await;
        noted.map(|_| ()).map_err(|error| refused(error, false))
    }

    async fn latest(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Run>, StoreError> {
        Ok(self.runs(tenant, None, limit).await?.entries)
    }

    async fn run(&self, tenant: &TenantId, id: &str) -> Result<Option<Run>, StoreError> {
        let item = self.get(key::runs(tenant), id).await?;
        item.as_ref().map(doc).transpose()
    }

    async fn note_looks(&self, run: &Run, looks: &[Look]) -> Result<(), StoreError> {
        let pk = key::run(&run.tenant, &run.id);
        let mut items = Vec::new();
        for look in looks {
            let item = with_doc(keyed(pk.clone(), look_key(look)), look)?;
            items.push((of_run(run, item), look.unlisted));
        }
        let each = items.into_iter().map(|(item, unlisted)| async move {
            if !unlisted {
                return self.put(item).await;
            }
            // What differs stays so.
            let put = self.client().put_item().table_name(self.table());
            let put = put.set_item(Some(item));
            let put = put.condition_expression("attribute_not_exists(pk)");
            if_met(put.send().await, "noting what is to be asked for").map(|_| ())
        });
        all(each).await
    }

    async fn looks(
        &self,
        run: &Run,
        after: Option<&Look>,
        limit: usize,
    ) -> Result<Vec<Look>, StoreError> {
        let pk = key::run(&run.tenant, &run.id);
        let start = after.map(|look| keyed(pk.clone(), look_key(look)));
        let items = self.query_some(pk, LOOK, start, limit).await?;
        items.iter().map(doc).collect()
    }

    async fn note_failures(&self, run: &Run, failures: &[Failure]) -> Result<(), StoreError> {
        let pk = key::run(&run.tenant, &run.id);
        let item = |failure: &Failure| {
            let sort = format!("{FAILED}{}", failure.object);
            Ok(of_run(run, with_doc(keyed(pk.clone(), sort), failure)?))
        };
        let items = failures.iter().map(item);
        self.put_all(items.collect::<Result<_, StoreError>>()?)
            .await
    }

    async fn failures(&self, run: &Run) -> Result<Vec<Failure>, StoreError> {
        let items = self.query(key::run(&run.tenant, &run.id), FAILED).await?;
        items.iter().map(doc).collect()
    }

    async fn note_returned(&self, run: &Run, name: &str, ids: &[u64]) -> Result<(), StoreError> {
        let pk = key::run(&run.tenant, &run.id);
        let mut item = with_doc(keyed(pk, format!("{RETURNED}{name}")), &ids)?;
        let expires = run.started_at.unix() + RETURNED_KEPT;
        item.insert("expires_at".to_owned(), number(expires));
        self.put(item).await
    }

    async fn returned(&self, run: &Run) -> Result<Vec<u64>, StoreError> {
        let items = self.query(key::run(&run.tenant, &run.id), RETURNED).await?;
        let parts: Vec<Vec<u64>> = items.iter().map(doc).collect::<Result<_, _>>()?;
        Ok(parts.into_iter().flatten().collect())
    }

    async fn note_drift(&self, run: &Run, drift: &[Drift]) -> Result<(), StoreError> {
        let pk = key::run(&run.tenant, &run.id);
        let item = |drift: &Drift| {
            let sort = format!("{DRIFT}{}#{}", drift.class.as_str(), drift.object);
            Ok(of_run(run, with_doc(keyed(pk.clone(), sort), drift)?))
        };
        let items = drift.iter().map(item).collect::<Result<_, StoreError>>()?;
        self.put_all(items).await
    }

    async fn drift(&self, run: &Run) -> Result<Vec<Drift>, StoreError> {
        let items = self.query(key::run(&run.tenant, &run.id), DRIFT).await?;
        let mut drift: Vec<Drift> = items.iter().map(doc).collect::<Result<_, _>>()?;
        drift.sort_by(|a, b| {
            (a.severity, a.class, &a.object).cmp(&(b.severity, b.class, &b.object))
        });
        Ok(drift)
    }

    async fn looked(&self, run: &Run, looks: &[Look]) -> Result<(), StoreError> {
        let pk = key::run(&run.tenant, &run.id);
        let keys = looks.iter().map(|look| keyed(pk.clone(), look_key(look)));
        let keys: Vec<Item> = keys.collect();
        let each = keys.into_iter().map(|keys| async {
            let delete = self.client().delete_item().table_name(self.table());
            let done = delete.set_key(Some(keys)).send().await;
            let failed = |error| call_failed("taking out what was looked at", error);
            done.map(|_| ()).map_err(failed)
        });
        all(each).await
    }

    async fn everyone(&self, tenant: &TenantId) -> Result<Vec<CustomerId>, StoreError> {
        Self::everyone(self, tenant, |_| ()).await
    }
}
