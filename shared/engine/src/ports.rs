//! What the engine needs of the outside: a store with conditional commits, and a publisher.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use paygraph_domain::account::{
    Account, Catalog, CatalogEntry, CatalogKey, Object, ObjectKey, Stored,
};
use paygraph_domain::audit::Change;
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::{Link, Source};
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::{Name, Review};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::envelope::Outgoing;
use crate::run::{Drift, Look, Run};

/// Trouble with the store.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {context}")]
pub struct StoreError {
    /// What was tried.
    pub context: String,
    /// Whether another attempt may succeed.
    pub retry: bool,
    /// What went wrong.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Why a commit did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The ledger has the cause already.
    #[error("this cause was committed before")]
    Duplicate,
    /// Something that was loaded has changed since, or the store is busy: load again.
    #[error("what was loaded has changed")]
    Conflict,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

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

/// A contact whose time has come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// Whose it is.
    pub tenant: TenantId,
    /// The contact.
    pub contact: CustomerId,
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

/// The most contacts that are named as candidates for one Stripe customer.
pub const MAX_CANDIDATES: usize = 10;
/// How many shards the due contacts are spread over.
pub const DUE_SHARDS: u64 = 16;

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

/// Why a message waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// It names no customer, and the charge that leads to one was not seen yet.
    UnknownCharge(String),
    /// It names no customer, and the payment intent that leads to one was not seen yet.
    UnknownPaymentIntent(String),
    /// It was too large for the queue, so that only its id came.
    TooLarge,
    /// It names a connected account of no tenant.
    UnknownAccount(String),
}

impl ParkReason {
    /// The place in which such messages wait together, as part of a key.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::UnknownCharge(id) => format!("charge#{id}"),
            Self::UnknownPaymentIntent(id) => format!("payment_intent#{id}"),
            Self::TooLarge => "too_large".to_owned(),
            Self::UnknownAccount(id) => format!("account#{id}"),
        }
    }
}

impl From<&Link> for ParkReason {
    fn from(link: &Link) -> Self {
        match link {
            Link::Charge(id) => Self::UnknownCharge(id.to_string()),
            Link::PaymentIntent(id) => Self::UnknownPaymentIntent(id.to_string()),
        }
    }
}

/// A message that waits, in plain sight, for something that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its cause.
    pub cause: Cause,
    /// Why it waits.
    pub reason: ParkReason,
    /// When it was parked, by our clock.
    pub parked_at: Timestamp,
    /// The event, verbatim; empty when only its id came.
    pub event: String,
}

/// Objects that are not of the working set, with their revs.
pub type Beside = BTreeMap<ObjectKey, (u64, Object)>;

type Answer<T> = Result<T, StoreError>;

/// Where everything is kept. Every read is consistent unless it says otherwise.
pub trait Store: Sync {
    /// The tenant's settings. May be some seconds old.
    fn settings(&self, tenant: &TenantId) -> impl Future<Output = Answer<Arc<Settings>>> + Send;

    /// The contact that a Stripe customer belongs to.
    fn contact_of(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
    ) -> impl Future<Output = Answer<Option<CustomerId>>> + Send;

    /// The Stripe customer that a charge or payment intent belongs to.
    fn customer_by(
        &self,
        tenant: &TenantId,
        link: &Link,
    ) -> impl Future<Output = Answer<Option<StripeCustomerId>>> + Send;

    /// The contacts that have a name, at most [`MAX_CANDIDATES`].
    fn named(
        &self,
        tenant: &TenantId,
        name: &Name,
    ) -> impl Future<Output = Answer<Vec<CustomerId>>> + Send;

    /// A contact.
    fn contact(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
    ) -> impl Future<Output = Answer<Option<Contact>>> + Send;

    /// A Stripe customer's working set. The reads of several objects are not one snapshot: compare
    /// [`Account::digest`].
    fn account(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
    ) -> impl Future<Output = Answer<Account>> + Send;

    /// Objects beside it, with their revs; those that are not there are left out.
    fn beside(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        keys: &BTreeSet<ObjectKey>,
    ) -> impl Future<Output = Answer<Beside>> + Send;

    /// Catalog entries, for reading. May be some seconds old.
    fn catalog(
        &self,
        tenant: &TenantId,
        keys: &BTreeSet<CatalogKey>,
    ) -> impl Future<Output = Answer<Catalog>> + Send;

    /// A catalog entry, for changing.
    fn catalog_entry(
        &self,
        tenant: &TenantId,
        key: &CatalogKey,
    ) -> impl Future<Output = Answer<Option<Stored<CatalogEntry>>>> + Send;

    /// The Stripe customers that wait for a catalog entry.
    fn awaiting(
        &self,
        tenant: &TenantId,
        key: &CatalogKey,
    ) -> impl Future<Output = Answer<Vec<StripeCustomerId>>> + Send;

    /// Writes everything or nothing.
    fn commit(&self, commit: &Commit) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// What was processed under a cause.
    fn ledger(
        &self,
        tenant: &TenantId,
        cause: &Cause,
    ) -> impl Future<Output = Answer<Option<LedgerEntry>>> + Send;

    /// Notes that a cause's outbox was published.
    fn published(
        &self,
        tenant: &TenantId,
        cause: &Cause,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Entries whose outbox still waits, processed before an instant. Eventually consistent.
    fn pending(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Answer<Vec<LedgerEntry>>> + Send;

    /// Contacts whose time has come, of one shard, the longest due first. Eventually consistent.
    fn due(
        &self,
        shard: u64,
        until: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Answer<Vec<Due>>> + Send;

    /// Parks a message. Parking it again changes nothing.
    fn park(&self, parked: &Parked) -> impl Future<Output = Answer<()>> + Send;

    /// The messages that wait in one place.
    fn parked(
        &self,
        tenant: &TenantId,
        place: &str,
    ) -> impl Future<Output = Answer<Vec<Parked>>> + Send;

    /// Takes a message out of its place.
    fn unpark(&self, parked: &Parked) -> impl Future<Output = Answer<()>> + Send;
}

/// Where runs over all of Stripe's objects are kept.
pub trait Runs: Sync {
    /// Takes the tenant's lease for a run until an instant. Gives its token, which no earlier
    /// holder has; none while another run, or another holder of this one, has it.
    fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Answer<Option<u64>>> + Send;

    /// Gives the lease back, if it is still ours.
    fn release(&self, tenant: &TenantId, token: u64) -> impl Future<Output = Answer<()>> + Send;

    /// Notes what a run has done, and keeps the lease until an instant; a conflict when somebody
    /// else has the lease by now.
    fn note(
        &self,
        run: &Run,
        token: u64,
        until: Timestamp,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Some of the tenant's runs, the newest first. Eventually consistent.
    fn latest(
        &self,
        tenant: &TenantId,
        limit: usize,
    ) -> impl Future<Output = Answer<Vec<Run>>> + Send;

    /// A run.
    fn run(&self, tenant: &TenantId, id: &str) -> impl Future<Output = Answer<Option<Run>>> + Send;

    /// Notes what has to be looked at again. Noting it again changes nothing.
    fn note_looks(&self, run: &Run, looks: &[Look]) -> impl Future<Output = Answer<()>> + Send;

    /// What is still to be looked at again.
    fn looks(&self, run: &Run) -> impl Future<Output = Answer<Vec<Look>>> + Send;

    /// Notes what a second look found. Noting it again changes nothing.
    fn note_drift(&self, run: &Run, drift: &[Drift]) -> impl Future<Output = Answer<()>> + Send;

    /// What the second looks found, the gravest first.
    fn drift(&self, run: &Run) -> impl Future<Output = Answer<Vec<Drift>>> + Send;

    /// Takes out what was looked at again.
    fn looked(&self, run: &Run, looks: &[Look]) -> impl Future<Output = Answer<()>> + Send;

    /// Every contact's id, in order. Eventually consistent.
    fn everyone(&self, tenant: &TenantId) -> impl Future<Output = Answer<Vec<CustomerId>>> + Send;
}

/// Where events go.
pub trait Publisher: Sync {
    /// Publishes events, as many as it can. Gives the places of those that it could not.
    fn publish(&self, events: &[&Outgoing]) -> impl Future<Output = BTreeSet<usize>> + Send;
}

/// Our own clock, for what is not Stripe's time.
pub trait Clock: Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// A function that gives Unix seconds is a clock.
impl<F: Fn() -> i64 + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self()).unwrap_or_default()
    }
}
