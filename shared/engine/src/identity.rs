//! What people say of who is who: the tenant's own fields, links by hand, merging.
//!
//! Stripe's state never moves: a Stripe customer's roll-up goes from one contact to another, with
//! its link, in one transaction.

mod edit;
mod link;
mod merge;

use paygraph_domain::audit::Change;
use paygraph_domain::contact::{Contact, Profile};
use paygraph_domain::event::Event;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::product::Heard;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

use crate::backoff::{Deadline, pause};
use crate::envelope::{Subject, named, seal};
use crate::fetch::Fetch;
use crate::ports::{
    AuditEntry, AuditOwner, Clock, Commit, CommitError, LedgerEntry, Store, StoreError, json_bytes,
};
use crate::process::Engine;
use crate::product::EVENT_TYPE;

/// The most bytes of a contact after a request: the table takes 400 KB, and what Stripe tells of its
/// customers comes later.
const MAX_CONTACT_BYTES: usize = 300 * 1024;

/// Why something that a person asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is no such contact or Stripe customer.
    #[error("there is no customer {0}")]
    NotFound(String),
    /// It would hold too much.
    #[error("customer {0} has no room for more Stripe customers")]
    Full(CustomerId),
    /// It would go over a limit.
    #[error("customer {contact}: {problem}")]
    Limit {
        /// The contact.
        contact: CustomerId,
        /// The limit, and how far over it the contact would be.
        problem: String,
    },
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
            Self::NotFound(_) | Self::Full(_) | Self::Limit { .. } | Self::Refused(_) => false,
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
    /// The entries of the parts before it, where the whole did not fit in one transaction.
    pub earlier: Vec<LedgerEntry>,
}

impl Changed {
    fn new(contact: Contact, entry: Option<LedgerEntry>, earlier: Vec<LedgerEntry>) -> Self {
        Self {
            contact,
            entry,
            earlier,
        }
    }
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
    /// Plans and commits until nobody is in between. A request that does not fit in one transaction
    /// is committed in parts, each planned on what the one before has left.
    pub(crate) async fn repeat(
        &self,
        request: &Request<'_>,
        wish: &Wish<'_>,
    ) -> Result<Changed, IdentityError> {
        let settings = self.store.settings(request.tenant).await?;
        let mut earlier = Vec::new();
        let mut attempt = 0;
        loop {
            let now = self.clock.now();
            let planned = self.plan_wish(request.tenant, wish, &settings, now);
            let outcome = match planned.await? {
                Ok(outcome) => outcome,
                Err(contact) => return Ok(Changed::new(contact, None, earlier)),
            };
            let mut sealed = seal_commit(request, request.cause, wish, outcome, now);
            let refusal = sealed.0.check().err();
            if let Some(refusal) = &refusal {
                let part = self.plan_part(request.tenant, wish, &settings, now);
                let contact = &sealed.1.id;
                let part = part.await?.ok_or_else(|| limit(contact, refusal))?;
                let cause = part_cause(request.cause, earlier.len())?;
                sealed = seal_commit(request, &cause, wish, part, now);
            }
            let (commit, contact) = sealed;
            match self.store.commit(&commit).await {
                Ok(()) if refusal.is_none() => {
                    return Ok(Changed::new(contact, commit.ledger, earlier));
                }
                Ok(()) => earlier.extend(commit.ledger),
                Err(CommitError::Store(error)) => return Err(error.into()),
                // It came again, while others changed the contact.
                Err(CommitError::Duplicate)
                    if matches!(wish, Wish::Hear(..) | Wish::Contacted(..)) =>
                {
                    return Ok(Changed::new(contact, None, earlier));
                }
                Err(CommitError::Duplicate) => return Err(IdentityError::Busy),
                Err(CommitError::Conflict) => {
                    attempt += 1;
                    pause(attempt).await;
                }
            }
            if !request.deadline.has_time() {
                return Err(IdentityError::Busy);
            }
        }
    }

    /// Plans the whole of a request.
    async fn plan_wish(
        &self,
        tenant: &TenantId,
        wish: &Wish<'_>,
        settings: &Settings,
        now: Timestamp,
    ) -> Planned {
        match wish {
            Wish::Put(id, given) => self.plan_put(tenant, id, given, settings, now).await,
            Wish::Hear(id, heard) => {
                let hear = |contact: &mut Contact| contact.hear(heard, settings, now);
                self.plan_edit(tenant, id, hear).await
            }
            Wish::Contacted(id, at) => self.plan_contacted(tenant, id, *at, settings, now).await,
            Wish::Link(customer, to) => self.plan_link(tenant, customer, *to, settings, now).await,
            Wish::Merge(id, into) => self.plan_merge(tenant, id, into, settings, now).await,
        }
    }

    /// Plans a part of a request whose whole does not fit in one transaction; none when it has no
    /// parts.
    async fn plan_part(
        &self,
        tenant: &TenantId,
        wish: &Wish<'_>,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Option<Outcome>, IdentityError> {
        match wish {
            Wish::Put(id, given) => {
                let part = self.plan_part_of_put(tenant, id, given, settings, now);
                part.await
            }
            Wish::Merge(id, into) => self.plan_move(tenant, id, into, settings, now).await,
            Wish::Hear(..) | Wish::Contacted(..) | Wish::Link(..) => Ok(None),
        }
    }
}

/// The name of a part of a request in the ledger.
fn part_cause(cause: &Cause, part: usize) -> Result<Cause, StoreError> {
    Cause::parse(format!("{cause}.{part}")).map_err(|error| StoreError {
        context: format!("no cause for a part of {cause}"),
        retry: false,
        source: Some(error.into()),
    })
}

fn limit(contact: &CustomerId, problem: impl ToString) -> IdentityError {
    IdentityError::Limit {
        contact: contact.clone(),
        problem: problem.to_string(),
    }
}

/// Checks that a contact has no more users and workspaces than it may have.
fn check_names(contact: &Contact, before: Option<&Profile>) -> Result<(), IdentityError> {
    let checked = contact.check_names(before);
    checked.map_err(|too_many| limit(&contact.id, too_many))
}

/// Checks that a contact leaves room for what Stripe tells later. One that was larger may shrink.
fn check_room(contact: &Contact, bytes_before: usize) -> Result<(), IdentityError> {
    let bytes = json_bytes(contact);
    if bytes > MAX_CONTACT_BYTES.max(bytes_before) {
        let problem =
            format!("it would have {bytes} bytes; at most {MAX_CONTACT_BYTES} are possible");
        return Err(limit(&contact.id, problem));
    }
    Ok(())
}

/// The commit with its marker and its audit entry.
fn seal_commit(
    request: &Request<'_>,
    cause: &Cause,
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
        cause,
    };
    commit.ledger = Some(LedgerEntry {
        tenant: request.tenant.clone(),
        cause: cause.clone(),
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
        cause: cause.clone(),
        changes,
    });
    (commit, contact)
}
