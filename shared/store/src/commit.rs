//! A commit as one conditional write: everything or nothing.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};
use paygraph_domain::id::TenantId;
use paygraph_engine::ports::{
    AuditEntry, Commit, CommitError, ContactWrite, LedgerEntry, ObjectWrite, StoreError,
    StripeLinkWrite,
};

use crate::item::{Item, keyed, number, text, with_doc};
use crate::key;
use crate::store::failed;

/// How long a ledger entry is kept: longer than the 30 days in which Stripe can send again.
pub(crate) const LEDGER_SECONDS: i64 = 60 * 86_400;

/// The writes of a commit; the ledger's is the first, if there is one.
pub fn writes(table: &str, commit: &Commit) -> Result<Vec<TransactWriteItem>, StoreError> {
    let tenant = &commit.tenant;
    let mut puts = Vec::new();
    if let Some(entry) = &commit.ledger {
        puts.push(ledger(table, entry)?);
    }
    let mut deletes = Vec::new();
    for write in &commit.contacts {
        if write.remove {
            deletes.push(remove_contact(table, tenant, write));
        } else {
            puts.push(contact(table, tenant, write)?);
        }
        let id = &write.contact.id;
        for segment in &write.entered {
            let mut item = keyed(key::contact(tenant, id), key::membership(segment));
            item.insert("segment_pk".to_owned(), text(key::segment(tenant, segment)));
            item.insert("segment_sk".to_owned(), text(id.as_str()));
            puts.push(Put::builder().table_name(table).set_item(Some(item)));
        }
        for segment in &write.left {
            let keys = keyed(key::contact(tenant, id), key::membership(segment));
            let delete = Delete::builder().table_name(table).set_key(Some(keys));
            deletes.push(delete);
        }
    }
    for write in &commit.objects {
        puts.push(object(table, tenant, write)?);
    }
    let links = commit.stripe_links.iter();
    puts.extend(links.map(|write| stripe_link(table, tenant, write)));
    for (row, new) in rows(commit) {
        if new {
            puts.push(Put::builder().table_name(table).set_item(Some(row)));
        } else {
            deletes.push(Delete::builder().table_name(table).set_key(Some(row)));
        }
    }
    for (customer, review) in &commit.reviews {
        let item = keyed(key::reviews(tenant), customer.as_str());
        match review {
            Some(review) => {
                let item = with_doc(item, review)?;
                puts.push(Put::builder().table_name(table).set_item(Some(item)));
            }
            None => deletes.push(Delete::builder().table_name(table).set_key(Some(item))),
        }
    }
    for (link, customer) in &commit.links {
        let mut item = keyed(key::link(tenant, link), key::LINK);
        item.insert("customer".to_owned(), text(customer.as_str()));
        puts.push(Put::builder().table_name(table).set_item(Some(item)));
    }
    if let Some((entry_key, entry)) = &commit.catalog {
        let item = with_doc(
            keyed(key::catalog(tenant), entry_key.sort_key()),
            &entry.value,
        )?;
        puts.push(revised(table, item, entry.rev));
    }
    for write in &commit.enrolments {
        puts.push(crate::enrolments::put(table, tenant, write)?);
    }
    if let Some(entry) = &commit.audit {
        puts.push(audit(table, commit, entry)?);
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

/// Rows that say all by their key, which are to be there (true) or not.
fn rows(commit: &Commit) -> impl Iterator<Item = (Item, bool)> {
    let tenant = &commit.tenant;
    let names = commit.names.iter();
    let names = names.map(|(name, contact, new)| {
        let row = keyed(key::name(tenant, name), key::named(contact));
        (row, *new)
    });
    let awaits = commit.awaits.iter();
    let awaits = awaits.map(|(awaited, customer, new)| {
        let row = keyed(key::awaiting(tenant, awaited), customer.as_str());
        (row, *new)
    });
    names.chain(awaits)
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

fn contact(table: &str, tenant: &TenantId, write: &ContactWrite) -> Result<PutBuilder, StoreError> {
    let id = &write.contact.id;
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

fn remove_contact(
    table: &str,
    tenant: &TenantId,
    write: &ContactWrite,
) -> aws_sdk_dynamodb::types::builders::DeleteBuilder {
    Delete::builder()
        .table_name(table)
        .set_key(Some(keyed(
            key::contact(tenant, &write.contact.id),
            key::CONTACT,
        )))
        .condition_expression("version = :version")
        .expression_attribute_values(":version", number(write.expected))
}

fn object(table: &str, tenant: &TenantId, write: &ObjectWrite) -> Result<PutBuilder, StoreError> {
    let item = keyed(key::stripe(tenant, &write.customer), write.key.sort_key());
    Ok(revised(table, with_doc(item, &write.object)?, write.rev))
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

fn stripe_link(table: &str, tenant: &TenantId, write: &StripeLinkWrite) -> PutBuilder {
    let mut item = keyed(key::stripe_link(tenant, &write.customer), key::LINK);
    item.insert("contact".to_owned(), text(write.to.as_str()));
    let put = Put::builder().table_name(table).set_item(Some(item));
    match &write.from {
        None => absent(put),
        Some(from) => put
            .condition_expression("contact = :from")
            .expression_attribute_values(":from", text(from.as_str())),
    }
}

/// Entries of one second stand in the order in which the contact took them in.
fn audit(table: &str, commit: &Commit, entry: &AuditEntry) -> Result<PutBuilder, StoreError> {
    let versions = commit.contacts.iter().map(|write| write.contact.version);
    let version = versions.max().unwrap_or(0);
    let at = key::instant(entry.at);
    let sort = format!("{}{at}#{version:010}#{}", key::AUDIT, entry.cause);
    let item = with_doc(
        keyed(key::audit_owner(&commit.tenant, &entry.owner), sort),
        entry,
    )?;
    Ok(Put::builder().table_name(table).set_item(Some(item)))
}

/// What a refused transaction means.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub fn refused(error: SdkError<TransactWriteItemsError>, has_ledger: bool) -> CommitError {
    let Some(service) = error.as_service_error() else {
        return CommitError::Store(failed("a transaction", true, error));
    };
    if let TransactWriteItemsError::TransactionCanceledException(canceled) = service {
        let codes: Vec<&str> = canceled
            .cancellation_reasons()
            .iter()
            .map(|r| r.code().unwrap_or("None"))
            .collect();
        if has_ledger && codes.first() == Some(&"ConditionalCheckFailed") {
            return CommitError::Duplicate;
        }
        // Somebody else was faster, or the item is busy: both are settled by loading again.
        let busy = |code: &&str| {
            matches!(
                *code,
                "None"
                    | "ConditionalCheckFailed"
                    | "TransactionConflict"
                    | "ThrottlingError"
                    | "ProvisionedThroughputExceeded"
            )
        };
        if !codes.is_empty() && codes.iter().all(busy) {
            return CommitError::Conflict;
        }
        return CommitError::Store(failed("a transaction", false, error));
    }
    if is_busy(service.code()) {
        return CommitError::Conflict;
    }
    CommitError::Store(failed("a transaction", true, error))
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
