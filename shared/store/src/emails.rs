//! Who was written to, and who is not to be.

use aws_sdk_dynamodb::types::ReturnValue;
use paygraph_domain::email::{Outbound, Recipient, Suppressed};
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::email::Emails;
use paygraph_engine::ports::StoreError;

use crate::item::{doc, get_text, keyed, number, text, with_doc};
use crate::key;
use crate::store::{DynamoStore, call_failed, if_met};

impl Emails for DynamoStore {
    async fn recipient(
        &self,
        tenant: &TenantId,
        address: &str,
        token: &str,
    ) -> Result<Recipient, StoreError> {
        let known = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keyed(key::address(tenant, address), key::ADDRESS)))
            .update_expression("SET #token = if_not_exists(#token, :token)")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":token", text(token))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|error| call_failed("looking an address up", error))?;
        let item = known.attributes.unwrap_or_default();
        Ok(Recipient {
            token: get_text(&item, "token").unwrap_or(token).to_owned(),
            suppressed: get_text(&item, "suppressed").and_then(Suppressed::parse),
        })
    }

    async fn suppress(
        &self,
        tenant: &TenantId,
        address: &str,
        token: Option<&str>,
        why: Suppressed,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keyed(key::address(tenant, address), key::ADDRESS)))
            .update_expression(
                "SET suppressed = if_not_exists(suppressed, :why), \
                 suppressed_at = if_not_exists(suppressed_at, :at)",
            )
            .expression_attribute_values(":why", text(why.as_str()))
            .expression_attribute_values(":at", number(at.unix()));
        let update = match token {
            Some(token) => update
                .condition_expression("#token = :token")
                .expression_attribute_names("#token", "token")
                .expression_attribute_values(":token", text(token)),
            None => update.condition_expression("attribute_exists(pk)"),
        };
        let noted = if_met(update.send().await, "suppressing an address")?;
        Ok(noted.is_some())
    }

    async fn outbound(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
    ) -> Result<Outbound, StoreError> {
        let item = self.get(key::contact(tenant, contact), key::OUTBOUND);
        item.await?
            .map_or_else(|| Ok(Outbound::default()), |item| doc(&item))
    }

    async fn keep_outbound(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        outbound: &Outbound,
    ) -> Result<bool, StoreError> {
        let keys = keyed(key::contact(tenant, contact), key::OUTBOUND);
        let mut item = with_doc(keys, outbound)?;
        item.insert("rev".to_owned(), number(outbound.rev));
        let put = self
            .client()
            .put_item()
            .table_name(self.table())
            .set_item(Some(item));
        let put = if outbound.rev <= 1 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("rev = :rev")
                .expression_attribute_values(":rev", number(outbound.rev - 1))
        };
        let kept = if_met(put.send().await, "noting an e-mail")?;
        Ok(kept.is_some())
    }
}
