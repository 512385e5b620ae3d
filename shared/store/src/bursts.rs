//! Bursts of alerts, and the seconds of channels.
//!
//! A burst is one item with the alerts that have a message of their own, and one small item for each
//! alert of its digest: thousands of alerts within a minute never meet a limit of one item.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValue, TransactWriteItem,
};
use paygraph_domain::alert::{AlertId, Channel};
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::alert::{AlertBursts, Burst, BurstShare, SINGLE_MESSAGES};
use paygraph_engine::pause;
use paygraph_engine::ports::{CommitError, StoreError};

use crate::commit::refused;
use crate::item::{Item, get_number, keyed, number, text};
use crate::key;
use crate::store::{DynamoStore, call_failed, failed, if_met};

/// How long a burst is kept, in seconds: as long as it is remembered what was sent.
const KEPT: i64 = 60 * 86_400;
/// How often an alert tries to join a digest that others join at the same time.
const ATTEMPTS: u32 = 10;
/// The alert has a message of its own already, or there is room for one more.
const HAS_ROOM: &str = "contains(singles, :alert) OR \
    attribute_not_exists(singles) OR size(singles) < :room";

impl DynamoStore {
    fn burst_keys(tenant: &TenantId, burst: &Burst) -> Item {
        keyed(key::burst(tenant, burst), key::BURST)
    }

    /// Takes one of the messages of a burst's own alerts. Says whether there was one.
    async fn take_single_message(
        &self,
        tenant: &TenantId,
        burst: &Burst,
        alert: &AlertId,
    ) -> Result<bool, StoreError> {
        let id = alert.to_string();
        let taken = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(Self::burst_keys(tenant, burst)))
            .update_expression("SET expires_at = :expires ADD singles :own")
            .condition_expression(HAS_ROOM)
            .expression_attribute_values(":alert", text(&id))
            .expression_attribute_values(":own", AttributeValue::Ss(vec![id]))
            .expression_attribute_values(":room", number(SINGLE_MESSAGES))
            .expression_attribute_values(":expires", number(expiry(burst)))
            .send()
            .await;
        Ok(if_met(taken, "joining a burst")?.is_some())
    }

    /// Adds an alert to a digest that is not closed.
    async fn put_in_digest(
        &self,
        tenant: &TenantId,
        burst: &Burst,
        alert: &AlertId,
    ) -> Result<(), CommitError> {
        let open = ConditionCheck::builder()
            .table_name(self.table())
            .set_key(Some(Self::burst_keys(tenant, burst)))
            .condition_expression("attribute_not_exists(closed_at)");
        let open = open
            .build()
            .map_err(|error| failed("a burst", false, error))?;
        let mut item = keyed(key::burst(tenant, burst), key::burst_alert(alert));
        item.insert("expires_at".to_owned(), number(expiry(burst)));
        let put = Put::builder()
            .table_name(self.table())
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)");
        let put = put
            .build()
            .map_err(|error| failed("a burst", false, error))?;
        let joined = self
            .client()
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().condition_check(open).build())
            .transact_items(TransactWriteItem::builder().put(put).build())
            .send()
            .await;
        joined.map(|_| ()).map_err(|error| refused(error, false))
    }

    async fn is_closed(&self, tenant: &TenantId, burst: &Burst) -> Result<bool, StoreError> {
        let item = self.get(key::burst(tenant, burst), key::BURST).await?;
        Ok(item.is_some_and(|item| item.contains_key("closed_at")))
    }

    /// Reserves a channel's next second where `condition` holds, by this change of its first free one.
    async fn update_seconds(
        &self,
        tenant: &TenantId,
        channel: Channel,
        [update, condition]: [&str; 2],
        values: &[(&str, i64)],
    ) -> Result<Option<Item>, StoreError> {
        let values = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), number(value)));
        let updated = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keyed(key::channel(tenant, channel), key::SECONDS)))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_values(Some(HashMap::from_iter(values)))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        let updated = if_met(updated, "reserving a second")?;
        Ok(updated.map(|updated| updated.attributes.unwrap_or_default()))
    }
}

fn expiry(burst: &Burst) -> i64 {
    burst.ends_at().unix() + KEPT
}

impl AlertBursts for DynamoStore {
    async fn join_burst(
        &self,
        tenant: &TenantId,
        burst: &Burst,
        alert: &AlertId,
    ) -> Result<BurstShare, StoreError> {
        if self.take_single_message(tenant, burst, alert).await? {
            return Ok(BurstShare::Single);
        }
        let pk = key::burst(tenant, burst);
        for attempt in 0..ATTEMPTS {
            match self.put_in_digest(tenant, burst, alert).await {
                Ok(()) => return Ok(BurstShare::Digest),
                Err(CommitError::Store(error)) => return Err(error),
                Err(CommitError::Conflict | CommitError::Duplicate) => {}
            }
            if self
                .get(pk.clone(), key::burst_alert(alert))
                .await?
                .is_some()
            {
                return Ok(BurstShare::Digest);
            }
            if self.is_closed(tenant, burst).await? {
                return Ok(BurstShare::Single);
            }
            pause(attempt).await;
        }
        Err(StoreError {
            context: format!("others kept joining the burst {}", burst.name()),
            retry: true,
            source: None,
        })
    }

    async fn close_burst(&self, tenant: &TenantId, burst: &Burst) -> Result<usize, StoreError> {
        self.client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(Self::burst_keys(tenant, burst)))
            .update_expression("SET closed_at = :at, expires_at = :expires")
            .expression_attribute_values(":at", number(burst.ends_at().unix()))
            .expression_attribute_values(":expires", number(expiry(burst)))
            .send()
            .await
            .map_err(|error| call_failed("closing a burst", error))?;
        // Whoever joins from here on finds the burst closed, so this is every alert of the digest.
        let pk = key::burst(tenant, burst);
        Ok(self.query(pk, key::ALERT).await?.len())
    }

    async fn reserve_second(
        &self,
        tenant: &TenantId,
        channel: Channel,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let (now, latest) = (now.unix(), latest.unix());
        let expires = now + KEPT;
        let idle = "attribute_not_exists(free_at) OR free_at <= :now";
        let take_now = "SET free_at = :next, expires_at = :expires";
        let values = [(":now", now), (":next", now + 1), (":expires", expires)];
        let taken = self.update_seconds(tenant, channel, [take_now, idle], &values);
        if taken.await?.is_some() {
            return Ok(Timestamp::from_unix(now).ok());
        }
        let busy = "free_at > :now AND free_at <= :latest";
        let take_next = "SET expires_at = :expires ADD free_at :one";
        let values = [
            (":now", now),
            (":latest", latest),
            (":one", 1),
            (":expires", expires),
        ];
        let taken = self.update_seconds(tenant, channel, [take_next, busy], &values);
        let Some(item) = taken.await? else {
            return Ok(None);
        };
        let free_at = i64::try_from(get_number(&item, "free_at")).unwrap_or(i64::MAX);
        Ok(Timestamp::from_unix(free_at.saturating_sub(1)).ok())
    }

    async fn hold_channel(
        &self,
        tenant: &TenantId,
        channel: Channel,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let until = until.unix();
        let earlier = "attribute_not_exists(free_at) OR free_at < :until";
        let hold = "SET free_at = :until, expires_at = :expires";
        let values = [(":until", until), (":expires", until + KEPT)];
        let held = self.update_seconds(tenant, channel, [hold, earlier], &values);
        held.await.map(|_| ())
    }
}
