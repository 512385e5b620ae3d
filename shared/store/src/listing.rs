//! Lists: the members of a segment, all contacts by what they have paid, and runs.
//!
//! Those of contacts come from an index that holds keys only and may be some seconds old; the contacts
//! themselves are then read consistently.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_engine::ports::StoreError;
use paygraph_engine::run::Run;

use crate::item::{Item, doc, get_text, keyed, number, text};
use crate::key;
use crate::read::{Cursor, MAX_PAGE, Page};
use crate::store::{DynamoStore, call_failed};

/// The most pages that are read to count a segment's members: some 70,000 of them.
const MAX_COUNTED_PAGES: usize = 10;
/// The sort key of a run's progress.
const RUN: &str = "RUN";

/// A list whose places are cursors of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// The members of a segment, by id.
    Members,
    /// All contacts, those who have paid most first.
    Customers,
    /// Imports and comparisons with Stripe, the newest first.
    Runs,
    /// Alerts, those raised last first.
    Alerts,
    /// Alerts with one status, those raised last first.
    AlertsWith,
    /// Alerts of one contact, those that began last first.
    AlertsOf,
}

impl List {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Members => "MEMBER#",
            Self::Customers => "CUSTOMER#",
            Self::Runs => "RUNS#",
            Self::Alerts => "ALERTS#",
            Self::AlertsWith => "ALERTSWITH#",
            Self::AlertsOf => "ALERTSOF#",
        }
    }

    /// Reads a cursor that this list gave.
    #[must_use]
    pub fn cursor(self, text: &str) -> Option<Cursor> {
        Cursor::decode(text).filter(|cursor| cursor.place(self.word()).is_some())
    }

    pub(crate) fn at(self, place: &str) -> Cursor {
        Cursor::new(format!("{}{place}", self.word()))
    }
}

/// How many there are, as far as they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// So many.
    pub members: usize,
    /// Whether there are more.
    pub more: bool,
}

/// A contact's place in the list by lifetime value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The contact.
    pub id: CustomerId,
    /// Where the list goes on after it.
    pub cursor: Cursor,
}

impl DynamoStore {
    /// The members of a segment, by id.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn members(
        &self,
        tenant: &TenantId,
        segment: &str,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<CustomerId>, StoreError> {
        let answer = self
            .page(List::Members, key::segment(tenant, segment), after, limit)
            .send()
            .await
            .map_err(|error| call_failed("listing a segment", error))?;
        let places = answer.items().iter();
        let entries: Vec<_> = places
            .filter_map(|item| CustomerId::parse(get_text(item, "segment_sk")?).ok())
            .collect();
        let last = answer.last_evaluated_key();
        let last = last.and_then(|last| get_text(last, "segment_sk"));
        Ok(Page {
            entries,
            next: last.map(|place| List::Members.at(place)),
        })
    }

    /// How many members a segment has.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn count_members(
        &self,
        tenant: &TenantId,
        segment: &str,
    ) -> Result<Count, StoreError> {
        let list = key::segment(tenant, segment);
        let query = self
            .listing(Some("segment"), "segment_pk = :list", list)
            .select(Select::Count);
        let (mut members, mut start) = (0, None);
        for _ in 0..MAX_COUNTED_PAGES {
            let answer = query.clone().set_exclusive_start_key(start).send().await;
            let answer = answer.map_err(|error| call_failed("counting a segment", error))?;
            members += usize::try_from(answer.count()).unwrap_or(0);
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                break;
            }
        }
        Ok(Count {
            members,
            more: start.is_some(),
        })
    }

    /// Contacts by lifetime value, the highest first, each with its place.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn by_worth(
        &self,
        tenant: &TenantId,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Listed>, StoreError> {
        let answer = self
            .page(List::Customers, key::contact_listing(tenant), after, limit)
            .scan_index_forward(false)
            .send()
            .await
            .map_err(|error| call_failed("listing customers", error))?;
        let last = answer.last_evaluated_key();
        let last = last.and_then(|last| get_text(last, "tenant_sk"));
        Ok(Page {
            entries: answer.items().iter().filter_map(listed).collect(),
            next: last.map(|place| List::Customers.at(place)),
        })
    }

    /// The tenant's imports and comparisons with Stripe, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn runs(
        &self,
        tenant: &TenantId,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Run>, StoreError> {
        let answer = self
            .page(List::Runs, key::runs(tenant), after, limit)
            .scan_index_forward(false)
            .send()
            .await
            .map_err(|error| call_failed("listing runs", error))?;
        let last = answer.last_evaluated_key();
        let last = last.and_then(|last| get_text(last, "sk"));
        Ok(Page {
            entries: answer.items().iter().map(doc).collect::<Result<_, _>>()?,
            next: last.map(|place| List::Runs.at(place)),
        })
    }

    /// The ids of all contacts, in their order, with a word after every page on how many there are
    /// so far.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn everyone(
        &self,
        tenant: &TenantId,
        mut so_far: impl FnMut(usize),
    ) -> Result<Vec<CustomerId>, StoreError> {
        let list = key::contact_listing(tenant);
        let query = self.listing(Some("tenant"), "tenant_pk = :list", list);
        let (mut ids, mut start) = (Vec::new(), None);
        loop {
            let answer = query.clone().set_exclusive_start_key(start).send().await;
            let answer = answer.map_err(|error| call_failed("listing customers", error))?;
            let page = answer.items().iter();
            ids.extend(page.filter_map(|item| Some(listed(item)?.id)));
            so_far(ids.len());
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                break;
            }
        }
        // One whose place moved between two pages is there twice.
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// Contacts by id, in the order that was asked for; without those that there are not.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn contacts(
        &self,
        tenant: &TenantId,
        ids: &[CustomerId],
    ) -> Result<Vec<Contact>, StoreError> {
        let mut found = HashMap::new();
        for some in ids.chunks(MAX_PAGE) {
            let keys = some
                .iter()
                .map(|id| keyed(key::contact(tenant, id), key::CONTACT));
            for item in self.batch_get(keys.collect(), "reading customers").await? {
                let contact: Contact = doc(&item)?;
                found.insert(contact.id.clone(), contact);
            }
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// The contact after which a run over all of them goes on; none for one that begins.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn run_progress(
        &self,
        tenant: &TenantId,
        run: &str,
    ) -> Result<Option<CustomerId>, StoreError> {
        let item = self.get(key::run(tenant, run), RUN).await?;
        let done = item.as_ref().and_then(|item| get_text(item, "done_to"));
        Ok(done.and_then(|id| CustomerId::parse(id).ok()))
    }

    /// Notes how far a run over all contacts is; forgotten at `expires` (Unix seconds).
    ///
    /// # Errors
    /// [`StoreError`] when the table refuses.
    pub async fn note_run(
        &self,
        tenant: &TenantId,
        run: &str,
        done_to: &CustomerId,
        expires: i64,
    ) -> Result<(), StoreError> {
        let mut item = keyed(key::run(tenant, run), RUN);
        item.insert("done_to".to_owned(), text(done_to.as_str()));
        item.insert("expires_at".to_owned(), number(expires));
        self.put(item).await
    }

    /// The query of one page of a list.
    pub(crate) fn page(
        &self,
        list: List,
        pk: String,
        after: Option<&Cursor>,
        limit: usize,
    ) -> QueryFluentBuilder {
        let (index, all, left) = match list {
            List::Members => (
                Some("segment"),
                "segment_pk = :list",
                "segment_pk = :list AND segment_sk > :after",
            ),
            List::AlertsWith => (
                Some("segment"),
                "segment_pk = :list",
                "segment_pk = :list AND segment_sk < :after",
            ),
            List::Customers | List::Alerts => (
                Some("tenant"),
                "tenant_pk = :list",
                "tenant_pk = :list AND tenant_sk < :after",
            ),
            List::Runs | List::AlertsOf => (None, "pk = :list", "pk = :list AND sk < :after"),
        };
        let limit = limit.clamp(1, MAX_PAGE);
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        match after.and_then(|after| after.place(list.word())) {
            Some(after) => self
                .listing(index, left, pk)
                .expression_attribute_values(":after", text(after)),
            None => self.listing(index, all, pk),
        }
        .limit(limit)
    }

    /// A query of an index, or of the table itself.
    fn listing(&self, index: Option<&str>, condition: &str, list: String) -> QueryFluentBuilder {
        self.client()
            .query()
            .table_name(self.table())
            .set_index_name(index.map(str::to_owned))
            .key_condition_expression(condition)
            .expression_attribute_values(":list", text(list))
    }
}

/// A contact's place, from the index's item: `{lifetime value}#{id}`.
fn listed(item: &Item) -> Option<Listed> {
    let place = get_text(item, "tenant_sk")?;
    let (_, id) = place.split_once('#')?;
    Some(Listed {
        id: CustomerId::parse(id).ok()?,
        cursor: List::Customers.at(place),
    })
}
