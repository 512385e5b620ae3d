//! Everything that one cause changes.

use std::collections::BTreeSet;

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
    /// Segments that it is in from now on.
    pub entered: BTreeSet<String>,
    /// Segments that it is no longer in.
    pub left: BTreeSet<String>,
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
            entered: after.difference(before).cloned().collect(),
            left: before.difference(after).cloned().collect(),
            contact,
            expected,
            remove,
        }
    }
}

/// An object to be written. Its rev is one more than the one that was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectWrite {
    /// The Stripe customer that it belongs to.
    pub customer: StripeCustomerId,
    /// Its name.
    pub key: ObjectKey,
    /// Its new rev.
    pub rev: u64,
    /// As it shall be.
    pub object: Object,
}

/// The link from a Stripe customer to its contact, to be made or moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeLinkWrite {
    /// The Stripe customer.
    pub customer: StripeCustomerId,
    /// Where it led; none when it is new.
    pub from: Option<CustomerId>,
    /// Where it shall lead.
    pub to: CustomerId,
}

/// A contact's enrolment in a sequence, to be written over the version before its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentWrite {
    /// The contact.
    pub contact: CustomerId,
    /// As it shall be.
    pub enrolment: Enrolment,
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

/// The most notes of one commit about who waits for what: a transaction has a hundred writes.
const MAX_NOTES: usize = 50;

/// Everything that one cause changes, written together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Whose it is.
    pub tenant: TenantId,
    /// The marker that the cause was processed, with its outbox.
    pub ledger: Option<LedgerEntry>,
    /// Contacts; two when a Stripe customer moves.
    pub contacts: Vec<ContactWrite>,
    /// Objects.
    pub objects: Vec<ObjectWrite>,
    /// The Stripe customers' links to their contacts, when they are new or move.
    pub stripe_links: Vec<StripeLinkWrite>,
    /// Names of contacts that are new (true) or gone.
    pub names: Vec<(Name, CustomerId, bool)>,
    /// Stripe customers that come onto the review list, or leave it.
    pub reviews: Vec<(StripeCustomerId, Option<Review>)>,
    /// Names under which the Stripe customer can be found.
    pub links: Vec<(Link, StripeCustomerId)>,
    /// Entries of the catalog that a Stripe customer waits for from now on (true) or no longer.
    pub awaits: Vec<(CatalogKey, StripeCustomerId, bool)>,
    /// An entry of the catalog.
    pub catalog: Option<(CatalogKey, Stored<CatalogEntry>)>,
    /// The audit entry, when something changed.
    pub audit: Option<AuditEntry>,
    /// Enrolments in sequences.
    pub enrolments: Vec<EnrolmentWrite>,
}

impl Commit {
    /// A commit of nothing yet.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            ledger: None,
            contacts: Vec::new(),
            objects: Vec::new(),
            stripe_links: Vec::new(),
            names: Vec::new(),
            reviews: Vec::new(),
            links: Vec::new(),
            awaits: Vec::new(),
            catalog: None,
            audit: None,
            enrolments: Vec::new(),
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::new(self.tenant.clone())
    }

    /// Notes what a Stripe customer waits for now, and what no longer.
    pub fn note_awaited(
        &mut self,
        customer: &StripeCustomerId,
        before: &BTreeSet<CatalogKey>,
        after: &BTreeSet<CatalogKey>,
    ) {
        let new = after.difference(before).map(|key| (key, true));
        let gone = before.difference(after).map(|key| (key, false));
        let notes = new
            .chain(gone)
            .take(MAX_NOTES.saturating_sub(self.awaits.len()));
        self.awaits
            .extend(notes.map(|(key, new)| (key.clone(), customer.clone(), new)));
    }
}
