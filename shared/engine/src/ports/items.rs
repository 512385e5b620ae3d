//! The items of a commit, as the table will have them: their keys, and about how large they are.

use std::io;

use paygraph_domain::id::CustomerId;
use serde::Serialize;

use super::commit::{Commit, ContactWrite, RowChange};
use super::limits::{ItemKey, ItemWrite, Refusal, check_transaction};
use super::{Parked, key};

/// The most bytes of an item's attributes beside its document and the texts of its keys.
const FIXED_BYTES: usize = 256;

impl Commit {
    /// Checks whether `DynamoDB` takes this commit. It counts a little more than an item has.
    ///
    /// # Errors
    /// The [`Refusal`] that `DynamoDB` would answer with.
    pub fn check(&self) -> Result<(), Refusal> {
        check_transaction(&self.items())
    }

    /// How many operations the transaction has.
    #[must_use]
    pub fn operations(&self) -> usize {
        let memberships = self.contacts.values().map(|write| write.memberships.len());
        usize::from(self.ledger.is_some())
            + usize::from(self.catalog.is_some())
            + usize::from(self.audit.is_some())
            + self.contacts.len()
            + memberships.sum::<usize>()
            + self.objects.len()
            + self.stripe_links.len()
            + self.names.len()
            + self.reviews.len()
            + self.links.len()
            + self.awaits.len()
            + self.enrolments.len()
    }

    /// Every item that is written or removed.
    #[must_use]
    pub fn items(&self) -> Vec<ItemWrite> {
        let mut items = Vec::with_capacity(self.operations());
        if let Some(entry) = &self.ledger {
            let key = ItemKey::new(key::ledger(&self.tenant, &entry.cause), key::EVENT);
            items.push(put(
                key,
                entry,
                format!("the ledger entry of {}", entry.cause),
            ));
        }
        for (id, write) in &self.contacts {
            self.contact(id, write, &mut items);
        }
        self.objects(&mut items);
        self.rows(&mut items);
        if let Some((entry_key, entry)) = &self.catalog {
            let key = ItemKey::new(key::catalog(&self.tenant), entry_key.sort_key());
            let subject = format!("the catalog's {}", entry_key.sort_key());
            items.push(put(key, &entry.value, subject));
        }
        for ((contact, sequence), enrolment) in &self.enrolments {
            let partition = key::contact(&self.tenant, contact);
            let key = ItemKey::new(partition, key::enrolment(sequence));
            let subject = format!("the enrolment of contact {contact} in {sequence}");
            items.push(put(key, enrolment, subject));
        }
        if let Some(entry) = &self.audit {
            let partition = key::audit_owner(&self.tenant, &entry.owner);
            let key = ItemKey::new(partition, key::audit(entry, self.newest_version()));
            items.push(put(
                key,
                entry,
                format!("the audit entry of {}", entry.cause),
            ));
        }
        items
    }

    /// The newest version of a contact in this commit: audit entries of one second are ordered by it.
    #[must_use]
    pub fn newest_version(&self) -> u64 {
        let versions = self.contacts.values().map(|write| write.contact.version);
        versions.max().unwrap_or(0)
    }

    fn contact(&self, id: &CustomerId, write: &ContactWrite, items: &mut Vec<ItemWrite>) {
        let partition = key::contact(&self.tenant, id);
        let key = ItemKey::new(partition.clone(), key::CONTACT);
        let subject = format!("contact {id}");
        items.push(if write.remove {
            remove(key, subject)
        } else {
            put(key, &write.contact, subject)
        });
        for (segment, change) in &write.memberships {
            let key = ItemKey::new(partition.clone(), key::membership(segment));
            let subject = format!("the membership of contact {id} in {segment}");
            items.push(row(key, *change, subject));
        }
    }

    fn objects(&self, items: &mut Vec<ItemWrite>) {
        for ((customer, object), write) in &self.objects {
            let sort = object.sort_key();
            let subject = format!("{sort} of {customer}");
            let key = ItemKey::new(key::stripe(&self.tenant, customer), sort);
            items.push(put(key, &write.object, subject));
        }
        for customer in self.stripe_links.keys() {
            let key = ItemKey::new(key::stripe_link(&self.tenant, customer), key::LINK);
            let subject = format!("the link of {customer}");
            items.push(row(key, RowChange::Put, subject));
        }
    }

    fn rows(&self, items: &mut Vec<ItemWrite>) {
        let tenant = &self.tenant;
        for ((name, contact), change) in &self.names {
            let key = ItemKey::new(key::name(tenant, name), key::named(contact));
            let subject = format!("the {} of contact {contact}", name.parts().0);
            items.push(row(key, *change, subject));
        }
        for ((awaited, customer), change) in &self.awaits {
            let key = ItemKey::new(key::awaiting(tenant, awaited), customer.as_str());
            let subject = format!("the wait of {customer} for {}", awaited.sort_key());
            items.push(row(key, *change, subject));
        }
        for (customer, review) in &self.reviews {
            let key = ItemKey::new(key::reviews(tenant), customer.as_str());
            let subject = format!("the review of {customer}");
            items.push(match review {
                Some(review) => put(key, review, subject),
                None => remove(key, subject),
            });
        }
        for (link, customer) in &self.links {
            let key = ItemKey::new(key::link(tenant, link), key::LINK);
            let subject = format!("a link to {customer}");
            let mut item = row(key, RowChange::Put, subject);
            item.bytes += customer.as_str().len();
            items.push(item);
        }
    }
}

impl Parked {
    /// The item of a message that waits.
    #[must_use]
    pub fn item(&self) -> ItemWrite {
        let partition = key::parked(&self.tenant, &self.reason.place());
        let key = ItemKey::new(partition, self.cause.as_str());
        put(key, self, format!("the parked event {}", self.cause))
    }
}

/// An item with a document.
pub(crate) fn put(key: ItemKey, document: &impl Serialize, subject: String) -> ItemWrite {
    let mut item = row(key, RowChange::Put, subject);
    item.bytes = item.bytes.saturating_add(json_bytes(document));
    item
}

fn remove(key: ItemKey, subject: String) -> ItemWrite {
    row(key, RowChange::Delete, subject)
}

/// An item that says all by its key. The attributes of the indexes repeat the texts of the key.
fn row(key: ItemKey, change: RowChange, subject: String) -> ItemWrite {
    let bytes = match change {
        RowChange::Put => FIXED_BYTES + 3 * key.bytes(),
        RowChange::Delete => key.bytes(),
    };
    ItemWrite {
        key,
        bytes,
        subject,
    }
}

/// How many bytes a document has as JSON. One that cannot be written fits nowhere.
pub(crate) fn json_bytes(document: &impl Serialize) -> usize {
    let mut count = ByteCount(0);
    match serde_json::to_writer(&mut count, document) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

/// Counts the bytes that are written to it.
struct ByteCount(usize);

impl io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
