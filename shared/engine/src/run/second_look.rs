//! Asks again for what differed, and for what no list returned.

use std::collections::{BTreeMap, HashSet};

use futures::StreamExt as _;
use futures::stream;
use paygraph_domain::fact::Fact;
use paygraph_domain::id::{Cause, StripeCustomerId};
use paygraph_domain::rollup::BillingStatus;
use paygraph_stripe::client::ClientError;

use super::drift::{Drift, Outcome};
use super::kind::Kind;
use super::read::{self, Facts};
use super::runner::{AT_ONCE, Left, RunError, Runner};
use super::state::{Job, Look, Run};
use super::take_in::{no_cause, origin_of};
use crate::backoff::Deadline;
use crate::fetch::Fetch;
use crate::ports::{Clock, Publisher, Runs, Store, StoreError};
use crate::process::{Origin, ProcessError, Processed};
use crate::publish::publish;

/// How many looks are done between two notes.
const LOOKS: usize = 200;
/// How many objects of a customer are looked at again in one commit.
const TOGETHER: usize = 10;
/// What is taken over with a customer.
const OF_CUSTOMERS: [Kind; 5] = [
    Kind::Subscriptions,
    Kind::Schedules,
    Kind::CheckoutSessions,
    Kind::Charges,
    Kind::Invoices,
];

impl<S: Store + Runs, C: Clock, F: Fetch, P: Publisher> Runner<'_, S, C, F, P> {
    /// What no list returned, live subscriptions and customers that were never seen, is asked for by
    /// its id.
    pub(super) async fn unreturned(
        &self,
        run: &mut Run,
        returned: Option<&HashSet<String>>,
    ) -> Result<Left, RunError> {
        let asked = |kind| run.scope.kinds.is_empty() || run.scope.kinds.contains(&kind);
        let (customers, subscriptions) = (
            asked(Kind::Customers),
            asked(Kind::Subscriptions) && run.job == Job::Reconcile,
        );
        let store = &self.engine.store;
        let everyone = store.everyone(&run.tenant).await?;
        let known: &Run = run;
        let each = everyone.iter().map(|id| async move {
            let Some(contact) = store.contact(&known.tenant, id).await? else {
                return Ok(Vec::new());
            };
            let mut looks = Vec::new();
            for (customer, rollup) in &contact.accounts {
                // Of a deleted customer no list tells.
                if customers && !rollup.seen {
                    looks.push(look(customer, customer.as_str()));
                }
                if !subscriptions || rollup.status == BillingStatus::None {
                    continue;
                }
                let account = store.account(&known.tenant, customer).await?;
                let live = account.subscriptions.values();
                let live = live.map(|held| held.value.subscription.get());
                for subscription in live.filter(|subscription| subscription.status.is_live()) {
                    let id = subscription.id.as_str();
                    if returned.is_none_or(|returned| !returned.contains(id)) {
                        looks.push(look(customer, id));
                    }
                }
            }
            Ok::<_, StoreError>(looks)
        });
        let mut found = stream::iter(each).buffer_unordered(AT_ONCE);
        let mut looks = Vec::new();
        while let Some(some) = found.next().await {
            looks.extend(some?);
        }
        drop(found);
        store.note_looks(run, &looks).await?;
        Ok(Left::Nothing)
    }

    /// Asks again for what differed: what still does is drift, and is healed or left for review.
    pub(super) async fn second_look(
        &self,
        run: &mut Run,
        token: u64,
        deadline: Deadline,
    ) -> Result<Left, RunError> {
        let store = &self.engine.store;
        let looks = store.looks(run).await?;
        if looks.is_empty() {
            return Ok(Left::Nothing);
        }
        let now = self.engine.clock.now();
        let at = match run.second_look_at {
            Some(at) => at,
            None => {
                run.counts.differed = u64::try_from(looks.len()).unwrap_or(0);
                *run.second_look_at.insert(now.plus(self.second_look_after))
            }
        };
        if now < at {
            self.note(run, token).await?;
            return Ok(Left::Later(at));
        }
        let mut customers: BTreeMap<StripeCustomerId, Vec<Look>> = BTreeMap::new();
        for look in looks {
            customers
                .entry(look.customer.clone())
                .or_default()
                .push(look);
        }
        let mut done = 0;
        for (customer, looks) in &customers {
            for looks in looks.chunks(TOGETHER) {
                self.look_again(run, customer, looks).await?;
                store.looked(run, looks).await?;
                done += looks.len();
            }
            if done >= LOOKS {
                done = 0;
                self.note(run, token).await?;
                if !deadline.has_time() {
                    return Ok(Left::More);
                }
            }
        }
        Ok(Left::Nothing)
    }

    /// Takes over how one object is at Stripe now; of a customer, all that belongs to it.
    ///
    /// # Errors
    /// [`RunError`] when Stripe or the store cannot be asked.
    pub async fn sync(&self, run: &mut Run, id: &str) -> Result<Vec<Drift>, RunError> {
        let refused = |source| RunError::Stripe {
            what: format!("asking for {id}"),
            source,
        };
        let (cause, source) = origin_of(run)?;
        let kind = Kind::of(id).unwrap_or(Kind::Customers);
        let found = read::object(&self.client, kind, id)
            .await
            .map_err(refused)?;
        let mut facts = Facts::default();
        if let Ok(object) = serde_json::from_str(&found.value) {
            facts.add(kind, object, (found.since, found.until), &cause, source);
        }
        let entries = self.take_in_catalog(run, &mut facts).await?;
        publish(&self.engine.store, self.publisher, &entries).await?;
        self.lead(run, &mut facts).await?;
        let Some((customer, _)) = facts.customers.pop_first() else {
            return Ok(Vec::new());
        };
        let mut looks = vec![look(&customer, id)];
        if kind == Kind::Customers {
            for kind in OF_CUSTOMERS {
                let ids = read::ids_of(&self.client, kind, &customer).await;
                let ids = ids.map_err(refused)?;
                looks.extend(ids.iter().map(|id| look(&customer, id)));
            }
        }
        let mut drift = Vec::new();
        for looks in looks.chunks(TOGETHER) {
            drift.extend(self.look_again(run, &customer, looks).await?);
        }
        run.counts
            .objects
            .insert(kind, u64::try_from(looks.len()).unwrap_or(0));
        Ok(drift)
    }

    /// Asks for some of a customer's objects, and puts right what differs. Gives what that was.
    ///
    /// # Errors
    /// [`RunError`] when Stripe or the store cannot be asked.
    pub async fn look_again(
        &self,
        run: &mut Run,
        customer: &StripeCustomerId,
        looks: &[Look],
    ) -> Result<Vec<Drift>, RunError> {
        let (cause, source) = origin_of(run)?;
        let mut facts = Facts::default();
        let mut missing = Vec::new();
        for look in looks {
            match read::object(&self.client, look.kind, &look.object).await {
                Ok(found) => {
                    let interval = (found.since, found.until);
                    if let Ok(object) = serde_json::from_str(&found.value) {
                        facts.add(look.kind, object, interval, &cause, source);
                    }
                }
                Err(ClientError::Missing(_)) => missing.push(look),
                Err(source) => {
                    let what = format!("asking for {}", look.object);
                    return Err(RunError::Stripe { what, source });
                }
            }
        }
        self.lead(run, &mut facts).await?;
        facts.sort();
        let facts = facts.customers.remove(customer).unwrap_or_default();
        let origin = self.origin(run, customer.as_str(), &facts)?;
        if run.job == Job::Backfill {
            let done = self.commit_as(&origin, customer, &facts).await;
            self.publish(done).await?;
            return Ok(Vec::new());
        }
        let found = self.difference(&origin, customer, &facts).await;
        let mut drift = found.map_err(store_error)?;
        drift.extend(self.gone(run, customer, &missing).await?);
        if drift.is_empty() {
            run.counts.in_flight += u64::try_from(looks.len()).unwrap_or(0);
            return Ok(drift);
        }
        for drift in &mut drift {
            drift.outcome = if run.scope.dry_run {
                Outcome::DryRun
            } else if drift.class.is_healed() {
                Outcome::Healed
            } else {
                Outcome::Review
            };
        }
        // Noted first: whoever dies in between finds it noted, and nothing left to heal.
        self.engine.store.note_drift(run, &drift).await?;
        if !run.scope.dry_run {
            self.settle(run, origin, customer, &facts, &drift).await?;
        }
        Ok(drift)
    }

    /// Takes Stripe's state over, and tells what differed.
    async fn settle(
        &self,
        run: &Run,
        mut origin: Origin<'_>,
        customer: &StripeCustomerId,
        facts: &[Fact],
        drift: &[Drift],
    ) -> Result<(), RunError> {
        let healed = |drift: &&Drift| drift.outcome == Outcome::Healed;
        let told = drift.iter().filter(healed);
        origin.told = told.flat_map(|drift| drift.told(&run.id)).collect();
        let done = self.commit_as(&origin, customer, facts).await;
        self.publish(done).await?;
        // What waits for a person is told once, however many runs see it.
        for drift in drift.iter().filter(|drift| !healed(drift)) {
            let name = format!("drift:{}:{}", drift.class.as_str(), drift.object);
            let mut origin = self.origin(run, customer.as_str(), &[])?;
            origin.cause = Cause::parse(name).map_err(no_cause)?;
            origin.told = drift.told(&run.id);
            let done = self.commit_as(&origin, customer, &[]).await;
            self.publish(done).await?;
        }
        Ok(())
    }

    async fn publish(&self, done: Result<Processed, ProcessError>) -> Result<(), RunError> {
        let entries = done.map_err(store_error)?.into_entries();
        publish(&self.engine.store, self.publisher, &entries).await?;
        Ok(())
    }

    /// Subscriptions that are live here, and that Stripe does not have.
    pub(super) async fn gone(
        &self,
        run: &Run,
        customer: &StripeCustomerId,
        missing: &[&Look],
    ) -> Result<Vec<Drift>, RunError> {
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let account = self.engine.store.account(&run.tenant, customer).await?;
        let live = account.subscriptions.values();
        let live = live
            .map(|held| held.value.subscription.get())
            .filter(|subscription| subscription.status.is_live())
            .filter(|subscription| {
                let id = subscription.id.as_str();
                missing.iter().any(|look| look.object == id)
            });
        Ok(live
            .map(|subscription| Drift::missing(customer, subscription))
            .collect())
    }
}

fn store_error(error: ProcessError) -> RunError {
    let retry = error.is_retryable();
    if let ProcessError::Store(error) = error {
        return error.into();
    }
    RunError::Store(StoreError {
        context: "a customer could not be compared".to_owned(),
        retry,
        source: Some(Box::new(error)),
    })
}

/// What to ask for because of an object: itself, or the customer that it comes with.
pub(super) fn look(customer: &StripeCustomerId, object: &str) -> Look {
    let (kind, object) = match Kind::of(object) {
        Some(kind) => (kind, object),
        None => (Kind::Customers, customer.as_str()),
    };
    Look {
        customer: customer.clone(),
        kind,
        object: object.to_owned(),
    }
}
