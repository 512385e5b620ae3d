//! Runs over all of Stripe's objects: the tenant's lease, what was done, and what was found.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use futures::StreamExt as _;
use futures::stream;
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::{CommitError, Runs, StoreError};
use paygraph_engine::run::{Drift, Look, Run};

use crate::commit::refused;
use crate::item::{Item, doc, get_number, get_text, keyed, number, text, with_doc};
use crate::key;
use crate::read::{Cursor, MAX_PAGE, Page};
use crate::store::{DynamoStore, call_failed, failed};

/// What the names of runs begin with.
const RUN: &str = "run-";
/// What the cursors of the list of runs begin with.
const RUNS: &str = "RUNS#";
const LEASE: &str = "LEASE";
const LOOK: &str = "LOOK#";
const DRIFT: &str = "DRIFT#";
/// How long runs and what they found are kept.
const KEPT: i64 = 400 * 86_400;
/// How many items are written side by side.
const AT_ONCE: usize = 16;

fn look_key(look: &Look) -> String {
    format!("{LOOK}{}#{}", look.customer, look.object)
}

impl DynamoStore {
    /// The tenant's runs, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn runs(
        &self,
        tenant: &TenantId,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Run>, StoreError> {
        let mut query = self
            .client()
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :pk AND begins_with(sk, :run)")
            .expression_attribute_values(":pk", text(key::runs(tenant)))
            .expression_attribute_values(":run", text(RUN))
            .scan_index_forward(false)
            .limit(i32::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(i32::MAX));
        if let Some(after) = after.and_then(|after| after.place(RUNS)) {
            query = query.set_exclusive_start_key(Some(keyed(key::runs(tenant), after)));
        }
        let answer = query
            .send()
            .await
            .map_err(|error| call_failed("listing runs", error))?;
        let last = answer
            .last_evaluated_key()
            .and_then(|key| get_text(key, "sk"));
        let next = last.map(|sort| Cursor::new(format!("{RUNS}{sort}")));
        let entries = answer.items().iter().map(doc);
        Ok(Page {
            entries: entries.collect::<Result<_, StoreError>>()?,
            next,
        })
    }

    async fn put_all(&self, items: Vec<Item>) -> Result<(), StoreError> {
        let mut puts =
            stream::iter(items.into_iter().map(|item| self.put(item))).buffer_unordered(AT_ONCE);
        while let Some(done) = puts.next().await {
            done?;
        }
        Ok(())
    }
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
            .set_key(Some(keyed(key::runs(tenant), LEASE)))
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
        match taken {
            Ok(answer) => Ok(answer.attributes.map(|item| get_number(&item, "token"))),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(call_failed("taking the lease", error)),
        }
    }

    async fn release(&self, tenant: &TenantId, token: u64) -> Result<(), StoreError> {
        let released = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keyed(key::runs(tenant), LEASE)))
            .update_expression("SET #until = :never")
            .condition_expression("#token = :token")
            .expression_attribute_names("#until", "until")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":never", number(0))
            .expression_attribute_values(":token", number(token))
            .send()
            .await;
        match released {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(call_failed("giving the lease back", error)),
        }
    }

    async fn note(&self, run: &Run, token: u64, until: Timestamp) -> Result<(), CommitError> {
        let mut item = with_doc(keyed(key::runs(&run.tenant), &run.id), run)?;
        item.insert(
            "expires_at".to_owned(),
            number(run.started_at.unix() + KEPT),
        );
        let mut lease = keyed(key::runs(&run.tenant), LEASE);
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

    async fn run(&self, tenant: &TenantId, id: &str) -> Result<Option<Run>, StoreError> {
        let item = self.get(key::runs(tenant), id).await?;
        item.as_ref().map(doc).transpose()
    }

    async fn note_looks(&self, run: &Run, looks: &[Look]) -> Result<(), StoreError> {
        let pk = key::run(&run.tenant, &run.id);
        let item = |look: &Look| {
            let mut item = with_doc(keyed(pk.clone(), look_key(look)), look)?;
            item.insert(
                "expires_at".to_owned(),
                number(run.started_at.unix() + KEPT),
            );
            Ok(item)
        };
        let items = looks.iter().map(item).collect::<Result<_, StoreError>>()?;
        self.put_all(items).await
    }

    async fn looks(&self, run: &Run) -> Result<Vec<Look>, StoreError> {
        let items = self.query(key::run(&run.tenant, &run.id), LOOK).await?;
        items.iter().map(doc).collect()
    }

    async fn note_drift(&self, run: &Run, drift: &[Drift]) -> Result<(), StoreError> {
        let pk = key::run(&run.tenant, &run.id);
        let item = |drift: &Drift| {
            let sort = format!("{DRIFT}{}#{}", drift.class.as_str(), drift.object);
            let mut item = with_doc(keyed(pk.clone(), sort), drift)?;
            item.insert(
                "expires_at".to_owned(),
                number(run.started_at.unix() + KEPT),
            );
            Ok(item)
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
            done.map_err(|error| call_failed("taking out what was looked at", error))
        });
        let mut done = stream::iter(each).buffer_unordered(AT_ONCE);
        while let Some(done) = done.next().await {
            done?;
        }
        Ok(())
    }

    async fn everyone(&self, tenant: &TenantId) -> Result<Vec<CustomerId>, StoreError> {
        Self::everyone(self, tenant, |_| ()).await
    }
}
