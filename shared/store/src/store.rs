//! One table of DynamoDB, and the calls that everything here is made of.

pub(crate) mod index;
mod port;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use paygraph_domain::account::{CatalogEntry, CatalogKey};
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_engine::ports::limits::MAX_BATCH_GET;
use paygraph_engine::ports::{CommitError, StoreError};

use crate::cache::Cache;
use crate::commit::{is_busy, is_refusal, refusal_text};
use crate::item::{Item, keyed, text};

/// How old settings and catalog entries may be.
const KEEP: Duration = Duration::from_secs(60);
/// How often keys that a batch left out are asked for again.
const BATCH_ATTEMPTS: u32 = 5;

/// One table.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    table: String,
    default_settings: Arc<Settings>,
    settings: Arc<Cache<TenantId, Arc<Settings>>>,
    entries: Arc<Cache<(TenantId, CatalogKey), CatalogEntry>>,
}

/// An error of the SDK's with what was tried.
pub(crate) fn failed(
    context: &str,
    retry: bool,
    error: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError {
        context: context.to_owned(),
        retry,
        source: Some(Box::new(error)),
    }
}

/// An error of a call: worth another attempt unless DynamoDB calls the request itself wrong.
pub(crate) fn call_failed<E>(context: &str, error: SdkError<E>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let service = error.as_service_error();
    let code = service.and_then(ProvideErrorMetadata::code);
    let retry = !is_refusal(code) && code != Some("AccessDeniedException");
    let context = service.map_or_else(
        || context.to_owned(),
        |service| refusal_text(context, service),
    );
    failed(&context, retry, error)
}

/// What a conditional write came to; none when its condition was not met.
pub(crate) fn if_met<T, E>(
    done: Result<T, SdkError<E>>,
    context: &str,
) -> Result<Option<T>, StoreError>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let code = |error: &SdkError<E>| {
        let service = error.as_service_error();
        let code = service.and_then(ProvideErrorMetadata::code);
        code == Some("ConditionalCheckFailedException")
    };
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if code(&error) => Ok(None),
        Err(error) => Err(call_failed(context, error)),
    }
}

impl DynamoStore {
    /// The store over a table, for tenants that have no settings of their own yet.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, default_settings: Settings) -> Self {
        Self {
            client,
            table: table.into(),
            default_settings: Arc::new(default_settings),
            settings: Arc::new(Cache::new(KEEP)),
            entries: Arc::new(Cache::new(KEEP)),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    pub(crate) fn forget_settings(&self, tenant: &TenantId) {
        self.settings.forget(tenant);
    }

    /// One item, read consistently.
    pub(crate) async fn get(
        &self,
        pk: String,
        sk: impl Into<String>,
    ) -> Result<Option<Item>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(keyed(pk, sk)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| call_failed("reading an item", error))?;
        Ok(answer.item)
    }

    /// All items of a partition whose sort keys begin so, read consistently, over all pages.
    pub(crate) async fn query(&self, pk: String, begins: &str) -> Result<Vec<Item>, StoreError> {
        self.query_some(pk, begins, None, usize::MAX).await
    }

    /// The first items of a partition whose sort keys begin so, after one of them, read
    /// consistently.
    pub(crate) async fn query_some(
        &self,
        pk: String,
        begins: &str,
        mut start: Option<Item>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let condition = if begins.is_empty() {
            "pk = :pk"
        } else {
            "pk = :pk AND begins_with(sk, :begins)"
        };
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression(condition)
            .expression_attribute_values(":pk", text(pk));
        if !begins.is_empty() {
            query = query.expression_attribute_values(":begins", text(begins));
        }
        let mut items = Vec::new();
        loop {
            let left = i32::try_from(limit.saturating_sub(items.len())).ok();
            let page = query
                .clone()
                .set_limit(left)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| call_failed("reading a partition", error))?;
            items.extend(page.items.unwrap_or_default());
            match page.last_evaluated_key {
                Some(key) if !key.is_empty() && items.len() < limit => start = Some(key),
                Some(_) | None => return Ok(items),
            }
        }
    }

    pub(crate) async fn put(&self, item: Item) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        put.send()
            .await
            .map_err(|error| call_failed("writing an item", error))?;
        Ok(())
    }

    /// A commit of the ledger alone: half the write units of a transaction.
    async fn commit_ledger(&self, item: Item) -> Result<(), CommitError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)");
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.as_service_error() {
                Some(service) if service.is_conditional_check_failed_exception() => {
                    CommitError::Duplicate
                }
                Some(service) if is_busy(service.code()) => CommitError::Conflict,
                Some(_) | None => CommitError::Store(call_failed("writing the ledger", error)),
            }),
        }
    }

    /// Items by their keys, read consistently, in as many batches as it takes; in no order.
    pub(crate) async fn batch_get(
        &self,
        keys: Vec<Item>,
        context: &str,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        for some in keys.chunks(MAX_BATCH_GET) {
            items.extend(self.batch(some.to_vec(), context).await?);
        }
        Ok(items)
    }

    /// One batch of at most [`MAX_BATCH_GET`] keys.
    async fn batch(&self, keys: Vec<Item>, context: &str) -> Result<Vec<Item>, StoreError> {
        let mut request = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .build()
            .map_err(|error| failed(context, false, error))?;
        let mut items = Vec::new();
        for attempt in 0..BATCH_ATTEMPTS {
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, request)
                .send()
                .await
                .map_err(|error| call_failed(context, error))?;
            items.extend(answer.responses.unwrap_or_default().into_values().flatten());
            match answer
                .unprocessed_keys
                .and_then(|mut left| left.remove(&self.table))
            {
                Some(left) if !left.keys.is_empty() => request = left,
                Some(_) | None => return Ok(items),
            }
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
        }
        Err(StoreError {
            context: format!("the table was too busy for {context}"),
            retry: true,
            source: None,
        })
    }
}
