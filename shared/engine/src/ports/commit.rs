//! Everything that one cause changes, with each key once.
//!
//! `DynamoDB` refuses a transaction that writes to one item twice. Each kind of write is therefore a
//! map by its item's key, and the keys of two kinds never meet
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).

use std::collections::{BTreeMap, BTreeSet};

use paygraph_domain::account::{CatalogEntry, CatalogKey, Object, ObjectKey, Stored};
use paygraph_domain::audit::Change;
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::{Link, Source};
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::{Name, Review};
use paygraph_domain::sequence::Enrolment;
use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::envelope::Outgoing;

/// One cause that was processed, with what is to be published of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Whose it is.
    pub tenant: TenantId,
    /// What was processed.
    pub cause: Cause,
    /// Stripe's event type.
    pub event_type: String,
    /// Stripe's second.
    pub at: Timestamp,
    /// When it was processed, by our clock.
    pub processed_at: Timestamp,
    /// `applied`, `stale`, `known` or `passed_on`.
    pub disposition: String,
    /// What is still to be published; empty once it is.
    pub outbox: Vec<Outgoing>,
}

/// A contact to be written or removed.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactWrite {
    /// As it shall be.
    pub contact: Contact,
    /// The version that was loaded; 0 when there was none.
    pub expected: u64,
    /// Remove it instead: nothing holds it any more.
    pub remove: bool,
    /// The segments that it enters and leaves.
    pub memberships: BTreeMap<String, RowChange>,
}

/// A change of a row that says all by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowChange {
    /// The row is there from now on.
    Put,
    /// The row is removed.
    Delete,
}

impl ContactWrite {
    /// A contact as it became, from the version and the segments that were loaded.
    #[must_use]
    pub fn new(contact: Contact, expected: u64, before: &BTreeSet<String>, remove: bool) -> Self {
        let none = BTreeSet::new();
        let after = if remove {
            &none
        } else {
            &contact.told.segments
        };
        Self {
            memberships: row_changes(before, after).collect(),
            contact,
            expected,
            remove,
        }
    }
}

/// Changes rows from those that were there to those that shall be there.
pub fn row_changes<'a, K: Clone + Ord>(
    before: &'a BTreeSet<K>,
    after: &'a BTreeSet<K>,
) -> impl Iterator<Item = (K, RowChange)> + 'a {
    let new = after.difference(before);
    let new = new.map(|key| (key.clone(), RowChange::Put));
    let gone = before.difference(after);
    new.chain(gone.map(|key| (key.clone(), RowChange::Delete)))
}

/// An object to be written. Its rev is one more than the one that was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectWrite {
    /// Its new rev.
    pub rev: u64,
    /// As it shall be.
    pub object: Object,
}

/// The link from a Stripe customer to its contact, to be made or moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeLinkWrite {
    /// Where it led; none when it is new.
    pub from: Option<CustomerId>,
    /// Where it shall lead.
    pub to: CustomerId,
}

/// Under whose key an audit entry stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOwner {
    /// A Stripe customer: it stays with it, whatever is linked.
    Stripe(StripeCustomerId),
    /// A contact: what the tenant itself changed.
    Contact(CustomerId),
}

/// One entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Under whose key it stands.
    pub owner: AuditOwner,
    /// When it happened at Stripe.
    pub at: Timestamp,
    /// Which path found it.
    pub source: Source,
    /// What made it.
    pub cause: Cause,
    /// Every changed field.
    pub changes: Vec<Change>,
}

/// The most notes of one commit about who waits for what. With the memberships of sixty segments and
/// the object of one message they fit in the hundred writes of a transaction.
const MAX_NOTES: usize = 25;

/// Everything that one cause changes, written together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Whose it is.
    pub tenant: TenantId,
    /// The marker that the cause was processed, with its outbox.
    pub ledger: Option<LedgerEntry>,
    /// Contacts; two when a Stripe customer moves.
    pub contacts: BTreeMap<CustomerId, ContactWrite>,
    /// Objects, each under the Stripe customer that it belongs to.
    pub objects: BTreeMap<(StripeCustomerId, ObjectKey), ObjectWrite>,
    /// The Stripe customers' links to their contacts, when they are new or move.
    pub stripe_links: BTreeMap<StripeCustomerId, StripeLinkWrite>,
    /// Names of contacts that are new or gone.
    pub names: BTreeMap<(Name, CustomerId), RowChange>,
    /// Stripe customers that come onto the review list, or leave it.
    pub reviews: BTreeMap<StripeCustomerId, Option<Review>>,
    /// Names under which the Stripe customer can be found. Several objects may give the same one:
    /// the charges of a payment intent do.
    pub links: BTreeMap<Link, StripeCustomerId>,
    /// Entries of the catalog that a Stripe customer waits for from now on or no longer.
    pub awaits: BTreeMap<(CatalogKey, StripeCustomerId), RowChange>,
    /// An entry of the catalog.
    pub catalog: Option<(CatalogKey, Stored<CatalogEntry>)>,
    /// The audit entry, when something changed.
    pub audit: Option<AuditEntry>,
    /// A contact's enrolments in sequences, by the sequences' names, each to be written over the
    /// version before its own.
    pub enrolments: BTreeMap<(CustomerId, String), Enrolment>,
}

impl Commit {
    /// A commit of nothing yet.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            ledger: None,
            contacts: BTreeMap::new(),
            objects: BTreeMap::new(),
            stripe_links: BTreeMap::new(),
            names: BTreeMap::new(),
            reviews: BTreeMap::new(),
            links: BTreeMap::new(),
            awaits: BTreeMap::new(),
            catalog: None,
            audit: None,
            enrolments: BTreeMap::new(),
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::new(self.tenant.clone())
    }

    /// Adds the write of a contact. A commit writes to each contact once.
    pub fn put_contact(&mut self, write: ContactWrite) {
        let replaced = self.contacts.insert(write.contact.id.clone(), write);
        debug_assert!(replaced.is_none(), "two writes to one contact");
    }

    /// Adds the write of an enrolment. A commit writes to each enrolment once.
    pub fn put_enrolment(&mut self, contact: CustomerId, enrolment: Enrolment) {
        let key = (contact, enrolment.sequence.clone());
        let replaced = self.enrolments.insert(key, enrolment);
        debug_assert!(replaced.is_none(), "two writes to one enrolment");
    }

    /// Notes which catalog entries a Stripe customer waits for from now on, and which no longer.
    ///
    /// Returns the entries that are noted afterwards. Beyond the room of one commit that is not all
    /// of `wanted`: the roll-up keeps the entries that are noted, and each later commit notes more.
    #[must_use]
    pub fn note_awaited(
        &mut self,
        customer: &StripeCustomerId,
        before: &BTreeSet<CatalogKey>,
        wanted: &BTreeSet<CatalogKey>,
    ) -> BTreeSet<CatalogKey> {
        let mut noted = before.clone();
        let room = MAX_NOTES.saturating_sub(self.awaits.len());
        for (key, change) in row_changes(before, wanted).take(room) {
            match change {
                RowChange::Put => noted.insert(key.clone()),
                RowChange::Delete => noted.remove(&key),
            };
            self.awaits.insert((key, customer.clone()), change);
        }
        noted
    }
}
