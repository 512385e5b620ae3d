//! Alerts, and what people asked to be told.
//!
//! An alert stands with the contact that it is about. How it stands (`status`, who took it on, when
//! it was over) is beside its document, so that each changes by a condition of its own; the list of
//! what is not resolved has a `rev`, by which only one of several deciders gets through.

mod listing;

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValue, TransactWriteItem, Update,
};
use paygraph_domain::alert::subscription::Subscription;
use paygraph_domain::alert::{Acknowledged, Alert, AlertId, Status};
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::alert::{Alerts, Change, Taken, Unresolved, Whose};
use paygraph_engine::ports::{CommitError, StoreError};

pub use self::listing::Which;
use crate::commit::refused;
use crate::item::{Item, doc, get_text, keyed, number, text, with_doc};
use crate::key;
use crate::store::{DynamoStore, call_failed, failed, if_met};

/// How long an alert is kept after it was resolved, in seconds.
const KEPT: i64 = 400 * 86_400;

fn keys(tenant: &TenantId, id: &AlertId) -> Item {
    keyed(key::alerts_of(tenant, &Whose::of(id)), key::alert(id))
}

/// An alert as it stands now: its document, and what has changed beside it.
fn read(item: &Item) -> Result<Alert, StoreError> {
    let mut alert: Alert = doc(item)?;
    if let Some(status) = get_text(item, "status").and_then(Status::parse) {
        alert.status = status;
    }
    let by = get_text(item, "acknowledged_by").map(str::to_owned);
    alert.acknowledged = by
        .zip(time(item, "acknowledged_at"))
        .map(|(by, at)| Acknowledged { by, at });
    alert.resolved_at = time(item, "resolved_at");
    Ok(alert)
}

fn time(item: &Item, name: &str) -> Option<Timestamp> {
    let seconds = item.get(name)?.as_n().ok()?.parse().ok()?;
    Timestamp::from_unix(seconds).ok()
}

impl DynamoStore {
    fn writes(&self, change: &Change) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut writes = vec![put(self.unresolved_put(change)?)?];
        if let Some(version) = change.contact_version {
            writes.extend(self.contact_stands(change, version)?);
        }
        for alert in &change.raise {
            writes.push(put(self.raised(&change.tenant, alert)?)?);
        }
        for id in &change.resolve {
            writes.push(self.resolved(&change.tenant, id, change.at)?);
        }
        Ok(writes)
    }

    fn unresolved_put(&self, change: &Change) -> Result<PutBuilder, StoreError> {
        let Change { tenant, whose, .. } = change;
        let rev = change.unresolved.rev;
        let item = keyed(key::alerts_of(tenant, whose), key::UNRESOLVED);
        let mut item = with_doc(item, &change.unresolved)?;
        item.insert("rev".to_owned(), number(rev));
        let put = Put::builder().table_name(self.table()).set_item(Some(item));
        Ok(match rev.saturating_sub(1) {
            0 => put.condition_expression("attribute_not_exists(pk)"),
            before => put
                .condition_expression("rev = :rev")
                .expression_attribute_values(":rev", number(before)),
        })
    }

    /// The contact is still the one that was looked at.
    fn contact_stands(
        &self,
        change: &Change,
        version: u64,
    ) -> Result<Option<TransactWriteItem>, StoreError> {
        let Some(customer) = change.whose.customer() else {
            return Ok(None);
        };
        let keys = keyed(key::contact(&change.tenant, customer), key::CONTACT);
        let check = ConditionCheck::builder()
            .table_name(self.table())
            .set_key(Some(keys));
        let check = match version {
            0 => check.condition_expression("attribute_not_exists(pk)"),
            version => check
                .condition_expression("version = :version")
                .expression_attribute_values(":version", number(version)),
        };
        let check = check
            .build()
            .map_err(|error| failed("an alert", false, error))?;
        Ok(Some(
            TransactWriteItem::builder().condition_check(check).build(),
        ))
    }

    fn raised(&self, tenant: &TenantId, alert: &Alert) -> Result<PutBuilder, StoreError> {
        let mut item = with_doc(keys(tenant, &alert.id), alert)?;
        let place = key::alert_place(&alert.id, alert.raised_at);
        item.insert("status".to_owned(), text(alert.status.as_str()));
        item.insert("tenant_pk".to_owned(), text(key::alert_listing(tenant)));
        item.insert("tenant_sk".to_owned(), text(&place));
        let list = key::alerts_with(tenant, alert.status);
        item.insert("segment_pk".to_owned(), text(list));
        item.insert("segment_sk".to_owned(), text(place));
        let put = Put::builder().table_name(self.table()).set_item(Some(item));
        Ok(put.condition_expression("attribute_not_exists(pk)"))
    }

    fn resolved(
        &self,
        tenant: &TenantId,
        id: &AlertId,
        at: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(self.table())
            .set_key(Some(keys(tenant, id)))
            .update_expression(
                "SET #status = :resolved, resolved_at = :at, segment_pk = :list, expires_at = :expires",
            )
            .condition_expression("#status <> :resolved")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":resolved", status(Status::Resolved))
            .expression_attribute_values(":at", number(at.unix()))
            .expression_attribute_values(":list", text(key::alerts_with(tenant, Status::Resolved)))
            .expression_attribute_values(":expires", number(at.unix() + KEPT));
        let update = update
            .build()
            .map_err(|error| failed("an alert", false, error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

type PutBuilder = aws_sdk_dynamodb::types::builders::PutBuilder;

fn put(put: PutBuilder) -> Result<TransactWriteItem, StoreError> {
    let put = put
        .build()
        .map_err(|error| failed("an alert", false, error))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn status(status: Status) -> AttributeValue {
    text(status.as_str())
}

impl Alerts for DynamoStore {
    async fn unresolved(&self, tenant: &TenantId, whose: &Whose) -> Result<Unresolved, StoreError> {
        let item = self
            .get(key::alerts_of(tenant, whose), key::UNRESOLVED)
            .await?;
        let known = item.as_ref().map(doc).transpose()?;
        Ok(known.unwrap_or_default())
    }

    async fn change(&self, change: &Change) -> Result<(), CommitError> {
        let changed = self
            .client()
            .transact_write_items()
            .set_transact_items(Some(self.writes(change)?))
            .send()
            .await;
        changed.map(|_| ()).map_err(|error| refused(error, false))
    }

    async fn alert(&self, tenant: &TenantId, id: &AlertId) -> Result<Option<Alert>, StoreError> {
        let pk = key::alerts_of(tenant, &Whose::of(id));
        let item = self.get(pk, key::alert(id)).await?;
        item.as_ref().map(read).transpose()
    }

    async fn acknowledge(
        &self,
        tenant: &TenantId,
        id: &AlertId,
        by: &Acknowledged,
    ) -> Result<Option<Taken>, StoreError> {
        let list = key::alerts_with(tenant, Status::Acknowledged);
        let taken = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keys(tenant, id)))
            .update_expression(
                "SET #status = :taken, acknowledged_by = :by, acknowledged_at = :at, segment_pk = :list",
            )
            .condition_expression("#status = :open")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":taken", status(Status::Acknowledged))
            .expression_attribute_values(":open", status(Status::Open))
            .expression_attribute_values(":by", text(&by.by))
            .expression_attribute_values(":at", number(by.at.unix()))
            .expression_attribute_values(":list", text(list))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        if let Some(taken) = if_met(taken, "taking an alert on")? {
            let alert = read(&taken.attributes.unwrap_or_default())?;
            return Ok(Some(Taken { alert, now: true }));
        }
        let alert = self.alert(tenant, id).await?;
        Ok(alert.map(|alert| Taken { alert, now: false }))
    }

    async fn subscriptions(&self, tenant: &TenantId) -> Result<Vec<Subscription>, StoreError> {
        let items = self.query(key::subscriptions(tenant), "").await?;
        items.iter().map(doc).collect()
    }

    async fn subscribe(
        &self,
        tenant: &TenantId,
        subscription: &Subscription,
    ) -> Result<(), StoreError> {
        let item = keyed(key::subscriptions(tenant), subscription.id());
        self.put(with_doc(item, subscription)?).await
    }

    async fn unsubscribe(&self, tenant: &TenantId, id: &str) -> Result<bool, StoreError> {
        let removed = self
            .client()
            .delete_item()
            .table_name(self.table())
            .set_key(Some(keyed(key::subscriptions(tenant), id)))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| call_failed("forgetting a subscription", error))?;
        Ok(removed.attributes.is_some_and(|item| !item.is_empty()))
    }
}
