//! Alerts as lists: all of them, those with a status, those of a customer.

use paygraph_domain::alert::{Alert, Status};
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_engine::alert::Whose;
use paygraph_engine::ports::StoreError;

use super::read;
use crate::item::{Item, get_text, keyed, text};
use crate::key;
use crate::listing::List;
use crate::read::{Cursor, MAX_PAGE, Page};
use crate::store::{DynamoStore, call_failed};

/// The most pages that are read for one answer. An answer may have fewer entries than it could, and
/// a cursor that goes on.
const MAX_PAGES: usize = 5;

/// Which alerts are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Which {
    /// With this status.
    pub status: Option<Status>,
    /// Of this customer.
    pub customer: Option<CustomerId>,
}

impl Which {
    /// The list that they are read from: its cursors are of no other.
    #[must_use]
    pub fn list(&self) -> List {
        match (&self.customer, self.status) {
            (Some(_), _) => List::AlertsOf,
            (None, Some(_)) => List::AlertsWith,
            (None, None) => List::Alerts,
        }
    }

    /// Whether an alert is one of them. An index may be some seconds behind.
    fn has(&self, alert: &Alert) -> bool {
        self.status.is_none_or(|status| alert.status == status)
    }
}

impl DynamoStore {
    /// Alerts, the newest first: by when they were raised, those of one customer by when they began.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn alerts(
        &self,
        tenant: &TenantId,
        which: &Which,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Alert>, StoreError> {
        let (mut entries, mut next) = (Vec::new(), after.cloned());
        for _ in 0..MAX_PAGES {
            let left = limit.clamp(1, MAX_PAGE) - entries.len();
            let page = match &which.customer {
                Some(customer) => {
                    self.alerts_of(tenant, customer, next.as_ref(), left)
                        .await?
                }
                None => {
                    self.alerts_by_index(tenant, which, next.as_ref(), left)
                        .await?
                }
            };
            entries.extend(page.entries.into_iter().filter(|alert| which.has(alert)));
            next = page.next;
            if next.is_none() || entries.len() >= limit {
                break;
            }
        }
        Ok(Page { entries, next })
    }

    async fn alerts_of(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Alert>, StoreError> {
        let whose = Whose::Contact(customer.clone());
        let pk = key::alerts_of(tenant, &whose);
        let start = after.and_then(|after| after.place(List::AlertsOf.word()));
        let answer = self
            .client()
            .query()
            .table_name(self.table())
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :begins)")
            .expression_attribute_values(":pk", text(&pk))
            .expression_attribute_values(":begins", text(key::ALERT))
            .scan_index_forward(false)
            .set_exclusive_start_key(start.map(|start| keyed(&pk, start)))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| call_failed("listing alerts", error))?;
        let last = answer.last_evaluated_key();
        let last = last.and_then(|last| get_text(last, "sk"));
        Ok(Page {
            entries: answer.items().iter().map(read).collect::<Result<_, _>>()?,
            next: last.map(|place| List::AlertsOf.at(place)),
        })
    }

    async fn alerts_by_index(
        &self,
        tenant: &TenantId,
        which: &Which,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Alert>, StoreError> {
        let list = which.list();
        let (pk, place) = match which.status {
            Some(status) => (key::alerts_with(tenant, status), "segment_sk"),
            None => (key::alert_listing(tenant), "tenant_sk"),
        };
        let answer = self
            .page(list, pk, after, limit)
            .scan_index_forward(false)
            .send()
            .await
            .map_err(|error| call_failed("listing alerts", error))?;
        let last = answer.last_evaluated_key();
        let last = last.and_then(|last| get_text(last, place));
        let next = last.map(|place| list.at(place));
        let keys = answer.items().iter().filter_map(keys);
        let found = self.batch_get(keys.collect(), "reading alerts").await?;
        let mut entries: Vec<_> = found.iter().map(read).collect::<Result<_, _>>()?;
        // A batch has no order.
        entries.sort_by(|a, b| {
            let place = |alert: &Alert| key::alert_place(&alert.id, alert.raised_at);
            place(b).cmp(&place(a))
        });
        Ok(Page { entries, next })
    }
}

/// The keys of an item of an index.
fn keys(item: &Item) -> Option<Item> {
    Some(keyed(get_text(item, "pk")?, get_text(item, "sk")?))
}
