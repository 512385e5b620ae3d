//! Tenants' connections to Stripe, and whose each Stripe account is.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, Delete, Put, TransactWriteItem};
use paygraph_domain::id::{StripeId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::connection::{By, ClaimError, Connection, ConnectionStore, Status};
use paygraph_engine::ports::StoreError;

use crate::commit::is_busy;
use crate::item::{Item, doc, get_text, keyed, number, text, with_doc};
use crate::key;
use crate::store::{DynamoStore, call_failed, failed, if_met};

/// How long something that was used up is remembered after it has run out, in seconds.
const REMEMBERED: i64 = 86_400;

impl ConnectionStore for DynamoStore {
    async fn connection(&self, tenant: &TenantId) -> Result<Option<Connection>, StoreError> {
        let item = self.get(key::tenant(tenant), key::CONNECTION).await?;
        item.as_ref().map(doc).transpose()
    }

    async fn put_connection(
        &self,
        tenant: &TenantId,
        connection: &Connection,
    ) -> Result<(), ClaimError> {
        let claim = match connection.status {
            Status::Disconnected => self.release(tenant, &connection.account)?,
            Status::Connected | Status::Paused { .. } => self.claim(tenant, connection)?,
        };
        let put = self.client().transact_write_items();
        let put = put.transact_items(claim);
        let put = put.transact_items(self.replace(tenant, connection)?);
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    match canceled.cancellation_reasons() {
                        [claim, ..] if is_refused(claim) => ClaimError::Taken,
                        [_, rev] if is_refused(rev) => ClaimError::Moved,
                        reasons if reasons.iter().any(is_conflict) => ClaimError::Moved,
                        _ => call_failed("putting a connection", error).into(),
                    }
                }
                Some(service) if is_busy(service.meta().code()) => ClaimError::Moved,
                Some(_) | None => call_failed("putting a connection", error).into(),
            }),
        }
    }

    async fn owner(&self, account: &StripeId) -> Result<Option<TenantId>, StoreError> {
        let item = self.get(key::ACCOUNTS.to_owned(), account.as_str()).await?;
        Ok(item.as_ref().and_then(tenant_of))
    }

    async fn tenants(&self) -> Result<BTreeSet<TenantId>, StoreError> {
        let items = self.query(key::ACCOUNTS.to_owned(), "").await?;
        Ok(items.iter().filter_map(tenant_of).collect())
    }

    async fn platform_accounts(&self) -> Result<BTreeMap<StripeId, TenantId>, StoreError> {
        let items = self.query(key::ACCOUNTS.to_owned(), "").await?;
        let named = items
            .iter()
            .filter(|item| get_text(item, "by") == Some(word(By::Oauth)))
            .filter_map(|item| {
                let account = StripeId::parse(get_text(item, "sk")?).ok()?;
                Some((account, tenant_of(item)?))
            });
        Ok(named.collect())
    }

    async fn spend(
        &self,
        tenant: &TenantId,
        nonce: &str,
        runs_out: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut item = keyed(key::spent(tenant, nonce), key::SPENT);
        let forgotten = runs_out.plus(REMEMBERED);
        item.insert("expires_at".to_owned(), number(forgotten.unix()));
        let put = self.client().put_item().table_name(self.table());
        let put = put.set_item(Some(item));
        let put = put.condition_expression("attribute_not_exists(pk)");
        let spent = if_met(put.send().await, "using something up")?;
        Ok(spent.is_some())
    }
}

impl DynamoStore {
    /// The account becomes the tenant's, unless it is another's.
    fn claim(
        &self,
        tenant: &TenantId,
        connection: &Connection,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut item = keyed(key::ACCOUNTS, connection.account.as_str());
        item.insert("tenant".to_owned(), text(tenant.as_str()));
        item.insert("by".to_owned(), text(word(connection.by)));
        let put = Put::builder().table_name(self.table()).set_item(Some(item));
        let put = put
            .condition_expression("attribute_not_exists(pk) OR tenant = :tenant")
            .expression_attribute_values(":tenant", text(tenant.as_str()));
        let put = put.build().map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The account becomes nobody's, if it is the tenant's.
    fn release(
        &self,
        tenant: &TenantId,
        account: &StripeId,
    ) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(self.table())
            .set_key(Some(keyed(key::ACCOUNTS, account.as_str())))
            .condition_expression("attribute_not_exists(pk) OR tenant = :tenant")
            .expression_attribute_values(":tenant", text(tenant.as_str()));
        let delete = delete.build().map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// The connection takes the place of the one with its rev.
    fn replace(
        &self,
        tenant: &TenantId,
        connection: &Connection,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut next = connection.clone();
        next.rev += 1;
        let mut item = with_doc(keyed(key::tenant(tenant), key::CONNECTION), &next)?;
        item.insert("rev".to_owned(), number(next.rev));
        let put = Put::builder().table_name(self.table()).set_item(Some(item));
        let put = match connection.rev {
            0 => put.condition_expression("attribute_not_exists(pk)"),
            before => put
                .condition_expression("rev = :rev")
                .expression_attribute_values(":rev", number(before)),
        };
        let put = put.build().map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

fn unbuilt(error: aws_sdk_dynamodb::error::BuildError) -> StoreError {
    failed("putting a connection", false, error)
}

fn is_refused(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

fn is_conflict(reason: &CancellationReason) -> bool {
    reason.code() == Some("TransactionConflict")
}

fn tenant_of(item: &Item) -> Option<TenantId> {
    TenantId::parse(get_text(item, "tenant")?).ok()
}

fn word(by: By) -> &'static str {
    match by {
        By::Oauth => "oauth",
        By::RestrictedKey => "restricted_key",
    }
}
