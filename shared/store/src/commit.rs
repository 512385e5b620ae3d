//! A commit as one conditional write: everything or nothing.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::{DeleteBuilder, PutBuilder};
use aws_sdk_dynamodb::types::{CancellationReason, Delete, Put, TransactWriteItem};
use paygraph_domain::id::{CustomerId, StripeCustomerId, TenantId};
use paygraph_engine::ports::limits::{ItemKey, ItemWrite, check_transaction};
use paygraph_engine::ports::{
    AuditEntry, Commit, CommitError, ContactWrite, LedgerEntry, RowChange, StoreError,
    StripeLinkWrite,
};

use crate::item::{Item, get_text, item_bytes, keyed, number, text, with_doc};
use crate::key;
use crate::store::failed;

/// How long a ledger entry is kept: longer than the 30 days in which Stripe can send again.
pub(crate) const LEDGER_SECONDS: i64 = 60 * 86_400;

/// The writes of a commit; the ledger's is the first, if there is one. The commit's maps give each
/// item once.
pub fn writes(table: &str, commit: &Commit) -> Result<Vec<TransactWriteItem>, StoreError> {
    let mut puts = conditional_puts(table, commit)?;
    let mut deletes = removed_contacts(table, commit);
    for (item, change) in rows(commit)? {
        match change {
            RowChange::Put => puts.push(Put::builder().table_name(table).set_item(Some(item))),
            RowChange::Delete => {
                deletes.push(Delete::builder().table_name(table).set_key(Some(item)));
            }
        }
    }
    let mut writes = Vec::with_capacity(puts.len() + deletes.len());
    for put in puts {
        let put = put
            .build()
            .map_err(|error| failed("a write", false, error))?;
        writes.push(TransactWriteItem::builder().put(put).build());
    }
    for delete in deletes {
        let delete = delete
            .build()
            .map_err(|error| failed("a removal", false, error))?;
        writes.push(TransactWriteItem::builder().delete(delete).build());
    }
    Ok(writes)
}

/// The puts of what has a version, with the condition that the one before is there.
fn conditional_puts(table: &str, commit: &Commit) -> Result<Vec<PutBuilder>, StoreError> {
    let tenant = &commit.tenant;
    let mut puts = Vec::new();
    if let Some(entry) = &commit.ledger {
        puts.push(ledger(table, entry)?);
    }
    for (id, write) in commit.contacts.iter().filter(|(_, write)| !write.remove) {
        puts.push(contact(table, tenant, id, write)?);
    }
    for ((customer, key), write) in &commit.objects {
        let item = keyed(key::stripe(tenant, customer), key.sort_key());
        puts.push(revised(table, with_doc(item, &write.object)?, write.rev));
    }
    let links = commit.stripe_links.iter();
    puts.extend(links.map(|(customer, write)| stripe_link(table, tenant, customer, write)));
    if let Some((entry_key, entry)) = &commit.catalog {
        let keys = keyed(key::catalog(tenant), entry_key.sort_key());
        puts.push(revised(table, with_doc(keys, &entry.value)?, entry.rev));
    }
    for (key, enrolment) in &commit.enrolments {
        puts.push(crate::enrolments::put(table, tenant, key, enrolment)?);
    }
    if let Some(entry) = &commit.audit {
        puts.push(audit(table, commit, entry)?);
    }
    Ok(puts)
}

/// Items without a version, to be put; or only their keys, to be removed.
fn rows(commit: &Commit) -> Result<Vec<(Item, RowChange)>, StoreError> {
    let tenant = &commit.tenant;
    let mut rows = Vec::new();
    for (id, write) in &commit.contacts {
        for (segment, change) in &write.memberships {
            let mut item = keyed(key::contact(tenant, id), key::membership(segment));
            if *change == RowChange::Put {
                item.insert("segment_pk".to_owned(), text(key::segment(tenant, segment)));
                item.insert("segment_sk".to_owned(), text(id.as_str()));
            }
            rows.push((item, *change));
        }
    }
    for ((name, contact), change) in &commit.names {
        let item = keyed(key::name(tenant, name), key::named(contact));
        rows.push((item, *change));
    }
    for ((awaited, customer), change) in &commit.awaits {
        let item = keyed(key::awaiting(tenant, awaited), customer.as_str());
        rows.push((item, *change));
    }
    for (customer, review) in &commit.reviews {
        let keys = keyed(key::reviews(tenant), customer.as_str());
        rows.push(match review {
            Some(review) => (with_doc(keys, review)?, RowChange::Put),
            None => (keys, RowChange::Delete),
        });
    }
    for (link, customer) in &commit.links {
        let mut item = keyed(key::link(tenant, link), key::LINK);
        item.insert("customer".to_owned(), text(customer.as_str()));
        rows.push((item, RowChange::Put));
    }
    Ok(rows)
}

fn ledger(table: &str, entry: &LedgerEntry) -> Result<PutBuilder, StoreError> {
    let mut item = keyed(key::ledger(&entry.tenant, &entry.cause), key::EVENT);
    item = with_doc(item, entry)?;
    let expires = entry.processed_at.unix().saturating_add(LEDGER_SECONDS);
    item.insert("expires_at".to_owned(), number(expires));
    if !entry.outbox.is_empty() {
        let since = key::instant(entry.processed_at);
        item.insert(
            "pending_pk".to_owned(),
            text(key::pending_shard(&entry.cause)),
        );
        let sort = format!("{since}#{}#{}", entry.tenant, entry.cause);
        item.insert("pending_sk".to_owned(), text(sort));
    }
    Ok(absent(
        Put::builder().table_name(table).set_item(Some(item)),
    ))
}

/// Adds the condition that there is no such item. One that is past its time to live but still
/// there counts: it was processed.
fn absent(put: PutBuilder) -> PutBuilder {
    put.condition_expression("attribute_not_exists(pk)")
}

fn contact(
    table: &str,
    tenant: &TenantId,
    id: &CustomerId,
    write: &ContactWrite,
) -> Result<PutBuilder, StoreError> {
    let mut item = with_doc(
        keyed(key::contact(tenant, id), key::CONTACT),
        &write.contact,
    )?;
    item.insert("version".to_owned(), number(write.contact.version));
    item.insert("tenant_pk".to_owned(), text(key::contact_listing(tenant)));
    item.insert("tenant_sk".to_owned(), text(key::by_worth(&write.contact)));
    if let Some(due) = write.contact.due() {
        item.insert("due_pk".to_owned(), text(key::due_shard(tenant, id)));
        let sort = format!("{}#{tenant}#{id}", key::instant(due));
        item.insert("due_sk".to_owned(), text(sort));
    }
    let put = Put::builder().table_name(table).set_item(Some(item));
    Ok(if write.expected == 0 {
        absent(put)
    } else {
        put.condition_expression("version = :version")
            .expression_attribute_values(":version", number(write.expected))
    })
}

fn removed_contacts(table: &str, commit: &Commit) -> Vec<DeleteBuilder> {
    let removed = commit.contacts.iter().filter(|(_, write)| write.remove);
    removed
        .map(|(id, write)| {
            let keys = keyed(key::contact(&commit.tenant, id), key::CONTACT);
            Delete::builder()
                .table_name(table)
                .set_key(Some(keys))
                .condition_expression("version = :version")
                .expression_attribute_values(":version", number(write.expected))
        })
        .collect()
}

/// A put of the next rev: the one before must be what is there.
fn revised(table: &str, mut item: Item, rev: u64) -> PutBuilder {
    item.insert("rev".to_owned(), number(rev));
    let put = Put::builder().table_name(table).set_item(Some(item));
    if rev <= 1 {
        absent(put)
    } else {
        put.condition_expression("rev = :rev")
            .expression_attribute_values(":rev", number(rev - 1))
    }
}

fn stripe_link(
    table: &str,
    tenant: &TenantId,
    customer: &StripeCustomerId,
    write: &StripeLinkWrite,
) -> PutBuilder {
    let mut item = keyed(key::stripe_link(tenant, customer), key::LINK);
    item.insert("contact".to_owned(), text(write.to.as_str()));
    let put = Put::builder().table_name(table).set_item(Some(item));
    match &write.from {
        None => absent(put),
        Some(from) => put
            .condition_expression("contact = :from")
            .expression_attribute_values(":from", text(from.as_str())),
    }
}

fn audit(table: &str, commit: &Commit, entry: &AuditEntry) -> Result<PutBuilder, StoreError> {
    let partition = key::audit_owner(&commit.tenant, &entry.owner);
    let sort = key::audit(entry, commit.newest_version());
    let item = with_doc(keyed(partition, sort), entry)?;
    Ok(Put::builder().table_name(table).set_item(Some(item)))
}

/// Checks the writes of a commit before they are sent: `DynamoDB` would refuse them for good.
///
/// # Errors
/// A permanent [`StoreError`] that names the object.
pub fn check(writes: &[TransactWriteItem], commit: &Commit) -> Result<(), StoreError> {
    let items: Vec<ItemWrite> = writes.iter().map(item_write).collect();
    // The engine's list of the same items names each object.
    check_transaction(&items).map_err(|refusal| commit.check().err().unwrap_or(refusal).into())
}

/// The key and the bytes of one operation.
pub fn item_write(write: &TransactWriteItem) -> ItemWrite {
    let item = write.put().map(Put::item);
    let item = item.or_else(|| write.delete().map(Delete::key));
    let text = |name| item.and_then(|item| get_text(item, name));
    let key = ItemKey::new(
        text("pk").unwrap_or_default(),
        text("sk").unwrap_or_default(),
    );
    ItemWrite {
        bytes: item.map_or(0, item_bytes),
        subject: key.sort.clone(),
        key,
    }
}

/// The meaning of a refused transaction.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub fn refused(error: SdkError<TransactWriteItemsError>, has_ledger: bool) -> CommitError {
    let Some(service) = error.as_service_error() else {
        return CommitError::Store(failed("a transaction", true, error));
    };
    if let TransactWriteItemsError::TransactionCanceledException(canceled) = service {
        let reasons = canceled.cancellation_reasons();
        return match canceled_as(reasons, has_ledger) {
            Some(meaning) => meaning,
            None => CommitError::Store(failed(&reasons_text(reasons), false, error)),
        };
    }
    if is_busy(service.code()) {
        return CommitError::Conflict;
    }
    let retry = !is_refusal(service.code());
    let context = refusal_text("a transaction", service);
    CommitError::Store(failed(&context, retry, error))
}

/// The meaning of a canceled transaction by its reasons; none when no later attempt can succeed.
fn canceled_as(reasons: &[CancellationReason], has_ledger: bool) -> Option<CommitError> {
    let code = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
    let codes: Vec<String> = reasons.iter().map(code).collect();
    if has_ledger
        && codes
            .first()
            .is_some_and(|code| code == "ConditionalCheckFailed")
    {
        return Some(CommitError::Duplicate);
    }
    // Somebody else was faster, or the item is busy: loading again settles both.
    let busy = |code: &String| {
        matches!(
            code.as_str(),
            "None"
                | "ConditionalCheckFailed"
                | "TransactionConflict"
                | "ThrottlingError"
                | "ProvisionedThroughputExceeded"
        )
    };
    (!codes.is_empty() && codes.iter().all(busy)).then_some(CommitError::Conflict)
}

/// The reasons in `DynamoDB`'s own words, without those of the operations that it would have taken.
fn reasons_text(reasons: &[CancellationReason]) -> String {
    let told = reasons
        .iter()
        .filter(|reason| reason.code().is_some_and(|code| code != "None"))
        .map(|reason| {
            let (code, message) = (reason.code().unwrap_or_default(), reason.message());
            format!("{code}: {}", message.unwrap_or("no message"))
        });
    let told: BTreeSet<String> = told.collect();
    let told: Vec<String> = told.into_iter().collect();
    format!("DynamoDB canceled a transaction: {}", told.join("; "))
}

/// Whether `DynamoDB` calls the request itself wrong, so that it refuses the same request for good.
pub fn is_refusal(code: Option<&str>) -> bool {
    matches!(
        code,
        Some("ValidationException" | "ItemCollectionSizeLimitExceededException")
    )
}

/// What was tried, with `DynamoDB`'s own reason where it refused the request.
pub fn refusal_text(context: &str, error: &impl ProvideErrorMetadata) -> String {
    match error.code().filter(|code| is_refusal(Some(code))) {
        Some(code) => format!(
            "{context}: {code}: {}",
            error.message().unwrap_or("no message")
        ),
        None => context.to_owned(),
    }
}

/// Whether an error only says that the table is busy.
pub fn is_busy(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(
            "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "TransactionInProgressException"
                | "TransactionConflictException"
        )
    )
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
