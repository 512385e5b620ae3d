//! What people say of who is who: the tenant's own fields, links by hand, merging.
//!
//! Stripe's state never moves: a Stripe customer's roll-up goes from one contact to another, with
//! its link, in one transaction.

mod edit;

use paygraph_domain::audit::Change;
use paygraph_domain::contact::{Contact, Profile};
use paygraph_domain::event::Event;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::{By, Linked, names};
use paygraph_domain::product::Heard;
use paygraph_domain::rollup::Rollup;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use serde_json::json;

use crate::backoff::{Deadline, pause};
use crate::envelope::{Subject, named, seal};
use crate::fetch::Fetch;
use crate::ports::{
    AuditEntry, AuditOwner, Clock, Commit, CommitError, ContactWrite, LedgerEntry, RowChange,
    Store, StoreError, StripeLinkWrite, row_changes,
};
use crate::process::{Engine, MAX_ACCOUNTS, move_account};
use crate::product::EVENT_TYPE;

/// The most Stripe customers that are merged at once: a transaction has a hundred writes.
const MAX_MERGED: usize = 40;

/// Why something that a person asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is no such contact or Stripe customer.
    #[error("there is no customer {0}")]
    NotFound(String),
    /// It would hold too much.
    #[error("customer {0} has no room for more Stripe customers")]
    Full(CustomerId),
    /// It makes no sense.
    #[error("{0}")]
    Refused(&'static str),
    /// Others changed the same contact until the deadline.
    #[error("the customer was busy until the deadline")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IdentityError {
    /// Whether another attempt may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotFound(_) | Self::Full(_) | Self::Refused(_) => false,
            Self::Busy => true,
            Self::Store(error) => error.retry,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The contact as it is now.
    pub contact: Contact,
    /// The entry whose outbox is to be published; none when nothing changed.
    pub entry: Option<LedgerEntry>,
}

/// Who asks, under what name, and how long it may take.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// The name of the request; the ledger's key.
    pub cause: &'a Cause,
    /// Until when.
    pub deadline: Deadline,
}

/// What is asked for.
pub(crate) enum Wish<'a> {
    Put(&'a CustomerId, &'a Profile),
    Hear(&'a CustomerId, &'a Heard<'a>),
    Contacted(&'a CustomerId, Timestamp),
    Link(&'a StripeCustomerId, Option<&'a CustomerId>),
    Merge(&'a CustomerId, &'a CustomerId),
}

impl Wish<'_> {
    /// What the ledger calls it.
    fn event_type(&self) -> String {
        match self {
            Self::Put(..) | Self::Link(..) | Self::Merge(..) => "api".to_owned(),
            Self::Hear(_, heard) => format!("{EVENT_TYPE}{}", heard.event.kind()),
            Self::Contacted(..) => "contacted".to_owned(),
        }
    }

    /// When it happened, if not now: what a product event tells may be old, and no news then. That
    /// somebody was in touch is told late as a rule, and what follows from it begins now.
    fn at(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::Put(..) | Self::Link(..) | Self::Merge(..) | Self::Contacted(..) => now,
            Self::Hear(_, heard) => heard.event.at.second(),
        }
    }
}

/// What is to be done; the contact as it is when nothing is.
type Planned = Result<Result<Outcome, Contact>, IdentityError>;

/// What a request comes to.
struct Outcome {
    commit: Commit,
    contact: Contact,
    events: Vec<Event>,
    changes: Vec<Change>,
}

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Links a Stripe customer to a contact, for good: nothing that Stripe says moves it again.
    /// Without a contact it gets one of its own back.
    ///
    /// # Errors
    /// [`IdentityError`]; nothing is half done.
    pub async fn link(
        &self,
        request: &Request<'_>,
        customer: &StripeCustomerId,
        to: Option<&CustomerId>,
    ) -> Result<Changed, IdentityError> {
        self.repeat(request, &Wish::Link(customer, to)).await
    }

    async fn plan_link(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        to: Option<&CustomerId>,
        settings: &Settings,
        now: Timestamp,
    ) -> Planned {
        let missing = || IdentityError::NotFound(customer.to_string());
        let from = self.store.contact_of(tenant, customer).await?;
        let from = from.ok_or_else(missing)?;
        let left = self
            .store
            .contact(tenant, &from)
            .await?
            .ok_or_else(missing)?;
        let held = left.accounts.get(customer).ok_or_else(missing)?;
        let own = CustomerId::from(customer.clone());
        let id = to.unwrap_or(&own);
        let linked = Linked {
            by: By::Hand,
            contact: id.clone(),
        };
        if *id == from && held.totals.linked.as_ref() == Some(&linked) {
            return Ok(Err(left));
        }
        let mut rollup = Rollup::clone(held);
        rollup.totals.linked = Some(linked);
        let mut commit = Commit::new(tenant.clone());
        let (target, left) = if *id == from {
            (left, None)
        } else {
            let target = match (self.store.contact(tenant, id).await?, to) {
                (Some(target), _) => target,
                (None, None) => Contact::new(own.clone()),
                (None, Some(to)) => return Err(IdentityError::NotFound(to.to_string())),
            };
            if target.accounts.len() >= MAX_ACCOUNTS {
                return Err(IdentityError::Full(target.id));
            }
            (target, Some(left))
        };
        let now = left.as_ref().map_or(now, |left| now.max(left.evaluated_at));
        let from = Some(from);
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
        commit.reviews.insert(customer.clone(), None);
        let contact = commit.contacts.get(id).map(|write| write.contact.clone());
        let contact = contact.ok_or(IdentityError::Busy)?;
        Ok(Ok(Outcome {
            commit,
            contact,
            events: moved.events,
            changes: moved.changes,
        }))
    }

    /// Merges a contact into another, with everything that it has, and removes it.
    ///
    /// # Errors
    /// [`IdentityError`]; nothing is half done.
    pub async fn merge(
        &self,
        request: &Request<'_>,
        id: &CustomerId,
        into: &CustomerId,
    ) -> Result<Changed, IdentityError> {
        if id == into {
            return Err(IdentityError::Refused(
                "a customer cannot be merged into itself",
            ));
        }
        self.repeat(request, &Wish::Merge(id, into)).await
    }

    async fn plan_merge(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
        into: &CustomerId,
        settings: &Settings,
        now: Timestamp,
    ) -> Planned {
        let missing = |id: &CustomerId| IdentityError::NotFound(id.to_string());
        let gone = self.store.contact(tenant, id).await?;
        let gone = gone.ok_or_else(|| missing(id))?;
        let target = self.store.contact(tenant, into).await?;
        let mut target = target.ok_or_else(|| missing(into))?;
        if gone.accounts.len() > MAX_MERGED
            || target.accounts.len() + gone.accounts.len() > MAX_ACCOUNTS
        {
            return Err(IdentityError::Full(target.id));
        }
        let (expected, segments) = (target.version, target.told.segments.clone());
        let was = target.profile.as_ref().map(names).unwrap_or_default();
        let now = now.max(gone.evaluated_at);
        let outcome = target.adopt(&gone, settings, now);
        let is = target.profile.as_ref().map(names).unwrap_or_default();
        let mut commit = Commit::new(tenant.clone());
        for customer in gone.accounts.keys() {
            let (from, to) = (Some(id.clone()), into.clone());
            let write = StripeLinkWrite { from, to };
            commit.stripe_links.insert(customer.clone(), write);
        }
        let lost = gone.profile.as_ref().map(names).unwrap_or_default();
        let lost = lost.into_iter();
        let lost = lost.map(|name| ((name, id.clone()), RowChange::Delete));
        let new = row_changes(&was, &is).map(|(name, change)| ((name, into.clone()), change));
        commit.names = lost.chain(new).collect();
        let (version, left) = (gone.version, gone.told.segments.clone());
        let mut events = gone.ended();
        events.extend(outcome.events);
        commit.put_contact(ContactWrite::new(gone, version, &left, true));
        let write = ContactWrite::new(target.clone(), expected, &segments, false);
        commit.put_contact(write);
        let mut changes = outcome.changes;
        changes.push(Change {
            field: "merged".to_owned(),
            before: json!(id),
            after: json!(into),
        });
        Ok(Ok(Outcome {
            commit,
            contact: target,
            events,
            changes,
        }))
    }

    /// Plans and commits until nobody is in between.
    pub(crate) async fn repeat(
        &self,
        request: &Request<'_>,
        wish: &Wish<'_>,
    ) -> Result<Changed, IdentityError> {
        let settings = self.store.settings(request.tenant).await?;
        let settings = settings.as_ref();
        let mut attempt = 0;
        loop {
            let now = self.clock.now();
            let tenant = request.tenant;
            let planned = match wish {
                Wish::Put(id, given) => {
                    let merge = |contact: &mut Contact| {
                        contact.merge_profile((*given).clone(), settings, now)
                    };
                    self.plan_edit(tenant, id, merge).await?
                }
                Wish::Hear(id, heard) => {
                    let hear = |contact: &mut Contact| contact.hear(heard, settings, now);
                    self.plan_edit(tenant, id, hear).await?
                }
                Wish::Contacted(id, at) => {
                    self.plan_contacted(tenant, id, *at, settings, now).await?
                }
                Wish::Link(customer, to) => {
                    self.plan_link(tenant, customer, *to, settings, now).await?
                }
                Wish::Merge(id, into) => self.plan_merge(tenant, id, into, settings, now).await?,
            };
            let outcome = match planned {
                Ok(outcome) => outcome,
                Err(contact) => {
                    return Ok(Changed {
                        contact,
                        entry: None,
                    });
                }
            };
            let (commit, contact) = sealed(request, wish, outcome, now);
            match self.store.commit(&commit).await {
                Ok(()) => {
                    return Ok(Changed {
                        contact,
                        entry: commit.ledger,
                    });
                }
                Err(CommitError::Store(error)) => return Err(error.into()),
                Err(CommitError::Conflict) if request.deadline.has_time() => {
                    attempt += 1;
                    pause(attempt).await;
                }
                // It came again, while others changed the contact.
                Err(CommitError::Duplicate)
                    if matches!(wish, Wish::Hear(..) | Wish::Contacted(..)) =>
                {
                    return Ok(Changed {
                        contact,
                        entry: None,
                    });
                }
                Err(CommitError::Conflict | CommitError::Duplicate) => {
                    return Err(IdentityError::Busy);
                }
            }
        }
    }
}

/// The commit with its marker and its audit entry.
fn sealed(
    request: &Request<'_>,
    wish: &Wish<'_>,
    outcome: Outcome,
    now: Timestamp,
) -> (Commit, Contact) {
    let Outcome {
        mut commit,
        contact,
        events,
        changes,
    } = outcome;
    let at = wish.at(now);
    let subject = Subject {
        tenant: request.tenant,
        contact: Some(&contact.id),
        customer: None,
        at,
        source: Source::Api,
        cause: request.cause,
    };
    commit.ledger = Some(LedgerEntry {
        tenant: request.tenant.clone(),
        cause: request.cause.clone(),
        event_type: wish.event_type(),
        at,
        processed_at: now,
        disposition: "applied".to_owned(),
        outbox: seal(subject, events.into_iter().map(named).collect()),
    });
    commit.audit = (!changes.is_empty()).then(|| AuditEntry {
        owner: AuditOwner::Contact(contact.id.clone()),
        at,
        source: Source::Api,
        cause: request.cause.clone(),
        changes,
    });
    (commit, contact)
}
