//! One Stripe customer's part: load its objects, apply, complete, find its contact, commit.

use std::collections::{BTreeMap, BTreeSet};

use paygraph_domain::account::{Account, Catalog, ObjectKey};
use paygraph_domain::apply::{Applied, ObjectChange};
use paygraph_domain::audit::Change;
use paygraph_domain::contact::{Contact, Outcome, contact_of};
use paygraph_domain::fact::{Body, Fact};
use paygraph_domain::id::{CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::order::Disposition;
use paygraph_domain::rollup::{Context, Rollup, catalog_keys, rollup};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::totals::Totals;

use super::find::review;
use super::table::Table;
use super::{Done, Engine, Origin, ProcessError, Taken, finish};
use crate::backoff::pause;
use crate::envelope::{Told, named};
use crate::fetch::Fetch;
use crate::ports::{
    AuditEntry, AuditOwner, Beside, Clock, Commit, CommitError, ContactWrite, ObjectWrite,
    RowChange, Store, StoreError, StripeLinkWrite,
};

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Commits facts about one Stripe customer together. Those that do not fit in one transaction are
    /// committed in halves, each under a cause of its own. The bus hears once of what a run found:
    /// with the first half that changes anything.
    pub(crate) async fn process_account(
        &self,
        origin: &Origin<'_>,
        customer: &StripeCustomerId,
        facts: &[Fact],
    ) -> Result<Taken, ProcessError> {
        let mut all = Taken::nothing();
        let mut parts = vec![(String::new(), facts)];
        while let Some((name, facts)) = parts.pop() {
            let is_told = all.done != Done::Unchanged;
            let part = (!name.is_empty()).then(|| origin.part(&name, is_told));
            let part = part.transpose()?;
            let origin = part.as_ref().unwrap_or(origin);
            match self.process_part(origin, customer, facts).await? {
                Some(taken) => all = all.and(taken),
                None => {
                    let (first, second) = facts.split_at(facts.len() / 2);
                    parts.push((format!("{name}b"), second));
                    parts.push((format!("{name}a"), first));
                }
            }
        }
        Ok(all)
    }

    /// Commits facts in one transaction; none when they are several and do not fit.
    async fn process_part(
        &self,
        origin: &Origin<'_>,
        customer: &StripeCustomerId,
        facts: &[Fact],
    ) -> Result<Option<Taken>, ProcessError> {
        let settings = self.store.settings(origin.tenant).await?;
        let mut attempt = 0;
        loop {
            if let Some(loaded) = self.load(origin.tenant, customer, facts).await? {
                let plan = self
                    .plan(origin, customer, facts, &settings, loaded)
                    .await?;
                let commit = plan.commit;
                if facts.len() > 1 && commit.check().is_err() {
                    return Ok(None);
                }
                let named = commit.links.keys().cloned().collect();
                let awaited = commit.awaits.iter();
                let awaited = awaited.filter(|(_, change)| **change == RowChange::Put);
                let awaited = awaited.map(|((key, _), _)| key.clone()).collect();
                let done = match self.commit(origin, commit).await {
                    Err(CommitError::Conflict) => None,
                    done => Some(finish(done)?),
                };
                match done {
                    None => {}
                    // If the first delivery died before it looked for what waits, this one does.
                    Some(done @ Done::Duplicate(_)) => {
                        let bodies = || facts.iter().map(|fact| &fact.body);
                        let named = bodies().flat_map(Body::names).collect();
                        let awaited = bodies().flat_map(Body::catalog_keys).collect();
                        return Ok(Some(Taken::new(done, named, awaited)));
                    }
                    Some(done) => return Ok(Some(Taken::new(done, named, awaited))),
                }
            }
            if !origin.deadline.has_time() {
                return Err(ProcessError::Busy);
            }
            attempt += 1;
            pause(attempt).await;
        }
    }

    /// Loads what facts are applied to. None when a concurrent commit tore the reads.
    pub(crate) async fn load(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        facts: &[Fact],
    ) -> Result<Option<Loaded>, StoreError> {
        let linked = self.store.contact_of(tenant, customer).await?;
        let contact = match &linked {
            Some(id) => match self.store.contact(tenant, id).await? {
                Some(contact) => Some(contact),
                None => return Ok(None),
            },
            None => None,
        };
        let account = self.store.account(tenant, customer).await?;
        let keys = facts
            .iter()
            .filter_map(|fact| ObjectKey::beside(&fact.body));
        let keys: BTreeSet<_> = keys.collect();
        let beside = if keys.is_empty() {
            Beside::new()
        } else {
            self.store.beside(tenant, customer, &keys).await?
        };
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
            beside,
            totals,
        }))
    }

    /// Decides what to write.
    pub(crate) async fn plan(
        &self,
        origin: &Origin<'_>,
        customer: &StripeCustomerId,
        facts: &[Fact],
        settings: &Settings,
        loaded: Loaded,
    ) -> Result<Plan, StoreError> {
        let Loaded {
            contact,
            mut account,
            beside,
            mut totals,
        } = loaded;
        let evaluated_at = contact.as_ref().map(|contact| contact.evaluated_at);
        let now = evaluated_at.map_or(origin.at, |at| at.max(origin.at));
        let catalog = self
            .catalog(origin.tenant, &account, &totals, facts)
            .await?;
        let context = Context {
            settings,
            catalog: &catalog,
            now,
        };
        let before = account.clone();
        let table = self
            .apply_all(origin, facts, &mut account, &mut totals, beside, context)
            .await?;
        let changes = table.changes(&before, &account, context);
        let mut plan = Plan {
            commit: Commit::new(origin.tenant.clone()),
            changing: table.changing(&changes),
            changes,
            events: table.events(),
        };
        let applied = table.applied.unwrap_or_else(Applied::nothing);
        let commit = &mut plan.commit;
        if applied.disposition != Disposition::Applied {
            if origin.is_message {
                let id = contact.as_ref().map(|contact| &contact.id);
                let outbox = origin.seal(id, Some(customer), Vec::new());
                commit.ledger = Some(self.entry(origin, applied.disposition, outbox));
            }
            return Ok(plan);
        }
        let from = contact.as_ref().map(|contact| contact.id.clone());
        let shown = facts
            .iter()
            .any(|fact| matches!(fact.body, Body::Customer(_)));
        let first = from.is_none() || shown;
        if first && contact_of(customer, &account, &totals).as_str() == customer.as_str() {
            let found = self.find(origin.tenant, customer, &account).await?;
            let review = review(customer, &found, origin.at, settings);
            commit.reviews.extend(review);
            totals.linked = found.linked().or(totals.linked);
        }
        let wanted = contact_of(customer, &account, &totals);
        let mut rollup = rollup(&account, totals, context);
        let held = contact
            .as_ref()
            .and_then(|held| held.accounts.get(customer));
        let awaited = held.map(|held| held.awaits.clone()).unwrap_or_default();
        rollup.awaits = commit.note_awaited(customer, &awaited, &rollup.awaits);
        commit.objects = writes(customer, account, table.beside, applied.changed);
        commit.links = applied
            .links
            .iter()
            .map(|link| (link.clone(), customer.clone()))
            .collect();
        // `from` is as it was when the account was loaded: a link made since then must fail the
        // commit.
        let (target, left) = self
            .target(origin.tenant, customer, contact, wanted)
            .await?;
        let id = target.id.clone();
        let moved = move_account(commit, customer, target, left, from, rollup, settings, now);
        let events = applied.events.into_iter().chain(moved.events).map(named);
        let events = match origin.is_quiet() {
            true => synced(facts),
            false => events.collect(),
        };
        let outbox = origin.seal(Some(&id), Some(customer), events);
        commit.ledger = Some(self.entry(origin, applied.disposition, outbox));
        let changes = plan.changes.iter().flat_map(ObjectChange::audited);
        let changes = changes.chain(moved.changes).collect();
        commit.audit = audit(customer, origin, changes);
        Ok(plan)
    }

    /// Applies facts one after the other, each with what Stripe tells beside it.
    async fn apply_all(
        &self,
        origin: &Origin<'_>,
        facts: &[Fact],
        account: &mut Account,
        totals: &mut Totals,
        beside: Beside,
        context: Context<'_>,
    ) -> Result<Table, StoreError> {
        let mut table = Table::new(beside);
        for fact in facts {
            table.lay(account, fact);
            table.apply(account, totals, fact, context);
            self.complete(origin, fact, account, totals, &mut table, context)
                .await?;
            table.clear(account, fact);
        }
        Ok(table)
    }

    async fn catalog(
        &self,
        tenant: &TenantId,
        account: &Account,
        totals: &Totals,
        facts: &[Fact],
    ) -> Result<Catalog, StoreError> {
        let mut keys = catalog_keys(account, totals);
        keys.extend(facts.iter().flat_map(|fact| fact.body.catalog_keys()));
        if keys.is_empty() {
            return Ok(Catalog::default());
        }
        self.store.catalog(tenant, &keys).await
    }
}

/// What facts are applied to.
pub(crate) struct Loaded {
    contact: Option<Contact>,
    pub account: Account,
    beside: Beside,
    totals: Totals,
}

#[cfg_attr(
    not(feature = "stripe-api"),
    allow(dead_code, reason = "only runs look at a plan before it is committed")
)]
impl Loaded {
    /// How often the object of a fact has been written; none for an entry of the catalog.
    pub fn rev(&self, body: &Body) -> Option<u64> {
        let key = ObjectKey::of(body)?;
        Some(match self.beside.get(&key) {
            Some((rev, _)) => *rev,
            None => self.account.rev(&key),
        })
    }
}

/// What facts come to, to be written.
#[cfg_attr(
    not(feature = "stripe-api"),
    allow(dead_code, reason = "only runs look at a plan before it is committed")
)]
pub(crate) struct Plan {
    /// What to write.
    pub commit: Commit,
    /// The objects whose audited fields change.
    pub changes: Vec<ObjectChange>,
    /// The ids of the facts that change it.
    pub changing: BTreeSet<String>,
    /// What that would tell.
    pub events: Vec<&'static str>,
}

/// What is told of a customer that was imported: once, with the customer itself.
fn synced(facts: &[Fact]) -> Vec<Told> {
    let count = |is: fn(&Body) -> bool| facts.iter().filter(|fact| is(&fact.body)).count();
    let data = serde_json::json!({
        "subscriptions": count(|body| matches!(body, Body::Subscription(_))),
        "invoices": count(|body| matches!(body, Body::Invoice(_))),
    });
    let shown = count(|body| matches!(body, Body::Customer(_))) > 0;
    let told = ("customer_synced".to_owned(), data, None);
    shown.then_some(told).into_iter().collect()
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
    let (mut events, mut removed) = (Vec::new(), None);
    if let Some(mut left) = left {
        let (expected, segments, ended) = (left.version, left.told.segments.clone(), left.ended());
        let outcome = left.release(customer, settings, now);
        let remove = left.is_vacant();
        events = if remove { ended } else { outcome.events };
        removed = remove.then(|| left.clone());
        let write = ContactWrite::new(left, expected, &segments, remove);
        commit.put_contact(write);
    }
    let (expected, segments) = (target.version, target.told.segments.clone());
    let outcome = match &removed {
        Some(left) => target.inherit(customer, rollup, left, settings, now),
        None => target.settle(customer, rollup, settings, now),
    };
    events.extend(outcome.events);
    if from.as_ref() != Some(&target.id) {
        let to = target.id.clone();
        if from.is_some() {
            commit.reviews.entry(customer.clone()).or_insert(None);
        }
        let write = StripeLinkWrite { from, to };
        commit.stripe_links.insert(customer.clone(), write);
    }
    let write = ContactWrite::new(target, expected, &segments, false);
    commit.put_contact(write);
    Outcome {
        events,
        changes: outcome.changes,
    }
}

fn writes(
    customer: &StripeCustomerId,
    mut account: Account,
    mut beside: Beside,
    keys: Vec<ObjectKey>,
) -> BTreeMap<(StripeCustomerId, ObjectKey), ObjectWrite> {
    let write = |key: ObjectKey| {
        let (rev, object) = beside.remove(&key).or_else(|| account.take(&key))?;
        Some(((customer.clone(), key), ObjectWrite { rev, object }))
    };
    keys.into_iter().filter_map(write).collect()
}

fn audit(
    customer: &StripeCustomerId,
    origin: &Origin<'_>,
    changes: Vec<Change>,
) -> Option<AuditEntry> {
    (!changes.is_empty()).then(|| AuditEntry {
        owner: AuditOwner::Stripe(customer.clone()),
        at: origin.at,
        source: origin.source,
        cause: origin.cause.clone(),
        changes,
    })
}
