//! What the engine needs of the outside: a store with conditional commits, and a publisher.

mod commit;
mod items;
pub mod key;
pub mod limits;
mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use paygraph_domain::account::{
    Account, Catalog, CatalogEntry, CatalogKey, Object, ObjectKey, Stored,
};
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::Link;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, StripeId, TenantId};
use paygraph_domain::identity::Name;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::commit::{
    AuditEntry, AuditOwner, Commit, ContactWrite, LedgerEntry, ObjectWrite, RowChange,
    StripeLinkWrite, row_changes,
};
pub(crate) use self::items::{json_bytes, put};
pub use self::runs::Runs;
use crate::envelope::Outgoing;

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

/// The most contacts that are named as candidates for one Stripe customer.
pub const MAX_CANDIDATES: usize = 10;
/// How many shards the due contacts are spread over.
pub const DUE_SHARDS: u64 = 16;
/// How many shards the entries are spread over whose outboxes wait.
pub const PENDING_SHARDS: u64 = 16;

/// The shards of an index, from one that is another each minute: a run that ends early does not always
/// leave the same ones.
pub fn shards_from(now: Timestamp, shards: u64) -> impl Iterator<Item = u64> {
    let minute = now.unix().div_euclid(60);
    let first = u64::try_from(minute).unwrap_or(0) % shards.max(1);
    (0..shards).map(move |n| (first + n) % shards.max(1))
}

/// A page of an index, in the index's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPage<T> {
    /// What could be read.
    pub entries: Vec<T>,
    /// The places of items that could not be read. They stay in the index.
    pub unreadable: Vec<String>,
    /// The place behind this page; none after the last one.
    pub next: Option<String>,
}

impl<T> IndexPage<T> {
    /// The last page, with these entries.
    #[must_use]
    pub fn last(entries: Vec<T>) -> Self {
        Self {
            entries,
            unreadable: Vec::new(),
            next: None,
        }
    }

    /// Logs every item that could not be read. Returns how many there are.
    pub fn log_unreadable(&self) -> usize {
        for place in &self.unreadable {
            tracing::error!(
                code = "unreadable_entry",
                place,
                "An entry of an index cannot be read"
            );
        }
        self.unreadable.len()
    }
}

/// The tenant under which events of accounts that nobody has connected wait.
pub const UNCONNECTED: &str = "unconnected";

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

    /// The link that such messages wait for.
    #[must_use]
    pub fn link(&self) -> Option<Link> {
        match self {
            Self::UnknownCharge(id) => StripeId::parse(id).ok().map(Link::Charge),
            Self::UnknownPaymentIntent(id) => StripeId::parse(id).ok().map(Link::PaymentIntent),
            Self::TooLarge | Self::UnknownAccount(_) => None,
        }
    }

    /// The link that the messages of a place wait for.
    #[must_use]
    pub fn link_of_place(place: &str) -> Option<Link> {
        let (kind, id) = place.split_once('#')?;
        let id = id.to_owned();
        let reason = match kind {
            "charge" => Self::UnknownCharge(id),
            "payment_intent" => Self::UnknownPaymentIntent(id),
            _ => return None,
        };
        reason.link()
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

    /// Notes that the bus refuses a cause's outbox for good, and why: it does not wait any more.
    fn set_aside(
        &self,
        tenant: &TenantId,
        cause: &Cause,
        reason: &str,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Entries whose outbox still waits, of one of [`PENDING_SHARDS`] shards, processed before an
    /// instant, the oldest first, behind the place `after`. Eventually consistent.
    fn pending(
        &self,
        shard: u64,
        after: Option<&str>,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Answer<IndexPage<LedgerEntry>>> + Send;

    /// Contacts whose time has come, of one of [`DUE_SHARDS`] shards, the longest due first, behind
    /// the place `after`. Eventually consistent.
    fn due(
        &self,
        shard: u64,
        after: Option<&str>,
        until: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Answer<IndexPage<Due>>> + Send;

    /// Parks a message, and marks the link that it waits for. Parking it again changes nothing.
    fn park(&self, parked: &Parked) -> impl Future<Output = Answer<()>> + Send;

    /// Those of these links that are marked: messages are parked for them, or were.
    fn marked(
        &self,
        tenant: &TenantId,
        links: &BTreeSet<Link>,
    ) -> impl Future<Output = Answer<BTreeSet<Link>>> + Send;

    /// The links for which messages were parked before an instant, the longest parked first, behind
    /// the place `after`: a link for each message, none for one that waits for something else.
    /// Eventually consistent.
    fn parked_links(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Answer<IndexPage<Option<Link>>>> + Send;

    /// The messages that wait in one place.
    fn parked(
        &self,
        tenant: &TenantId,
        place: &str,
    ) -> impl Future<Output = Answer<Vec<Parked>>> + Send;

    /// Takes a message out of its place.
    fn unpark(&self, parked: &Parked) -> impl Future<Output = Answer<()>> + Send;
}

/// Where events go.
pub trait Publisher: Sync {
    /// Publishes events, as many as it can. Gives the places of the others.
    fn publish(&self, events: &[&Outgoing]) -> impl Future<Output = Unpublished> + Send;
}

/// Events that could not be published, by their places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unpublished {
    /// Those that another attempt may publish.
    pub waiting: BTreeSet<usize>,
    /// Those that the bus refuses for good, each with the reason.
    pub refused: BTreeMap<usize, String>,
}

impl Unpublished {
    /// Nothing of so many events could be published now.
    #[must_use]
    pub fn all(events: usize) -> Self {
        Self {
            waiting: (0..events).collect(),
            refused: BTreeMap::new(),
        }
    }
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
