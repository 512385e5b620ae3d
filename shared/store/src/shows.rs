//! What a CRM has of each contact, and whose turn it is to write of it: one item beside the contact.

use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::crm::{Shown, Shows, Turn};
use paygraph_engine::ports::StoreError;

use crate::item::{doc, get_number, keyed, number, with_doc};
use crate::key;
use crate::store::{DynamoStore, if_met};

/// Nobody's turn is still good.
const FREE: &str = "attribute_not_exists(claimed_until) OR claimed_until <= :now";

impl Shows for DynamoStore {
    async fn take_turn(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Turn, StoreError> {
        let taken = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keyed(key::contact(tenant, contact), key::CRM)))
            .update_expression("SET claimed_until = :until ADD claims :one")
            .condition_expression(FREE)
            .expression_attribute_values(":now", number(now.unix()))
            .expression_attribute_values(":until", number(until.unix()))
            .expression_attribute_values(":one", number(1))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew)
            .send()
            .await;
        let Some(ours) = if_met(taken, "taking a contact's turn")? else {
            return Ok(Turn::Held);
        };
        let item = ours.attributes.unwrap_or_default();
        let shown: Option<Shown> = item.contains_key("doc").then(|| doc(&item)).transpose()?;
        let token = get_number(&item, "claims");
        Ok(Turn::Ours(token, shown.unwrap_or_default()))
    }

    async fn shown(&self, tenant: &TenantId, contact: &CustomerId) -> Result<Shown, StoreError> {
        let item = self.get(key::contact(tenant, contact), key::CRM).await?;
        let item = item.filter(|item| item.contains_key("doc"));
        item.as_ref().map_or_else(|| Ok(Shown::default()), doc)
    }

    async fn note_shown(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        token: u64,
        shown: &Shown,
        until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut item = with_doc(keyed(key::contact(tenant, contact), key::CRM), shown)?;
        item.insert("claims".to_owned(), number(token));
        let until = until.map(|until| ("claimed_until".to_owned(), number(until.unix())));
        item.extend(until);
        let noted = self
            .client()
            .put_item()
            .table_name(self.table())
            .set_item(Some(item))
            .condition_expression("claims = :token")
            .expression_attribute_values(":token", number(token))
            .send()
            .await;
        if_met(noted, "noting what a CRM has").map(|_| ())
    }
}
