//! Asks again for what differed: what still does is drift.

use std::collections::BTreeMap;

use paygraph_domain::fact::Fact;
use paygraph_domain::id::{Cause, StripeCustomerId};
use paygraph_domain::rollup::{Context, catalog_keys};
use paygraph_domain::totals::Totals;
use paygraph_stripe::client::ClientError;

use super::drift::{Drift, Outcome};
use super::read::{self, Facts};
use super::runner::{Left, RunError, Runner};
use super::state::{Job, Look, Run};
use super::take_in::{no_cause, origin_of, store_error};
use crate::backoff::Deadline;
use crate::envelope::Told;
use crate::fetch::Fetch;
use crate::ports::{Clock, Publisher, Runs, Store};
use crate::process::{Origin, ProcessError, Processed};
use crate::publish::publish;

/// How many looks are done between two notes.
const LOOKS: usize = 50;
/// How many objects of a customer are looked at again in one commit.
const TOGETHER: usize = 10;

impl<S: Store + Runs, C: Clock, F: Fetch, P: Publisher> Runner<'_, S, C, F, P> {
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
                let after = match run.job {
                    // Nothing is compared that a webhook may be about to change.
                    Job::Backfill => 0,
                    Job::Reconcile => self.second_look_after,
                };
                *run.second_look_at.insert(now.plus(after))
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
                let gone = self.look_again(run, customer, looks).await?;
                store.looked(run, looks).await?;
                if run.scope.object.is_none() {
                    run.counts.in_flight += gone;
                }
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

    /// Asks for some of a customer's objects, and puts right what differs. Gives how many of them
    /// do not differ any more.
    async fn look_again(
        &self,
        run: &mut Run,
        customer: &StripeCustomerId,
        looks: &[Look],
    ) -> Result<u64, RunError> {
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
            return self.publish(done).await.map(|()| 0);
        }
        let found = self.difference(&origin, customer, &facts).await;
        let mut drift = found.map_err(store_error)?.drift;
        drift.extend(self.gone(run, customer, &missing).await?);
        let stands = |look: &Look| drift.iter().any(|drift| drift.object == look.object);
        let gone = looks.iter().filter(|look| !look.unlisted && !stands(look));
        let gone = gone.count();
        let gone = u64::try_from(gone).unwrap_or(0);
        if drift.is_empty() {
            return Ok(gone);
        }
        let settings = self.engine.store.settings(&run.tenant).await?;
        for drift in &mut drift {
            drift.decide(run.scope.dry_run, &settings.review_drift);
        }
        // Noted first: whoever dies in between finds it noted, and nothing left to heal.
        self.engine.store.note_drift(run, &drift).await?;
        if !run.scope.dry_run {
            self.settle(run, origin, customer, &facts, &drift).await?;
        }
        Ok(gone)
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
        // What somebody wants to look at first stays as it is.
        let held = |fact: &Fact| {
            let mut about = drift.iter().filter(|drift| drift.is_about(fact)).peekable();
            about.peek().is_some() && about.all(|drift| !healed(&drift))
        };
        let facts: Vec<Fact> = facts.iter().filter(|fact| !held(fact)).cloned().collect();
        let done = self.commit_as(&origin, customer, &facts).await;
        self.publish(done).await?;
        // What waits for a person is told once, however many runs see it.
        for drift in drift.iter().filter(|drift| !healed(drift)) {
            let name = format!("drift:{}:{}", drift.class.as_str(), drift.object);
            self.tell(run, name, Some(customer), drift.told(&run.id))
                .await?;
        }
        Ok(())
    }

    /// Tells the bus what a run came to, once under each name.
    pub(super) async fn tell(
        &self,
        run: &Run,
        name: String,
        customer: Option<&StripeCustomerId>,
        told: Vec<Told>,
    ) -> Result<(), RunError> {
        let mut origin = self.origin(run, run.id.as_str(), &[])?;
        origin.cause = Cause::parse(name).map_err(no_cause)?;
        origin.told = told;
        let done = self.engine.tell(&origin, customer).await;
        self.publish(done.map(Processed::alone)).await
    }

    async fn publish(&self, done: Result<Processed, ProcessError>) -> Result<(), RunError> {
        let entries = done.map_err(store_error)?.into_entries();
        publish(&self.engine.store, self.publisher, &entries).await?;
        Ok(())
    }

    /// Subscriptions that are live here, and that Stripe does not have.
    async fn gone(
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
        let store = &self.engine.store;
        let keys = catalog_keys(&account, &Totals::default());
        let (settings, catalog) = (
            store.settings(&run.tenant).await?,
            store.catalog(&run.tenant, &keys).await?,
        );
        let context = Context {
            settings: &settings,
            catalog: &catalog,
            now: run.started_at,
        };
        let told = live.map(|subscription| {
            let worth = context.value(&account, subscription);
            Drift::missing(customer, subscription, &worth.mrr)
        });
        Ok(told.collect())
    }
}
