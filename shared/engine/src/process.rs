//! One message through the engine: resolve, load, apply, commit.

mod account;
mod awaited;
mod catalog;
mod complete;
mod find;
mod origin;
mod table;

pub(crate) use account::move_account;
pub(crate) use origin::Origin;

use std::collections::BTreeSet;

use paygraph_domain::account::CatalogKey;
use paygraph_domain::apply::catalog_key;
use paygraph_domain::fact::{Fact, Link, Source};
use paygraph_domain::id::{Cause, StripeCustomerId, TenantId};
use paygraph_domain::order::Disposition;
use paygraph_stripe::decode::{about, decode};
use paygraph_stripe::event::{DecodeError, StripeEvent};

use crate::backoff::{Deadline, pause};
use crate::envelope::{Outgoing, passed_on};
use crate::fetch::{Fetch, NoFetch};
use crate::ports::limits::check_item;
use crate::ports::{
    Clock, Commit, CommitError, LedgerEntry, ParkReason, Parked, Store, StoreError,
};

/// The most Stripe customers that one contact holds, so that its item stays far from 400 KB.
pub(crate) const MAX_ACCOUNTS: usize = 100;

/// How old an unpublished outbox must be before a redelivery publishes it: as long as a worker may
/// take.
const RESUME_AFTER_SECONDS: i64 = 30;

/// What became of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// Committed; the entry's outbox is to be published.
    Committed(Box<LedgerEntry>),
    /// Committed before; if that one died before publishing, its outbox is in the entry.
    Duplicate(Box<LedgerEntry>),
    /// It waits for what it needs.
    Parked(ParkReason),
    /// A test event on a live deployment.
    Ignored,
    /// Everything was as it said; nothing was written.
    Unchanged,
}

/// A processed message, with those that had waited for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Processed {
    /// What became of the message.
    pub done: Done,
    /// Messages that were parked until this one came, and are committed now.
    pub released: Vec<LedgerEntry>,
}

impl Processed {
    pub(crate) fn alone(done: Done) -> Self {
        Self {
            done,
            released: Vec::new(),
        }
    }

    /// The entries whose outboxes are to be published.
    #[must_use]
    pub fn into_entries(self) -> Vec<LedgerEntry> {
        let mut entries = self.released;
        match self.done {
            Done::Committed(entry) | Done::Duplicate(entry) => entries.push(*entry),
            Done::Parked(_) | Done::Ignored | Done::Unchanged => {}
        }
        entries
    }
}

/// Why a message was not processed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It cannot be read, now or later.
    #[error("rejected")]
    Reject(#[from] DecodeError),
    /// It cannot wait in the table.
    #[error("the event has {0} bytes, too many to park")]
    TooLargeToPark(usize),
    /// Others changed the same contact until the deadline.
    #[error("the contact was busy until the deadline")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ProcessError {
    /// Whether another attempt may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Reject(_) | Self::TooLargeToPark(_) => false,
            Self::Busy => true,
            Self::Store(error) => error.retry,
        }
    }
}

/// The engine over a store and a clock.
#[derive(Debug, Clone)]
pub struct Engine<S, C, F = NoFetch> {
    /// Where everything is kept.
    pub store: S,
    /// Our own clock.
    pub clock: C,
    /// Whether this deployment is about real money: it then ignores test events.
    pub livemode: bool,
    /// Whom to ask when no event can tell.
    pub fetch: F,
}

impl<S, C> Engine<S, C> {
    /// An engine that asks Stripe nothing and takes its test events too: for all that is no webhook.
    #[must_use]
    pub fn alone(store: S, clock: C) -> Self {
        Self {
            store,
            clock,
            livemode: false,
            fetch: NoFetch,
        }
    }
}

/// What facts came to about a Stripe customer.
pub(crate) struct Taken {
    done: Done,
    /// Entries that were committed before it, where the facts did not fit in one transaction.
    earlier: Vec<LedgerEntry>,
    /// Names under which it can be found now.
    named: BTreeSet<Link>,
    /// What it may have begun to wait for.
    awaited: BTreeSet<CatalogKey>,
}

impl Taken {
    fn new(done: Done, named: BTreeSet<Link>, awaited: BTreeSet<CatalogKey>) -> Self {
        Self {
            done,
            earlier: Vec::new(),
            named,
            awaited,
        }
    }

    /// What no facts come to.
    fn nothing() -> Self {
        Self::new(Done::Unchanged, BTreeSet::new(), BTreeSet::new())
    }

    /// This, and what later facts about the same Stripe customer came to.
    fn and(mut self, later: Self) -> Self {
        let done = match (self.done, later.done) {
            (done, Done::Unchanged) => done,
            (Done::Committed(entry) | Done::Duplicate(entry), done) => {
                self.earlier.push(*entry);
                done
            }
            (Done::Parked(_) | Done::Ignored | Done::Unchanged, done) => done,
        };
        self.earlier.extend(later.earlier);
        self.named.extend(later.named);
        self.awaited.extend(later.awaited);
        Self { done, ..self }
    }
}

/// A message on its way.
struct Message<'a> {
    origin: Origin<'a>,
    /// The Stripe customer that the event names.
    customer: Option<StripeCustomerId>,
    text: &'a str,
}

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Processes one Stripe event.
    ///
    /// # Errors
    /// [`ProcessError`]; nothing is half done.
    pub async fn process(
        &self,
        tenant: &TenantId,
        text: &str,
        source: Source,
        deadline: Deadline,
    ) -> Result<Processed, ProcessError> {
        let event = StripeEvent::parse(text)?;
        if self.livemode && !event.livemode {
            return Ok(Processed::alone(Done::Ignored));
        }
        let fact = decode(&event)?.map(|fact| Fact { source, ..fact });
        let about = about(&event);
        let origin = Origin {
            tenant,
            is_message: true,
            told: vec![passed_on(&event, &about)],
            event_type: event.event_type.to_string(),
            at: event.created,
            cause: event.id,
            source,
            deadline,
        };
        let message = Message {
            origin,
            customer: about.customer,
            text,
        };
        match fact {
            None => self
                .tell(&message.origin, message.customer.as_ref())
                .await
                .map(Processed::alone),
            Some(fact) => match catalog_key(&fact.body) {
                Some(key) => self.process_catalog(&message.origin, &fact, &key).await,
                None => self.process_fact(&message, fact).await,
            },
        }
    }

    /// Parks a message that waits for something outside the events.
    ///
    /// # Errors
    /// [`ProcessError`] when the store failed, or the event is too large to wait in it.
    pub async fn park(
        &self,
        tenant: &TenantId,
        cause: Cause,
        reason: ParkReason,
        event: &str,
    ) -> Result<Done, ProcessError> {
        let parked = Parked {
            tenant: tenant.clone(),
            cause,
            reason: reason.clone(),
            parked_at: self.clock.now(),
            event: event.to_owned(),
        };
        // As JSON inside of JSON it has more bytes than by itself.
        check_item(&parked.item()).map_err(|_| ProcessError::TooLargeToPark(event.len()))?;
        self.store.park(&parked).await?;
        Ok(Done::Parked(reason))
    }

    async fn process_fact(
        &self,
        message: &Message<'_>,
        fact: Fact,
    ) -> Result<Processed, ProcessError> {
        let leads = fact.body.leads();
        let customer = match &fact.customer {
            Some(customer) => Some(customer.clone()),
            None => self.follow(message.origin.tenant, &leads).await?,
        };
        // The payment intent, if there is one: charges, invoices and sessions name it, and a session
        // names no charge.
        let customer = match (customer, leads.last()) {
            (Some(customer), _) => customer,
            (None, None) => {
                let told = self.tell(&message.origin, message.customer.as_ref());
                return told.await.map(Processed::alone);
            }
            (None, Some(lead)) => {
                let Origin { tenant, cause, .. } = &message.origin;
                let parked = self
                    .park(tenant, cause.clone(), lead.into(), message.text)
                    .await?;
                // The charge may have come between the look and the parking. Whoever makes a link
                // looks for parked messages afterwards, so one of the two sees the other.
                match self.follow(tenant, &leads).await? {
                    Some(customer) => customer,
                    None => return Ok(Processed::alone(parked)),
                }
            }
        };
        let fact = Fact {
            customer: Some(customer.clone()),
            ..fact
        };
        let facts = std::slice::from_ref(&fact);
        let taken = self
            .process_account(&message.origin, &customer, facts)
            .await?;
        self.release_all(&message.origin, taken, &leads).await
    }

    /// Processes the parked messages that waited for the links and catalog entries of a commit. Removes
    /// the committed message itself from the places of its leads.
    pub(crate) async fn release_all(
        &self,
        origin: &Origin<'_>,
        taken: Taken,
        leads: &[Link],
    ) -> Result<Processed, ProcessError> {
        let mut released = taken.earlier;
        let links: BTreeSet<_> = taken.named.iter().chain(leads).cloned().collect();
        let marked = self.store.marked(origin.tenant, &links).await?;
        for lead in leads.iter().filter(|lead| marked.contains(lead)) {
            self.take_out(origin, lead).await?;
        }
        for link in taken.named.intersection(&marked) {
            released.extend(self.release(origin.tenant, link, origin.deadline).await?);
        }
        // A catalog entry may have come between the read and the commit. Each writer of the catalog
        // reads the notes afterwards, so one of the two sees the other.
        for key in &taken.awaited {
            self.fetch_awaited(origin, key).await?;
            released.extend(self.compute_awaiting(origin, key).await?);
        }
        Ok(Processed {
            done: taken.done,
            released,
        })
    }

    pub(crate) async fn follow(
        &self,
        tenant: &TenantId,
        leads: &[Link],
    ) -> Result<Option<StripeCustomerId>, StoreError> {
        for lead in leads {
            if let Some(customer) = self.store.customer_by(tenant, lead).await? {
                return Ok(Some(customer));
            }
        }
        Ok(None)
    }

    /// Takes a message, which has been processed, out of the place in which it may have waited.
    async fn take_out(&self, origin: &Origin<'_>, lead: &Link) -> Result<(), StoreError> {
        let place = ParkReason::from(lead).place();
        for parked in self.store.parked(origin.tenant, &place).await? {
            if parked.cause == origin.cause {
                self.store.unpark(&parked).await?;
            }
        }
        Ok(())
    }

    /// Processes the messages that waited for a link.
    pub(crate) async fn release(
        &self,
        tenant: &TenantId,
        link: &Link,
        deadline: Deadline,
    ) -> Result<Vec<LedgerEntry>, ProcessError> {
        let place = ParkReason::from(link).place();
        let mut entries = Vec::new();
        for parked in self.store.parked(tenant, &place).await? {
            // Only webhooks wait.
            let again = self.process(tenant, &parked.event, Source::Webhook, deadline);
            let again = Box::pin(again).await?;
            // A link that a stale event names may not be there: then it goes on waiting.
            let waits = matches!(again.done, Done::Parked(_));
            entries.extend(again.into_entries());
            if !waits {
                self.store.unpark(&parked).await?;
            }
        }
        Ok(entries)
    }

    /// Commits what the bus is to hear beside the facts, and nothing else.
    pub(crate) async fn tell(
        &self,
        origin: &Origin<'_>,
        customer: Option<&StripeCustomerId>,
    ) -> Result<Done, ProcessError> {
        let contact = match customer {
            Some(customer) => self.store.contact_of(origin.tenant, customer).await?,
            None => None,
        };
        let outbox = origin.seal(contact.as_ref(), customer, Vec::new());
        let mut commit = Commit::new(origin.tenant.clone());
        let mut entry = self.entry(origin, Disposition::Known, outbox);
        "passed_on".clone_into(&mut entry.disposition);
        commit.ledger = Some(entry);
        let mut attempt = 0;
        loop {
            match self.commit(origin, commit.clone()).await {
                Err(CommitError::Conflict) if origin.deadline.has_time() => {
                    attempt += 1;
                    pause(attempt).await;
                }
                done => return finish(done),
            }
        }
    }

    pub(crate) fn entry(
        &self,
        origin: &Origin<'_>,
        disposition: Disposition,
        outbox: Vec<Outgoing>,
    ) -> LedgerEntry {
        let disposition = match disposition {
            Disposition::Applied => "applied",
            Disposition::Stale => "stale",
            Disposition::Known => "known",
        };
        LedgerEntry {
            tenant: origin.tenant.clone(),
            cause: origin.cause.clone(),
            event_type: origin.event_type.clone(),
            at: origin.at,
            processed_at: self.clock.now(),
            disposition: disposition.to_owned(),
            outbox,
        }
    }

    pub(crate) async fn commit(
        &self,
        origin: &Origin<'_>,
        commit: Commit,
    ) -> Result<Done, CommitError> {
        if commit.is_empty() {
            return Ok(Done::Unchanged);
        }
        match self.store.commit(&commit).await {
            Ok(()) => commit
                .ledger
                .map(|entry| Done::Committed(Box::new(entry)))
                .ok_or(CommitError::Conflict),
            Err(CommitError::Duplicate) => {
                let entry = self.store.ledger(origin.tenant, &origin.cause).await?;
                let mut entry = entry.ok_or(CommitError::Conflict)?;
                if self.clock.now() < entry.processed_at.plus(RESUME_AFTER_SECONDS) {
                    // Whoever committed it may be publishing it right now.
                    entry.outbox.clear();
                }
                Ok(Done::Duplicate(Box::new(entry)))
            }
            Err(error) => Err(error),
        }
    }
}

fn finish(done: Result<Done, CommitError>) -> Result<Done, ProcessError> {
    match done {
        Ok(done) => Ok(done),
        Err(CommitError::Store(error)) => Err(error.into()),
        Err(CommitError::Conflict | CommitError::Duplicate) => Err(ProcessError::Busy),
    }
}
