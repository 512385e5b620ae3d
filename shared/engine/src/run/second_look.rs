//! Asks Stripe a second time for the objects that differed. An object that still differs is drift.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use futures::stream;
use paygraph_domain::fact::Fact;
use paygraph_domain::id::{Cause, StripeCustomerId};
use paygraph_domain::rollup::{Context, catalog_keys};
use paygraph_domain::totals::Totals;
use paygraph_stripe::client::{ClientError, Received};

use super::drift::{Drift, Outcome};
use super::errors::{full, no_cause, store_error};
use super::kind::Kind;
use super::look::Look;
use super::read::{self, Facts};
use super::runner::{AT_ONCE, Left, RunError, Runner};
use super::state::{Failure, Job, Run, Wait};
use super::take_in::{Difference, origin_of};
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

/// A look with Stripe's answer.
type AnsweredLook = (Look, Result<Received<String>, ClientError>);

impl<S: Store + Runs, C: Clock, F: Fetch, P: Publisher> Runner<'_, S, C, F, P> {
    /// Asks again for the objects that differed. Heals an object that still differs, or leaves it for
    /// review.
    pub(super) async fn second_look(
        &self,
        run: &mut Run,
        token: u64,
        deadline: Deadline,
    ) -> Result<Left, RunError> {
        let store = &self.engine.store;
        if store.looks(run, None, 1).await?.is_empty() {
            return Ok(Left::Nothing);
        }
        let at = match run.second_look_at {
            Some(at) => at,
            None => {
                // A run about one object has no first look.
                if run.scope.object.is_none() {
                    run.counts.differed = self.count_differing(run).await?;
                }
                let after = match run.job {
                    // Nothing is compared that a webhook may be about to change.
                    Job::Backfill => 0,
                    Job::Reconcile => self.second_look_after,
                };
                *run.second_look_at
                    .insert(self.engine.clock.now().plus(after))
            }
        };
        if self.engine.clock.now() < at {
            run.stalled_since = None;
            run.wait = Some(Wait {
                reason: "webhooks may be on their way: what differs is asked for again".to_owned(),
                until: Some(at),
            });
            self.note(run, token).await?;
            return Ok(Left::Later(at));
        }
        let mut unsettled = self.unsettled(run).await?;
        loop {
            let looks = store.looks(run, None, LOOKS).await?;
            if looks.is_empty() {
                return Ok(Left::Nothing);
            }
            for (customer, answered) in self.ask_again(looks).await {
                for answered in answered.chunks(TOGETHER) {
                    self.recheck(run, &customer, answered).await?;
                    self.settle_left_over(run, &mut unsettled, answered).await?;
                    let looks: Vec<_> = answered.iter().map(|(look, _)| look.clone()).collect();
                    let decides = [Kind::Customers, Kind::Subscriptions];
                    if looks.iter().any(|look| decides.contains(&look.kind)) {
                        self.read_methods_of_customer(run, &customer).await?;
                    }
                    store.looked(run, &looks).await?;
                }
            }
            run.stalled_since = None;
            self.note(run, token).await?;
            if !deadline.has_time() {
                return Ok(Left::More);
            }
        }
    }

    /// How many objects differed at the first look.
    async fn count_differing(&self, run: &Run) -> Result<u64, RunError> {
        let (mut count, mut last) = (0, None);
        loop {
            let looks = self.engine.store.looks(run, last.as_ref(), 1_000).await?;
            if looks.is_empty() {
                return Ok(count);
            }
            let differing = looks.iter().filter(|look| !look.unlisted).count();
            count += u64::try_from(differing).unwrap_or(0);
            last = looks.last().cloned();
        }
    }

    /// Asks Stripe for objects by their ids, side by side. Gives the answers by customer.
    async fn ask_again(&self, looks: Vec<Look>) -> BTreeMap<StripeCustomerId, Vec<AnsweredLook>> {
        let each = looks.into_iter().map(|look| async move {
            let answer = read::object(&self.client, look.kind, &look.object).await;
            (look, answer)
        });
        let mut answers = stream::iter(each).buffered(AT_ONCE);
        let mut customers: BTreeMap<_, Vec<AnsweredLook>> = BTreeMap::new();
        while let Some((look, answer)) = answers.next().await {
            let of_customer = customers.entry(look.customer.clone()).or_default();
            of_customer.push((look, answer));
        }
        customers
    }

    /// Compares some of a customer's objects again, and heals what differs. Where the store refuses
    /// them together, each is tried by itself; one that it refuses is set aside.
    async fn recheck(
        &self,
        run: &mut Run,
        customer: &StripeCustomerId,
        answered: &[AnsweredLook],
    ) -> Result<(), RunError> {
        let refused = match self.recheck_together(run, customer, answered).await {
            Err(error) if error.is_refusal() || matches!(error, RunError::Busy) => error,
            done => return done,
        };
        if let [(look, _)] = answered {
            return self.refuse(run, look, &refused).await;
        }
        for one in answered {
            match self
                .recheck_together(run, customer, std::slice::from_ref(one))
                .await
            {
                Err(error) if error.is_refusal() || matches!(error, RunError::Busy) => {
                    self.refuse(run, &one.0, &error).await?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Sets aside an object that cannot be committed.
    async fn refuse(&self, run: &mut Run, look: &Look, error: &RunError) -> Result<(), RunError> {
        let failure = Failure {
            object: look.object.clone(),
            reason: full(error),
        };
        Ok(self.set_aside(run, &[failure]).await?)
    }

    async fn recheck_together(
        &self,
        run: &mut Run,
        customer: &StripeCustomerId,
        answered: &[AnsweredLook],
    ) -> Result<(), RunError> {
        let (facts, missing) = self.facts_of(run, customer, answered).await?;
        let origin = self.origin(run, customer.as_str(), &facts)?;
        if run.job == Job::Backfill {
            let done = self.commit_as(&origin, customer, &facts).await;
            return self.publish(done).await;
        }
        let found = self.difference(&origin, customer, &facts).await;
        let Difference {
            mut drift, revs, ..
        } = found.map_err(store_error)?;
        drift.extend(self.gone(run, customer, &missing).await?);
        let settings = self.engine.store.settings(&run.tenant).await?;
        for drift in &mut drift {
            drift.decide(run.scope.dry_run, &settings.review_drift);
        }
        // Noted as pending before the commit that heals it, and as healed after it: whoever dies in
        // between leaves a line of the report that somebody settles.
        self.engine.store.note_drift(run, &drift).await?;
        if !run.scope.dry_run {
            let settled = self.settle(run, origin, customer, &facts, &drift).await;
            let outcome = match &settled {
                Ok(()) => Outcome::Healed,
                Err(error) if error.is_refusal() => Outcome::Failed,
                Err(_) => Outcome::Pending,
            };
            let mut healed = drift.clone();
            healed.retain(|drift| drift.outcome == Outcome::Pending);
            for drift in &mut healed {
                drift.outcome = outcome;
            }
            self.engine.store.note_drift(run, &healed).await?;
            settled?;
        }
        let stands = |look: &Look| drift.iter().any(|drift| drift.object == look.object);
        // Only if our object was written since the first look, an event was under way.
        let moved = |look: &Look| {
            let rev = revs.get(&look.object);
            look.rev
                .is_none_or(|before| rev.is_some_and(|rev| *rev != before))
        };
        let looks = answered.iter().map(|(look, _)| look);
        let gone = looks.filter(|look| !look.unlisted && !stands(look) && moved(look));
        match run.scope.object {
            None => run.counts.in_flight += u64::try_from(gone.count()).unwrap_or(0),
            Some(_) => {
                let differ: BTreeSet<_> = drift.iter().map(|drift| &drift.object).collect();
                run.counts.differed += u64::try_from(differ.len()).unwrap_or(0);
            }
        }
        Ok(())
    }

    /// Stripe's answers as facts about a customer, and the looks at what Stripe does not have.
    async fn facts_of<'l>(
        &self,
        run: &mut Run,
        customer: &StripeCustomerId,
        answered: &'l [AnsweredLook],
    ) -> Result<(Vec<Fact>, Vec<&'l Look>), RunError> {
        let (cause, source) = origin_of(run)?;
        let (mut facts, mut missing) = (Facts::default(), Vec::new());
        for (look, answer) in answered {
            match answer {
                Ok(found) => {
                    let interval = (found.since, found.until);
                    if let Ok(object) = serde_json::from_str(&found.value) {
                        let origin = (&cause, source);
                        facts.add(look.kind, object, interval, Some(customer), origin);
                    }
                }
                Err(ClientError::Missing(_)) => missing.push(look),
                Err(source) => {
                    let what = format!("asking for {}", look.object);
                    let source = source.clone();
                    return Err(RunError::Stripe { what, source });
                }
            }
        }
        let unreadable = std::mem::take(&mut facts.unreadable).into_iter();
        let unreadable = unreadable.map(|(object, reason)| Failure { object, reason });
        self.set_aside(run, &unreadable.collect::<Vec<_>>()).await?;
        self.lead(run, &mut facts).await?;
        facts.sort();
        let facts = facts.customers.remove(customer).unwrap_or_default();
        Ok((facts, missing))
    }

    /// Reads the drift that this run left pending: a process may have healed it and died.
    async fn unsettled(&self, run: &Run) -> Result<Vec<Drift>, RunError> {
        let mut drift = self.engine.store.drift(run).await?;
        drift.retain(|drift| drift.outcome == Outcome::Pending);
        Ok(drift)
    }

    /// Notes the healing of drift that an earlier attempt committed: it does not differ any more.
    async fn settle_left_over(
        &self,
        run: &Run,
        unsettled: &mut Vec<Drift>,
        answered: &[AnsweredLook],
    ) -> Result<(), RunError> {
        let asked: BTreeSet<&str> = answered
            .iter()
            .map(|(look, _)| look.object.as_str())
            .collect();
        let is_asked = |drift: &Drift| asked.contains(drift.object.as_str());
        if !unsettled.iter().any(is_asked) {
            return Ok(());
        }
        *unsettled = self.unsettled(run).await?;
        let (mut healed, rest): (Vec<_>, Vec<_>) =
            std::mem::take(unsettled).into_iter().partition(is_asked);
        *unsettled = rest;
        for drift in &mut healed {
            drift.outcome = Outcome::Healed;
        }
        Ok(self.engine.store.note_drift(run, &healed).await?)
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
        let is_healed = |drift: &&Drift| drift.outcome == Outcome::Pending;
        let told = drift.iter().filter(is_healed);
        origin.told = told.flat_map(|drift| drift.told(&run.id)).collect();
        // What somebody wants to look at first stays as it is.
        let held = |fact: &Fact| {
            let mut about = drift.iter().filter(|drift| drift.is_about(fact)).peekable();
            about.peek().is_some() && about.all(|drift| !is_healed(&drift))
        };
        let facts: Vec<Fact> = facts.iter().filter(|fact| !held(fact)).cloned().collect();
        let done = self.commit_as(&origin, customer, &facts).await;
        self.publish(done).await?;
        // What waits for a person is told once, however many runs see it.
        for drift in drift.iter().filter(|drift| !is_healed(drift)) {
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

    /// The customer that is not deleted here, and its subscriptions that are live here, which Stripe
    /// does not have.
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
        let is_kept = account.customer.as_ref();
        let is_kept = is_kept.is_some_and(|held| !held.value.get().deleted);
        let of_customer = missing
            .iter()
            .filter(|look| look.kind == Kind::Customers && is_kept)
            .map(|_| Drift::missing_customer(customer));
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
        Ok(of_customer.chain(told).collect())
    }
}
