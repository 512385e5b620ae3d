//! One Stripe customer's part: load its objects, apply, complete, find its contact, commit.

use paygraph_domain::account::{Account, Catalog, ObjectKey};
use paygraph_domain::apply::{Applied, apply};
use paygraph_domain::audit::Change;
use paygraph_domain::contact::{Contact, Outcome, contact_of};
use paygraph_domain::fact::{Body, Fact};
use paygraph_domain::id::{CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::{By, Linked, Review, chain};
use paygraph_domain::order::Disposition;
use paygraph_domain::rollup::{Context, Rollup, catalog_keys, rollup};
use paygraph_domain::settings::{Settings, Unmatched};
use paygraph_domain::time::Timestamp;
use paygraph_domain::totals::Totals;
use paygraph_stripe::decode::fetched as fetched_fact;

use super::{Done, Engine, MAX_ACCOUNTS, Message, ProcessError, Told, finish};
use crate::backoff::pause;
use crate::envelope::named;
use crate::fetch::{Fetch, Fetched, Wanted, wanted};
use crate::ports::{
    AuditEntry, AuditOwner, Clock, Commit, CommitError, ContactWrite, ObjectWrite, Store,
    StoreError, StripeLinkWrite,
};

/// How often an object is asked for until its answer is later than every event.
const FETCHES: usize = 3;
/// How long to wait between two of them: until another of Stripe's seconds.
const BETWEEN_FETCHES: std::time::Duration = std::time::Duration::from_millis(1_200);

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    pub(super) async fn process_account(
        &self,
        message: &Message<'_>,
        customer: &StripeCustomerId,
        fact: &Fact,
    ) -> Result<Told, ProcessError> {
        let settings = self.store.settings(message.tenant).await?;
        let mut attempt = 0;
        loop {
            if let Some(loaded) = self.load(message.tenant, customer, fact).await? {
                let plan = self
                    .plan(message, customer, fact, &settings, loaded)
                    .await?;
                let named = plan.links.iter().map(|(link, _)| link.clone()).collect();
                let awaited = plan.awaits.iter().filter(|(.., new)| *new);
                let awaited = awaited.map(|(key, ..)| key.clone()).collect();
                match self.commit(message, plan).await {
                    Err(CommitError::Conflict) => {}
                    // If the first delivery died before it looked for what waits, this one does.
                    Ok(done @ Done::Duplicate(_)) => {
                        return Ok(Told {
                            done,
                            named: fact.body.names(),
                            awaited: fact.body.catalog_keys(),
                        });
                    }
                    done => {
                        return finish(done).map(|done| Told {
                            done,
                            named,
                            awaited,
                        });
                    }
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
        let mut applied = apply(&mut account, &mut totals, fact, context);
        self.complete(
            message,
            fact,
            &mut account,
            &mut totals,
            &mut applied,
            context,
        )
        .await?;
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
            let review = review(customer, &found, fact, settings);
            commit.reviews.extend(review);
            totals.linked = found.linked().or(totals.linked);
        }
        let wanted = contact_of(customer, &account, &totals);
        let rollup = rollup(&account, totals, context);
        let held = contact
            .as_ref()
            .and_then(|held| held.accounts.get(customer));
        let awaited = held.map(|held| held.awaits.clone()).unwrap_or_default();
        commit.note_awaited(customer, &awaited, &rollup.awaits);
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
        let changes = applied.changes.into_iter().chain(moved.changes).collect();
        commit.audit = audit(customer, fact, changes);
        Ok(commit)
    }

    /// Asks Stripe who a customer is that no event has shown yet: by its address and metadata its
    /// contact is found.
    async fn first_sight(
        &self,
        message: &Message<'_>,
        fact: &Fact,
    ) -> Result<Option<Fact>, StoreError> {
        let Some(customer) = &fact.customer else {
            return Ok(None);
        };
        let wanted = Wanted::Customer(customer.clone());
        let fetched = self.fetch.fetch(message.tenant, &wanted).await?;
        Ok(fetched.and_then(|fetched| readable(&wanted, &fetched, fact)))
    }

    /// Asks Stripe for what no event can tell, and applies the answer.
    async fn complete(
        &self,
        message: &Message<'_>,
        fact: &Fact,
        account: &mut Account,
        totals: &mut Totals,
        applied: &mut Applied,
        context: Context<'_>,
    ) -> Result<(), StoreError> {
        if account.customer.is_none()
            && let Some(seen) = self.first_sight(message, fact).await?
        {
            applied.extend(apply(account, totals, &seen, context));
        }
        for attempt in 0..FETCHES {
            let Some(wanted) = wanted(account, fact, context) else {
                return Ok(());
            };
            if attempt > 0 {
                // The answer was from the second of an event: a later one tells.
                tokio::time::sleep(BETWEEN_FETCHES).await;
            }
            let Some(fetched) = self.fetch.fetch(message.tenant, &wanted).await? else {
                return Ok(());
            };
            match readable(&wanted, &fetched, fact) {
                Some(asked) if asked.body.id() == fact.body.id() => {
                    let written = applied.changed.iter().cloned();
                    let written: Vec<_> = written.map(|key| (account.rev(&key), key)).collect();
                    applied.extend(apply(account, totals, &asked, context));
                    // What both changed is still written once.
                    for (rev, key) in written {
                        account.set_rev(&key, rev);
                    }
                }
                Some(_) | None => return Ok(()),
            }
        }
        Ok(())
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
}

/// A fetched object as a fact; none when it cannot be read.
fn readable(wanted: &Wanted, fetched: &Fetched, because: &Fact) -> Option<Fact> {
    let interval = (fetched.since, fetched.until);
    match fetched_fact(wanted.event_prefix(), &fetched.object, because, interval) {
        Ok(fact) => fact,
        Err(error) => {
            tracing::warn!(code = "unreadable_object", error = %error, "A fetched object could not be read");
            None
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

impl Found {
    fn linked(self) -> Option<Linked> {
        match self {
            Self::One(linked) => Some(linked),
            Self::Unknown | Self::None | Self::Several(..) => None,
        }
    }
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

fn audit(customer: &StripeCustomerId, fact: &Fact, changes: Vec<Change>) -> Option<AuditEntry> {
    (!changes.is_empty()).then(|| AuditEntry {
        owner: AuditOwner::Stripe(customer.clone()),
        at: fact.at,
        source: fact.source,
        cause: fact.cause.clone(),
        changes,
    })
}
