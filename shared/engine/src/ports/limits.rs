//! The limits of `DynamoDB`, which the table and the store in memory keep alike.
//!
//! Sources: items and keys
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>, transactions
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>,
//! batches <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>.
//! `DynamoDB` counts 1,024 bytes to a KB and 1,024 KB to an MB.

use std::collections::BTreeSet;

use super::StoreError;

/// The most operations of one transaction.
pub const MAX_OPERATIONS: usize = 100;
/// The most bytes of all items of one transaction: 4 MB.
pub const MAX_COMMIT_BYTES: usize = 4 * 1024 * 1024;
/// The most bytes of one item, with the names of its attributes: 400 KB.
pub const MAX_ITEM_BYTES: usize = 400 * 1024;
/// The most bytes of a partition key.
pub const MAX_PARTITION_BYTES: usize = 2_048;
/// The most bytes of a sort key.
pub const MAX_SORT_BYTES: usize = 1_024;
/// The most keys of one `BatchGetItem`.
pub const MAX_BATCH_GET: usize = 100;

/// The key of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    /// The partition key.
    pub partition: String,
    /// The sort key.
    pub sort: String,
}

impl ItemKey {
    /// A key of its two parts.
    #[must_use]
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self {
            partition: partition.into(),
            sort: sort.into(),
        }
    }

    /// How many bytes both parts have, with the names of their attributes: `pk` and `sk`.
    #[must_use]
    pub fn bytes(&self) -> usize {
        "pk".len() + self.partition.len() + "sk".len() + self.sort.len()
    }
}

/// One operation of a transaction: an item that is put or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemWrite {
    /// The item's key.
    pub key: ItemKey,
    /// The bytes of the item, or of its key where it is removed.
    pub bytes: usize,
    /// The object in the item, as errors name it. Never an address or another person's name.
    pub subject: String,
}

/// Why `DynamoDB` would refuse a write, now and whenever it is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The transaction has two operations on one item.
    #[error("a transaction cannot include multiple operations on one item: {0}")]
    SameItem(String),
    /// The transaction has too many operations.
    #[error("{0} writes are needed; a transaction takes at most {MAX_OPERATIONS}")]
    Operations(usize),
    /// The transaction is too large.
    #[error("{0} bytes are to be written; a transaction takes at most {MAX_COMMIT_BYTES}")]
    Bytes(usize),
    /// An item is too large.
    #[error("{subject} has {bytes} bytes; an item has at most {MAX_ITEM_BYTES}")]
    ItemBytes {
        /// The object in the item.
        subject: String,
        /// The bytes of the item.
        bytes: usize,
    },
    /// A key is empty or too long.
    #[error(
        "the key of {0} must have 1 to {MAX_PARTITION_BYTES} bytes, and its second part 1 to \
         {MAX_SORT_BYTES}"
    )]
    Key(String),
    /// A batch reads too many items.
    #[error("{0} items are to be read; a batch takes at most {MAX_BATCH_GET}")]
    BatchGet(usize),
}

impl From<Refusal> for StoreError {
    /// A refusal is permanent: the same write is refused again.
    fn from(refusal: Refusal) -> Self {
        Self {
            context: refusal.to_string(),
            retry: false,
            source: None,
        }
    }
}

/// Checks the key and the size of one item.
///
/// # Errors
/// The [`Refusal`] that `DynamoDB` would answer with.
pub fn check_item(write: &ItemWrite) -> Result<(), Refusal> {
    let ItemKey { partition, sort } = &write.key;
    let fits = |text: &str, most| (1..=most).contains(&text.len());
    if !fits(partition, MAX_PARTITION_BYTES) || !fits(sort, MAX_SORT_BYTES) {
        return Err(Refusal::Key(write.subject.clone()));
    }
    if write.bytes > MAX_ITEM_BYTES {
        return Err(Refusal::ItemBytes {
            subject: write.subject.clone(),
            bytes: write.bytes,
        });
    }
    Ok(())
}

/// Checks the operations of one transaction.
///
/// # Errors
/// The [`Refusal`] that `DynamoDB` would answer with.
pub fn check_transaction(writes: &[ItemWrite]) -> Result<(), Refusal> {
    let mut keys = BTreeSet::new();
    for write in writes {
        check_item(write)?;
        if !keys.insert(&write.key) {
            return Err(Refusal::SameItem(write.subject.clone()));
        }
    }
    if writes.len() > MAX_OPERATIONS {
        return Err(Refusal::Operations(writes.len()));
    }
    let bytes = writes.iter().map(|write| write.bytes).sum();
    if bytes > MAX_COMMIT_BYTES {
        return Err(Refusal::Bytes(bytes));
    }
    Ok(())
}

/// Checks how many keys one batch reads.
///
/// # Errors
/// [`Refusal::BatchGet`].
pub fn check_batch_get(keys: usize) -> Result<(), Refusal> {
    if keys > MAX_BATCH_GET {
        return Err(Refusal::BatchGet(keys));
    }
    Ok(())
}
