//! One message through the engine: resolve, load, apply, commit.

use paygraph_domain::account::{Account, Catalog, ObjectKey};
use paygraph_domain::apply::{apply, apply_catalog, catalog_key};
use paygraph_domain::contact::{Contact, Outcome, contact_of};
use paygraph_domain::fact::{Body, Fact, Link, Source};
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::{By, Linked, Review, chain};
use paygraph_domain::order::Disposition;
use paygraph_domain::rollup::{Context, Rollup, catalog_keys, rollup};
use paygraph_domain::settings::{Settings, Unmatched};
use paygraph_domain::time::Timestamp;
use paygraph_domain::totals::Totals;
use paygraph_stripe::decode::{About, about, decode};
use paygraph_stripe::event::{DecodeError, StripeEvent};

use crate::backoff::{Deadline, pause};
use crate::envelope::{Outgoing, Subject, named, passed_on, seal};
use crate::ports::{
    AuditEntry, AuditOwner, Clock, Commit, CommitError, ContactWrite, LedgerEntry, ObjectWrite,
    ParkReason, Parked, Store, StoreError, StripeLinkWrite,
};

/// The most Stripe customers that one contact holds, so that its item stays far from 400 KB.
pub(crate) const MAX_ACCOUNTS: usize = 100;
/// The largest event that can wait in the table, in bytes.
const MAX_PARKED: usize = 300_000;

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
    fn alone(done: Done) -> Self {
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
            Done::Parked(_) | Done::Ignored => {}
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
pub struct Engine<S, C> {
    /// Where everything is kept.
    pub store: S,
    /// Our own clock.
    pub clock: C,
    /// Whether this deployment is about real money: it then ignores test events.
    pub livemode: bool,
}

/// A message on its way: the event with what is passed on of it.
struct Message<'a> {
    tenant: &'a TenantId,
    event: StripeEvent<'a>,
    about: About,
    source: Source,
    text: &'a str,
    deadline: Deadline,
}

impl<S: Store, C: Clock> Engine<S, C> {
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
        let message = Message {
            tenant,
            event,
            about,
            source,
            text,
            deadline,
        };
        match fact {
            None => self.pass_on(&message).await.map(Processed::alone),
            Some(fact) if catalog_key(&fact.body).is_some() => self
                .process_catalog(&message, &fact)
                .await
                .map(Processed::alone),
            Some(fact) => self.process_fact(&message, fact).await,
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
        if event.len() > MAX_PARKED {
            return Err(ProcessError::TooLargeToPark(event.len()));
        }
        let parked = Parked {
            tenant: tenant.clone(),
            cause,
            reason: reason.clone(),
            parked_at: self.clock.now(),
            event: event.to_owned(),
        };
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
            None => self.follow(message.tenant, &leads).await?,
        };
        let customer = match (customer, leads.first()) {
            (Some(customer), _) => customer,
            (None, None) => return self.pass_on(message).await.map(Processed::alone),
            (None, Some(lead)) => {
                let cause = message.event.id.clone();
                let parked = self
                    .park(message.tenant, cause, lead.into(), message.text)
                    .await?;
                // The charge may have come between the look and the parking. Whoever makes a link
                // looks for parked messages afterwards, so one of the two sees the other.
                match self.follow(message.tenant, &leads).await? {
                    Some(customer) => customer,
                    None => return Ok(Processed::alone(parked)),
                }
            }
        };
        let fact = Fact {
            customer: Some(customer.clone()),
            ..fact
        };
        let (done, named) = self.process_account(message, &customer, &fact).await?;
        for lead in &leads {
            self.take_out(message, lead).await?;
        }
        let mut released = Vec::new();
        for link in &named {
            released.extend(self.release(message, link).await?);
        }
        Ok(Processed { done, released })
    }

    async fn follow(
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
    async fn take_out(&self, message: &Message<'_>, lead: &Link) -> Result<(), StoreError> {
        let place = ParkReason::from(lead).place();
        for parked in self.store.parked(message.tenant, &place).await? {
            if parked.cause == message.event.id {
                self.store.unpark(&parked).await?;
            }
        }
        Ok(())
    }

    /// Processes the messages that waited for a link.
    async fn release(
        &self,
        message: &Message<'_>,
        link: &Link,
    ) -> Result<Vec<LedgerEntry>, ProcessError> {
        let place = ParkReason::from(link).place();
        let mut entries = Vec::new();
        for parked in self.store.parked(message.tenant, &place).await? {
            let again = self.process(
                message.tenant,
                &parked.event,
                message.source,
                message.deadline,
            );
            entries.extend(Box::pin(again).await?.into_entries());
            self.store.unpark(&parked).await?;
        }
        Ok(entries)
    }

    async fn process_account(
        &self,
        message: &Message<'_>,
        customer: &StripeCustomerId,
        fact: &Fact,
    ) -> Result<(Done, Vec<Link>), ProcessError> {
        let settings = self.store.settings(message.tenant).await?;
        let mut attempt = 0;
        loop {
            if let Some(loaded) = self.load(message.tenant, customer, fact).await? {
                let plan = self
                    .plan(message, customer, fact, &settings, loaded)
                    .await?;
                let named = plan.links.iter().map(|(link, _)| link.clone()).collect();
                match self.commit(message, plan).await {
                    Err(CommitError::Conflict) => {}
                    // If the first delivery died before it looked for parked messages, this one does.
                    Ok(done @ Done::Duplicate(_)) => return Ok((done, fact.body.names())),
                    done => return finish(done).map(|done| (done, named)),
                }
            }
            if !message.deadline.has_time() {
                return Err(ProcessError::Busy);
            }
            attempt += 1;
            pause(attempt).await;
        }
    }

    /// Loads what a fact is applied to. None when a concurrent commit tore the reads.
    async fn load(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        fact: &Fact,
    ) -> Result<Option<Loaded>, StoreError> {
        let linked = self.store.contact_of(tenant, customer).await?;
        let contact = match &linked {
            Some(id) => match self.store.contact(tenant, id).await? {
                Some(contact) => Some(contact),
                None => return Ok(None),
            },
            None => None,
        };
        let beside = ObjectKey::beside(&fact.body);
        let account = self
            .store
            .account(tenant, customer, beside.as_ref())
            .await?;
        let rollup = contact
            .as_ref()
            .and_then(|contact| contact.accounts.get(customer));
        if linked.is_some() && rollup.is_none() {
            return Ok(None);
        }
        let digest = rollup.map_or(0, |rollup| rollup.digest);
        let totals = rollup
            .map(|rollup| rollup.totals.clone())
            .unwrap_or_default();
        Ok((digest == account.digest()).then_some(Loaded {
            contact,
            account,
            totals,
        }))
    }

    /// Decides what to write.
    async fn plan(
        &self,
        message: &Message<'_>,
        customer: &StripeCustomerId,
        fact: &Fact,
        settings: &Settings,
        loaded: Loaded,
    ) -> Result<Commit, StoreError> {
        let Loaded {
            contact,
            mut account,
            mut totals,
        } = loaded;
        let evaluated_at = contact.as_ref().map(|contact| contact.evaluated_at);
        let now = evaluated_at.map_or(fact.at, |at| at.max(fact.at));
        let catalog = self
            .catalog(message.tenant, &account, &totals, fact)
            .await?;
        let context = Context {
            settings,
            catalog: &catalog,
            now,
        };
        let applied = apply(&mut account, &mut totals, fact, context);
        let mut commit = Commit::new(message.tenant.clone());
        if applied.disposition != Disposition::Applied {
            let id = contact.as_ref().map(|contact| &contact.id);
            let outbox = message.seal(id, Some(customer), Vec::new());
            commit.ledger = Some(self.entry(message, applied.disposition, outbox));
            return Ok(commit);
        }
        let from = contact.as_ref().map(|contact| contact.id.clone());
        let first = from.is_none() || matches!(fact.body, Body::Customer(_));
        if first && contact_of(customer, &account, &totals).as_str() == customer.as_str() {
            let found = self.find(message.tenant, customer, &account).await?;
            commit
                .reviews
                .extend(review(customer, &found, fact, settings));
            if let Found::One(linked) = found {
                totals.linked = Some(linked);
            }
        }
        let wanted = contact_of(customer, &account, &totals);
        let rollup = rollup(&account, totals, context);
        commit.objects = writes(customer, account, applied.changed);
        commit.links = applied
            .links
            .iter()
            .map(|link| (link.clone(), customer.clone()))
            .collect();
        // `from` is as it was when the account was loaded: a link made since then must fail the
        // commit.
        let (target, left) = self
            .target(message.tenant, customer, contact, wanted)
            .await?;
        let id = target.id.clone();
        let moved = move_account(
            &mut commit,
            customer,
            target,
            left,
            from,
            rollup,
            settings,
            now,
        );
        let events = applied
            .events
            .into_iter()
            .chain(moved.events)
            .map(named)
            .collect();
        let outbox = message.seal(Some(&id), Some(customer), events);
        commit.ledger = Some(self.entry(message, applied.disposition, outbox));
        let mut changes = applied.changes;
        changes.extend(moved.changes);
        commit.audit = (!changes.is_empty()).then(|| AuditEntry {
            owner: AuditOwner::Stripe(customer.clone()),
            at: fact.at,
            source: fact.source,
            cause: fact.cause.clone(),
            changes,
        });
        Ok(commit)
    }

    /// The contact that a Stripe customer, which nobody named, has a name in common with: by the
    /// surest name that any contact has. Several are nobody's to pick from.
    async fn find(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        account: &Account,
    ) -> Result<Found, StoreError> {
        let Some(known) = account.customer.as_ref().map(|stored| stored.value.get()) else {
            return Ok(Found::Unknown);
        };
        for (by, name) in chain(known) {
            let mut contacts = self.store.named(tenant, &name).await?;
            contacts.retain(|contact| contact.as_str() != customer.as_str());
            match contacts.as_slice() {
                [] => {}
                [contact] => {
                    let contact = contact.clone();
                    return Ok(Found::One(Linked { by, contact }));
                }
                _ => return Ok(Found::Several(by, contacts)),
            }
        }
        Ok(Found::None)
    }

    /// The contact that the Stripe customer goes to, and the one that it leaves, if any.
    async fn target(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        linked: Option<Contact>,
        wanted: CustomerId,
    ) -> Result<(Contact, Option<Contact>), StoreError> {
        match linked {
            Some(contact) if contact.id == wanted => Ok((contact, None)),
            linked => {
                let target = self.store.contact(tenant, &wanted).await?;
                let target = target.unwrap_or_else(|| Contact::new(wanted));
                let is_full = target.accounts.len() >= MAX_ACCOUNTS;
                match linked {
                    Some(linked) if is_full => Ok((linked, None)),
                    None if is_full => {
                        tracing::warn!(contact.id = %target.id, "A contact has no room for more Stripe customers");
                        let own = CustomerId::from(customer.clone());
                        let contact = self.store.contact(tenant, &own).await?;
                        Ok((contact.unwrap_or_else(|| Contact::new(own)), None))
                    }
                    linked => Ok((target, linked)),
                }
            }
        }
    }

    async fn catalog(
        &self,
        tenant: &TenantId,
        account: &Account,
        totals: &Totals,
        fact: &Fact,
    ) -> Result<Catalog, StoreError> {
        let mut keys = catalog_keys(account, totals);
        keys.extend(fact.body.catalog_keys());
        if keys.is_empty() {
            return Ok(Catalog::default());
        }
        self.store.catalog(tenant, &keys).await
    }

    async fn process_catalog(
        &self,
        message: &Message<'_>,
        fact: &Fact,
    ) -> Result<Done, ProcessError> {
        let mut attempt = 0;
        loop {
            let mut commit = Commit::new(message.tenant.clone());
            let mut disposition = Disposition::Stale;
            if let Some(key) = catalog_key(&fact.body) {
                let stored = self.store.catalog_entry(message.tenant, &key).await?;
                if let Some(entry) = apply_catalog(stored, fact) {
                    disposition = Disposition::Applied;
                    commit.catalog = Some((key, entry));
                }
            }
            let outbox = message.seal(None, None, Vec::new());
            commit.ledger = Some(self.entry(message, disposition, outbox));
            match self.commit(message, commit).await {
                Err(CommitError::Conflict) if message.deadline.has_time() => {
                    attempt += 1;
                    pause(attempt).await;
                }
                done => return finish(done),
            }
        }
    }

    /// Passes an event on that tells nothing about what is kept.
    async fn pass_on(&self, message: &Message<'_>) -> Result<Done, ProcessError> {
        let customer = message.about.customer.as_ref();
        let contact = match customer {
            Some(customer) => self.store.contact_of(message.tenant, customer).await?,
            None => None,
        };
        let outbox = message.seal(contact.as_ref(), customer, Vec::new());
        let mut commit = Commit::new(message.tenant.clone());
        let mut entry = self.entry(message, Disposition::Known, outbox);
        "passed_on".clone_into(&mut entry.disposition);
        commit.ledger = Some(entry);
        let mut attempt = 0;
        loop {
            match self.commit(message, commit.clone()).await {
                Err(CommitError::Conflict) if message.deadline.has_time() => {
                    attempt += 1;
                    pause(attempt).await;
                }
                done => return finish(done),
            }
        }
    }

    fn entry(
        &self,
        message: &Message<'_>,
        disposition: Disposition,
        outbox: Vec<Outgoing>,
    ) -> LedgerEntry {
        let disposition = match disposition {
            Disposition::Applied => "applied",
            Disposition::Stale => "stale",
            Disposition::Known => "known",
        };
        LedgerEntry {
            tenant: message.tenant.clone(),
            cause: message.event.id.clone(),
            event_type: message.event.event_type.to_string(),
            at: message.event.created,
            processed_at: self.clock.now(),
            disposition: disposition.to_owned(),
            outbox,
        }
    }

    async fn commit(&self, message: &Message<'_>, commit: Commit) -> Result<Done, CommitError> {
        match self.store.commit(&commit).await {
            Ok(()) => commit
                .ledger
                .map(|entry| Done::Committed(Box::new(entry)))
                .ok_or(CommitError::Conflict),
            Err(CommitError::Duplicate) => {
                let entry = self.store.ledger(message.tenant, &message.event.id).await?;
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

/// Whom a Stripe customer that nobody named was found to be.
enum Found {
    /// It was not seen itself yet.
    Unknown,
    /// Nobody.
    None,
    /// This contact.
    One(Linked),
    /// One of these.
    Several(By, Vec<CustomerId>),
}

/// What becomes of a Stripe customer's place on the review list.
fn review(
    customer: &StripeCustomerId,
    found: &Found,
    fact: &Fact,
    settings: &Settings,
) -> Option<(StripeCustomerId, Option<Review>)> {
    let review = |by, candidates| Review {
        by,
        candidates,
        since: fact.at,
    };
    match found {
        Found::Several(by, candidates) => Some(review(Some(*by), candidates.clone())),
        Found::None if settings.unmatched == Unmatched::Review => Some(review(None, Vec::new())),
        Found::Unknown | Found::None | Found::One(_) => None,
    }
    .map(|review| (customer.clone(), Some(review)))
}

/// What a fact is applied to.
struct Loaded {
    contact: Option<Contact>,
    account: Account,
    totals: Totals,
}

impl Message<'_> {
    /// Puts Stripe's own event and what it led to in their envelopes.
    fn seal(
        &self,
        contact: Option<&CustomerId>,
        customer: Option<&StripeCustomerId>,
        events: Vec<(String, serde_json::Value, Option<CustomerId>)>,
    ) -> Vec<Outgoing> {
        let subject = Subject {
            tenant: self.tenant,
            contact,
            customer,
            at: self.event.created,
            source: self.source,
            cause: &self.event.id,
        };
        let passed_on = passed_on(&self.event, &self.about);
        seal(subject, std::iter::once(passed_on).chain(events).collect())
    }
}

/// Puts a Stripe customer's new roll-up into its contact, and out of the one that it leaves.
#[expect(
    clippy::too_many_arguments,
    reason = "two contacts, one roll-up, and the time"
)]
pub(crate) fn move_account(
    commit: &mut Commit,
    customer: &StripeCustomerId,
    mut target: Contact,
    left: Option<Contact>,
    from: Option<CustomerId>,
    rollup: Rollup,
    settings: &Settings,
    now: Timestamp,
) -> Outcome {
    let mut events = Vec::new();
    if let Some(mut left) = left {
        let (expected, segments) = (left.version, left.told.segments.clone());
        let outcome = left.release(customer, settings, now);
        let remove = left.is_vacant();
        if !remove {
            events = outcome.events;
        }
        let write = ContactWrite::new(left, expected, &segments, remove);
        commit.contacts.push(write);
    }
    let (expected, segments) = (target.version, target.told.segments.clone());
    let outcome = target.settle(customer, rollup, settings, now);
    events.extend(outcome.events);
    if from.as_ref() != Some(&target.id) {
        let to = target.id.clone();
        if commit.reviews.is_empty() && from.is_some() {
            commit.reviews.push((customer.clone(), None));
        }
        commit.stripe_links.push(StripeLinkWrite {
            customer: customer.clone(),
            from,
            to,
        });
    }
    let write = ContactWrite::new(target, expected, &segments, false);
    commit.contacts.push(write);
    Outcome {
        events,
        changes: outcome.changes,
    }
}

fn writes(
    customer: &StripeCustomerId,
    mut account: Account,
    keys: Vec<ObjectKey>,
) -> Vec<ObjectWrite> {
    let write = |key: ObjectKey| {
        let (rev, object) = account.take(&key)?;
        Some(ObjectWrite {
            customer: customer.clone(),
            key,
            rev,
            object,
        })
    };
    keys.into_iter().filter_map(write).collect()
}

fn finish(done: Result<Done, CommitError>) -> Result<Done, ProcessError> {
    match done {
        Ok(done) => Ok(done),
        Err(CommitError::Store(error)) => Err(error.into()),
        Err(CommitError::Conflict | CommitError::Duplicate) => Err(ProcessError::Busy),
    }
}
