//! What the figures of a day follow from: facts by month, and the work on each day.

use paygraph_domain::analytics::{Day, Fact};
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::analytics::{Analytics, Census};
use paygraph_engine::ports::{CommitError, StoreError};

use crate::item::{doc, keyed, number, text, with_doc};
use crate::key;
use crate::store::{DynamoStore, call_failed, if_met};

/// How long facts are kept, in seconds: the month that they count in, and some more to look at.
const FACTS_KEPT: i64 = 100 * 86_400;
/// How long days are kept, in seconds.
const DAYS_KEPT: i64 = 400 * 86_400;

impl Analytics for DynamoStore {
    async fn keep_fact(
        &self,
        tenant: &TenantId,
        event: &str,
        fact: &Fact,
    ) -> Result<(), StoreError> {
        let place = format!("{}#{event}", key::instant(fact.at));
        let pk = key::facts(tenant, Day::of(fact.at));
        let mut item = with_doc(keyed(pk, place), fact)?;
        let expires = number(fact.at.unix() + FACTS_KEPT);
        item.insert("expires_at".to_owned(), expires);
        self.put(item).await
    }

    /// The days of one month: its facts stand together.
    async fn facts(
        &self,
        tenant: &TenantId,
        (from, to): (Day, Day),
        each: &mut (dyn FnMut(Fact) + Send),
    ) -> Result<(), StoreError> {
        let query = self
            .client()
            .query()
            .table_name(self.table())
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(key::facts(tenant, from)))
            .expression_attribute_values(":from", text(key::instant(from.start())))
            .expression_attribute_values(":to", text(key::instant(to.end())));
        let mut start = None;
        loop {
            let page = query.clone().set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| call_failed("reading facts", error))?;
            for item in page.items() {
                each(doc(item)?);
            }
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(());
            }
        }
    }

    async fn censuses(
        &self,
        tenant: &TenantId,
        (from, to): (Day, Day),
    ) -> Result<Vec<Census>, StoreError> {
        // Two months of days: far from a page's end.
        let page = self
            .client()
            .query()
            .table_name(self.table())
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(key::days(tenant)))
            .expression_attribute_values(":from", text(from.to_string()))
            .expression_attribute_values(":to", text(to.to_string()))
            .send()
            .await;
        let page = page.map_err(|error| call_failed("reading days", error))?;
        page.items().iter().map(doc).collect()
    }

    async fn note_census(
        &self,
        tenant: &TenantId,
        census: &Census,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let mut next = census.clone();
        next.rev += 1;
        let mut item = with_doc(keyed(key::days(tenant), census.day.to_string()), &next)?;
        item.insert("rev".to_owned(), number(next.rev));
        item.insert("expires_at".to_owned(), number(now.unix() + DAYS_KEPT));
        let put = self.client().put_item().table_name(self.table());
        let put = put.set_item(Some(item));
        let put = match census.rev {
            0 => put.condition_expression("attribute_not_exists(pk)"),
            before => put
                .condition_expression("rev = :rev")
                .expression_attribute_values(":rev", number(before)),
        };
        let noted = if_met(put.send().await, "noting a day")?;
        noted.map(|_| ()).ok_or(CommitError::Conflict)
    }

    async fn everybody(&self, tenant: &TenantId) -> Result<Vec<CustomerId>, StoreError> {
        self.everyone(tenant, |_| ()).await
    }

    async fn those(
        &self,
        tenant: &TenantId,
        ids: &[CustomerId],
    ) -> Result<Vec<Contact>, StoreError> {
        self.contacts(tenant, ids).await
    }
}
