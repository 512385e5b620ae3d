//! Enrolments: under their contact, and in shards of the `due` index that are theirs alone.

use aws_sdk_dynamodb::types::Put;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::sequence::Enrolment;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::{IndexPage, StoreError};
use paygraph_engine::sequence::{DueEnrolment, Enrolments};

use crate::item::{Item, doc, get_text, keyed, number, text, with_doc};
use crate::key;
use crate::store::DynamoStore;
use crate::store::index::Shard;

/// The put of an enrolment over the version that was loaded.
pub fn put(
    table: &str,
    tenant: &TenantId,
    (contact, sequence): &(CustomerId, String),
    enrolment: &Enrolment,
) -> Result<PutBuilder, StoreError> {
    let keys = keyed(key::contact(tenant, contact), key::enrolment(sequence));
    let mut item = with_doc(keys, enrolment)?;
    item.insert("version".to_owned(), number(enrolment.version));
    if let Some(due) = enrolment.due() {
        let shard = key::enrolment_shard(tenant, contact);
        item.insert("due_pk".to_owned(), text(shard));
        let sort = format!("{}#{tenant}#{contact}#{sequence}", key::instant(due));
        item.insert("due_sk".to_owned(), text(sort));
    }
    let put = Put::builder().table_name(table).set_item(Some(item));
    Ok(if enrolment.version <= 1 {
        put.condition_expression("attribute_not_exists(pk)")
    } else {
        put.condition_expression("version = :version")
            .expression_attribute_values(":version", number(enrolment.version - 1))
    })
}

impl Enrolments for DynamoStore {
    async fn enrolments(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
    ) -> Result<Vec<Enrolment>, StoreError> {
        let pk = key::contact(tenant, contact);
        let items = self.query(pk, key::ENROL).await?;
        items.iter().map(doc).collect()
    }

    async fn enrolment(
        &self,
        tenant: &TenantId,
        contact: &CustomerId,
        sequence: &str,
    ) -> Result<Option<Enrolment>, StoreError> {
        let pk = key::contact(tenant, contact);
        let item = self.get(pk, key::enrolment(sequence)).await?;
        item.as_ref().map(doc).transpose()
    }

    async fn due_enrolments(
        &self,
        shard: u64,
        after: Option<&str>,
        until: Timestamp,
        limit: usize,
    ) -> Result<IndexPage<DueEnrolment>, StoreError> {
        let shard = Shard {
            index: "due",
            name: key::due_enrolments(shard),
        };
        self.index_page(&shard, after, until.plus(1), limit, due)
            .await
    }
}

/// A due enrolment, from the index's item: `{instant}#{tenant}#{contact}#{sequence}`.
fn due(item: &Item) -> Option<DueEnrolment> {
    let mut parts = get_text(item, "due_sk")?.splitn(4, '#');
    Some(DueEnrolment {
        at: Timestamp::from_unix(parts.next()?.parse().ok()?).ok()?,
        tenant: TenantId::parse(parts.next()?).ok()?,
        contact: CustomerId::parse(parts.next()?).ok()?,
        sequence: parts.next()?.to_owned(),
    })
}
