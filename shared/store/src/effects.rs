//! What targets claim, and what they did.

use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::StoreError;
use paygraph_engine::target::{Claim, Effect, Effects};

use crate::item::{get_number, keyed, number};
use crate::key;
use crate::store::{DynamoStore, if_met};

/// How long it is remembered that something was done, in seconds: as long as the ledger remembers.
const REMEMBERED: i64 = 60 * 86_400;
/// Not done, and nobody's claim is good any more.
const FREE: &str = "attribute_not_exists(done_at) AND \
    (attribute_not_exists(claimed_until) OR claimed_until <= :now)";

impl Effects for DynamoStore {
    async fn claim(
        &self,
        tenant: &TenantId,
        effect: &Effect,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, StoreError> {
        let pk = key::effect(tenant, effect);
        let claimed = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keyed(pk.as_str(), key::EFFECT)))
            .update_expression("SET claimed_until = :until, expires_at = :expires ADD claims :one")
            .condition_expression(FREE)
            .expression_attribute_values(":now", number(now.unix()))
            .expression_attribute_values(":until", number(until.unix()))
            .expression_attribute_values(":expires", number(now.unix() + REMEMBERED))
            .expression_attribute_values(":one", number(1))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew)
            .send()
            .await;
        if let Some(ours) = if_met(claimed, "claiming an effect")? {
            let item = ours.attributes.unwrap_or_default();
            return Ok(Claim::Ours(get_number(&item, "claims")));
        }
        let held = self.get(pk, key::EFFECT).await?;
        let done = held.is_some_and(|item| item.contains_key("done_at"));
        Ok(if done { Claim::Done } else { Claim::Held })
    }

    async fn done(
        &self,
        tenant: &TenantId,
        effect: &Effect,
        token: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let done = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keyed(key::effect(tenant, effect), key::EFFECT)))
            .update_expression("SET done_at = :now REMOVE claimed_until")
            .condition_expression("claims = :token")
            .expression_attribute_values(":now", number(now.unix()))
            .expression_attribute_values(":token", number(token))
            .send()
            .await;
        if_met(done, "noting an effect").map(|_| ())
    }
}
