//! What the read API asks beside single items: pages, and how the intake is doing.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paygraph_domain::account::Object;
use paygraph_domain::id::{Cause, StripeCustomerId, TenantId};
use paygraph_domain::identity::Review;
use paygraph_domain::objects::invoice::InvoiceState;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::{AuditEntry, StoreError};
use serde::de::DeserializeOwned;

use crate::item::{Item, doc, get_text, keyed, number, text};
use crate::key;
use crate::store::{DynamoStore, call_failed};

/// The most entries of a page.
pub const MAX_PAGE: usize = 100;

/// A place in a list, newest first. Opaque to those who carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    pub(crate) fn new(sort: String) -> Self {
        Self(sort)
    }

    /// What comes after the word of a list, if it is a cursor of that list.
    pub(crate) fn place(&self, list: &str) -> Option<&str> {
        self.0.strip_prefix(list).filter(|place| !place.is_empty())
    }

    /// Reads a cursor that [`Cursor::encode`] gave.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        String::from_utf8(bytes)
            .ok()
            .filter(|sort| sort.contains('#'))
            .map(Self)
    }

    /// The cursor as it is given out.
    #[must_use]
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }
}

/// Some entries of a list, newest first, and where the next ones begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
}

/// When the tenant's last event was processed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// By our clock.
    pub processed_at: Option<Timestamp>,
    /// By Stripe's.
    pub created: Option<Timestamp>,
    /// The event.
    pub cause: Option<Cause>,
}

impl DynamoStore {
    /// Invoices of several Stripe customers, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn invoices(
        &self,
        tenant: &TenantId,
        customers: &[StripeCustomerId],
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(StripeCustomerId, Arc<InvoiceState>)>, StoreError> {
        let partitions = customers
            .iter()
            .map(|customer| key::stripe(tenant, customer))
            .collect();
        let page = self
            .merged::<Object>(partitions, key::INVOICE, after, limit)
            .await?;
        let entries = page.entries.into_iter().filter_map(|(partition, object)| {
            let customer = customers.get(partition)?.clone();
            match object {
                Object::Invoice(state) => Some((customer, state)),
                Object::Customer(_)
                | Object::Subscription(_)
                | Object::PaymentMethod(_)
                | Object::Dispute(_)
                | Object::Discount(_)
                | Object::Schedule(_)
                | Object::Charge(_)
                | Object::Checkout(_) => None,
            }
        });
        Ok(Page {
            entries: entries.collect(),
            next: page.next,
        })
    }

    /// The audit trail of a contact and its Stripe customers, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn audit(
        &self,
        tenant: &TenantId,
        contact: &paygraph_domain::id::CustomerId,
        customers: &[StripeCustomerId],
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let own = std::iter::once(key::contact(tenant, contact));
        let partitions = own
            .chain(
                customers
                    .iter()
                    .map(|customer| key::stripe(tenant, customer)),
            )
            .collect();
        let page = self
            .merged::<AuditEntry>(partitions, key::AUDIT, after, limit)
            .await?;
        let entries = page.entries.into_iter().map(|(_, entry)| entry).collect();
        Ok(Page {
            entries,
            next: page.next,
        })
    }

    /// Stripe customers that somebody should look at, by id from the last to the first.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn reviews(
        &self,
        tenant: &TenantId,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(StripeCustomerId, Review)>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        // A cursor is a sort key with a sign that no id has.
        let after = after.map(|after| after.0.trim_end_matches('#').to_owned());
        let mut query = self
            .client()
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(key::reviews(tenant)))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        if let Some(after) = after {
            let start = keyed(key::reviews(tenant), after);
            query = query.set_exclusive_start_key(Some(start));
        }
        let answer = query
            .send()
            .await
            .map_err(|error| call_failed("reading the review list", error))?;
        let next = answer
            .last_evaluated_key()
            .and_then(|key| get_text(key, "sk"));
        let next = next.map(|sort| Cursor(format!("{sort}#")));
        let mut entries = Vec::new();
        for item in answer.items() {
            let id = get_text(item, "sk").and_then(|id| StripeCustomerId::parse(id).ok());
            if let Some(id) = id {
                entries.push((id, doc(item)?));
            }
        }
        Ok(Page { entries, next })
    }

    /// The next entries over several partitions, by sort key, each with its partition's place.
    async fn merged<T: DeserializeOwned>(
        &self,
        partitions: Vec<String>,
        begins: &str,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(usize, T)>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut found: Vec<(String, usize, Item)> = Vec::new();
        for (place, partition) in partitions.into_iter().enumerate() {
            for item in self.newest(partition, begins, after, limit + 2).await? {
                if let Some(sort) = get_text(&item, "sk").map(str::to_owned)
                    && after.is_none_or(|after| sort < after.0)
                {
                    found.push((sort, place, item));
                }
            }
        }
        found.sort_by(|a, b| b.0.cmp(&a.0));
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found
            .last()
            .filter(|_| has_more)
            .map(|(sort, ..)| Cursor(sort.clone()));
        let read = |(_, place, item): (String, usize, Item)| Ok((place, doc(&item)?));
        Ok(Page {
            entries: found
                .into_iter()
                .map(read)
                .collect::<Result<_, StoreError>>()?,
            next,
        })
    }

    async fn newest(
        &self,
        partition: String,
        begins: &str,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        // '$' is the sign after '#': everything that begins so, and nothing else.
        let past = format!("{}$", begins.trim_end_matches('#'));
        let until = after.map_or(past, |after| after.0.clone());
        let query = self
            .client()
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :until")
            .expression_attribute_values(":pk", text(partition))
            .expression_attribute_values(":from", text(begins))
            .expression_attribute_values(":until", text(until))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        // A page of the table's ends at 1 MB, wherever that is.
        let mut pages = query.into_paginator().send();
        let mut items = Vec::new();
        while items.len() < limit
            && let Some(page) = pages.next().await
        {
            let page = page.map_err(|error| call_failed("reading a page", error))?;
            items.extend(page.items.unwrap_or_default());
        }
        items.truncate(limit);
        Ok(items)
    }

    /// Notes the newest processed event of a tenant. Called now and then, not for every event.
    ///
    /// # Errors
    /// [`StoreError`] when the table refuses.
    pub async fn beat(
        &self,
        tenant: &TenantId,
        cause: &Cause,
        created: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keyed(key::health(tenant), "INGEST")))
            .update_expression("SET processed_at = :now, created = :created, cause = :cause")
            .expression_attribute_values(":now", number(now.unix()))
            .expression_attribute_values(":created", number(created.unix()))
            .expression_attribute_values(":cause", text(cause.as_str()));
        update
            .send()
            .await
            .map_err(|error| call_failed("noting the last event", error))?;
        Ok(())
    }

    /// When the tenant's last event was processed, to within some seconds.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn heartbeat(&self, tenant: &TenantId) -> Result<Heartbeat, StoreError> {
        let item = self
            .get(key::health(tenant), "INGEST")
            .await?
            .unwrap_or_default();
        let time = |name: &str| {
            let seconds = item
                .get(name)
                .and_then(|value| value.as_n().ok())?
                .parse()
                .ok()?;
            Timestamp::from_unix(seconds).ok()
        };
        Ok(Heartbeat {
            processed_at: time("processed_at"),
            created: time("created"),
            cause: get_text(&item, "cause").and_then(|cause| Cause::parse(cause).ok()),
        })
    }

    /// How many messages of a tenant wait for something; may be some seconds old.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn count_parked(&self, tenant: &TenantId) -> Result<usize, StoreError> {
        Ok(self.waiting(tenant).await?.len())
    }
}
