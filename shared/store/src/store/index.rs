//! Pages of the sparse indexes whose sort keys begin with an instant.

use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::{IndexPage, StoreError};

use super::{DynamoStore, call_failed};
use crate::item::{Item, get_text, text};
use crate::key;

/// A shard of such an index.
pub(crate) struct Shard {
    /// The index: its attributes are `{index}_pk` and `{index}_sk`.
    pub index: &'static str,
    /// The partition.
    pub name: String,
}

impl DynamoStore {
    /// A page of what stands before an instant, behind the place `after`. An item that cannot be read
    /// is named by its place, and stays there.
    pub(crate) async fn index_page<T>(
        &self,
        shard: &Shard,
        after: Option<&str>,
        before: Timestamp,
        limit: usize,
        read: impl Fn(&Item) -> Option<T>,
    ) -> Result<IndexPage<T>, StoreError> {
        let Shard { index, name } = shard;
        // No sort key is the bare instant, so that the upper end is not in the page. Every sort key
        // begins with a digit, and none stands between another one and that one with a zero byte.
        let after = after.map_or_else(|| "0".to_owned(), |after| format!("{after}\0"));
        let sort = format!("{index}_sk");
        let answer = self
            .client()
            .query()
            .table_name(self.table())
            .index_name(*index)
            .key_condition_expression(format!(
                "{index}_pk = :shard AND {sort} BETWEEN :after AND :before"
            ))
            .expression_attribute_values(":shard", text(name))
            .expression_attribute_values(":after", text(after))
            .expression_attribute_values(":before", text(key::instant(before)))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| call_failed("reading an index", error))?;
        let mut page = IndexPage::last(Vec::new());
        for item in answer.items() {
            if let Some(entry) = read(item) {
                page.entries.push(entry);
            } else {
                let place = get_text(item, &sort).unwrap_or_default();
                page.unreadable.push(place.to_owned());
            }
        }
        let more = answer
            .last_evaluated_key()
            .is_some_and(|key| !key.is_empty());
        let last = answer.items().last().filter(|_| more);
        page.next = last
            .and_then(|item| get_text(item, &sort))
            .map(str::to_owned);
        Ok(page)
    }
}
