//! Does a run: reads, takes in, notes, and looks again at what differed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use paygraph_domain::fact::{Body, Fact, Source};
use paygraph_domain::id::{Cause, StripeCustomerId};
use paygraph_domain::rollup::BillingStatus;
use paygraph_domain::time::Timestamp;
use paygraph_stripe::client::{Client, ClientError, Page, Received};
use tokio::task::JoinSet;
use xxhash_rust::xxh3::Xxh3;

use super::drift::{Drift, Outcome, classify, exhausted, unpaid_upgrades};
use super::kind::{Kind, Stage};
use super::read::{self, Facts, weight};
use super::state::{Job, Look, PARALLEL, Range, Run};
use crate::backoff::{Deadline, pause};
use crate::fetch::Fetch;
use crate::ports::{Clock, CommitError, LedgerEntry, Publisher, Runs, Store, StoreError};
use crate::process::{Done, Engine, Origin, ProcessError, Processed};
use crate::publish::publish;

/// How long a lease lasts without a note.
const LEASE: i64 = 90;
/// How long a customer that others keep changing is tried.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many customers are taken in side by side.
const AT_ONCE: usize = 16;
/// How many looks are done between two notes.
const LOOKS: usize = 200;
/// The most writes that the facts of one commit may need, in a transaction of a hundred.
const ROOM: usize = 90;

/// Does runs for one tenant.
pub struct Runner<'a, S, C, F, P> {
    /// What takes in.
    pub engine: &'a Engine<S, C, F>,
    /// Where what comes of it is published.
    pub publisher: &'a P,
    /// Whom to read.
    pub client: Client,
    /// How long after the first look the second one is, in seconds.
    pub second_look_after: i64,
    /// Told after each note.
    pub progress: &'a (dyn Fn(&Run) + Sync),
}

/// What is left of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// It goes on at once: the time was up.
    More,
    /// It goes on then: what differed is looked at again.
    Later(Timestamp),
}

/// Why a run does not go on now.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Somebody else does it, or another of the tenant's.
    #[error("another run holds the tenant's lease")]
    Held,
    /// Somebody else took it over.
    #[error("the run was taken over by somebody else")]
    TakenOver,
    /// Stripe refuses, or does not answer.
    #[error("{what}: {source}")]
    Stripe {
        /// What was asked for.
        what: String,
        /// Why not.
        #[source]
        source: ClientError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of one customer's facts.
#[derive(Default)]
struct TakenIn {
    entries: Vec<LedgerEntry>,
    looks: Vec<Look>,
    committed: u64,
    failed: Vec<(String, String)>,
}

type Answered = (Range, Result<Received<Page>, ClientError>);

impl<S: Store + Runs, C: Clock, F: Fetch, P: Publisher> Runner<'_, S, C, F, P> {
    /// Goes on with a run until it is finished, the deadline is near, or it has to wait.
    ///
    /// # Errors
    /// [`RunError`]; what was noted stays noted, and the run can go on.
    pub async fn go_on(&self, run: &mut Run, deadline: Deadline) -> Result<Left, RunError> {
        let now = self.engine.clock.now();
        let until = now.plus(LEASE);
        let token = self.engine.store.lease(&run.tenant, now, until).await?;
        let token = token.ok_or(RunError::Held)?;
        run.problem = None;
        let left = self.stages(run, token, deadline).await;
        if let Err(error) = &left
            && !matches!(error, RunError::TakenOver)
        {
            run.problem = Some(error.to_string());
            self.note(run, token).await?;
        }
        self.engine.store.release(&run.tenant, token).await?;
        left
    }

    async fn stages(
        &self,
        run: &mut Run,
        token: u64,
        deadline: Deadline,
    ) -> Result<Left, RunError> {
        // What was returned is known only to whoever read all of it.
        let mut returned = (run.stage == Stage::Catalog).then(HashSet::new);
        loop {
            let left = match run.stage {
                Stage::Catalog | Stage::Objects | Stage::Followers => {
                    self.read(run, token, &mut returned, deadline).await?
                }
                Stage::Unreturned => self.unreturned(run, returned.as_ref()).await?,
                Stage::SecondLook => self.second_look(run, token, deadline).await?,
                Stage::Finished => return Ok(Left::Nothing),
            };
            if left != Left::Nothing {
                return Ok(left);
            }
            run.enter(run.stage.next());
            self.note(run, token).await?;
        }
    }

    async fn note(&self, run: &mut Run, token: u64) -> Result<(), RunError> {
        run.noted_at = self.engine.clock.now();
        let until = run.noted_at.plus(LEASE);
        match self.engine.store.note(run, token, until).await {
            Ok(()) => {
                (self.progress)(run);
                Ok(())
            }
            Err(CommitError::Store(error)) => Err(error.into()),
            Err(CommitError::Conflict | CommitError::Duplicate) => Err(RunError::TakenOver),
        }
    }

    /// Reads what is left of a stage: each range a page at a time, all side by side.
    async fn read(
        &self,
        run: &mut Run,
        token: u64,
        returned: &mut Option<HashSet<String>>,
        deadline: Deadline,
    ) -> Result<Left, RunError> {
        let mut reads = JoinSet::new();
        for range in run.ranges.clone() {
            self.spawn(&mut reads, range);
        }
        let mut refused = None;
        while let Some(first) = reads.join_next().await {
            let more = std::iter::from_fn(|| reads.try_join_next());
            let window: Vec<Answered> = std::iter::once(first).chain(more).flatten().collect();
            let mut facts = Facts::default();
            let (cause, source) = origin_of(run)?;
            for (range, answer) in &window {
                let Ok(page) = answer else { continue };
                run.counts.pages += 1;
                let count = u64::try_from(page.value.data.len()).unwrap_or(0);
                *run.counts.objects.entry(range.kind).or_default() += count;
                facts.add_page(range.kind, page, &cause, source);
            }
            if let Some(returned) = returned {
                returned.extend(live(&facts));
            }
            self.take_in(run, facts).await?;
            let mut next = Vec::new();
            for (range, answer) in window {
                match answer {
                    Ok(page) => next.extend(advance(run, &range, &page.value)),
                    Err(source) => {
                        let what = format!("reading {}", range.kind.name());
                        refused = Some(RunError::Stripe { what, source });
                    }
                }
            }
            self.note(run, token).await?;
            if !deadline.has_time() {
                return Ok(Left::More);
            }
            for range in next {
                self.spawn(&mut reads, range);
            }
        }
        // What was refused is left: the run is not complete.
        match refused {
            Some(refused) => Err(refused),
            None if run.ranges.is_empty() => Ok(Left::Nothing),
            None => Ok(Left::More),
        }
    }

    fn spawn(&self, reads: &mut JoinSet<Answered>, range: Range) {
        let client = self.client.clone();
        reads.spawn(async move {
            let page = read::page(&client, &range).await;
            (range, page)
        });
    }

    /// Takes in what some pages tell, customer by customer.
    async fn take_in(&self, run: &mut Run, mut facts: Facts) -> Result<(), RunError> {
        for (object, why) in std::mem::take(&mut facts.unreadable) {
            run.counts.fail(&object, why);
        }
        let mut entries = self.take_in_catalog(run, &mut facts).await?;
        self.lead(run, &mut facts).await?;
        facts.sort();
        let known: &Run = run;
        let each = facts
            .customers
            .iter()
            .map(|(customer, facts)| self.take_in_customer(known, customer, facts));
        let taken: Vec<TakenIn> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
        let mut looks = Vec::new();
        for taken in taken {
            entries.extend(taken.entries);
            looks.extend(taken.looks);
            run.counts.committed += taken.committed;
            for (object, why) in taken.failed {
                run.counts.fail(&object, why);
            }
        }
        if !looks.is_empty() {
            self.engine.store.note_looks(run, &looks).await?;
        }
        publish(&self.engine.store, self.publisher, &entries).await?;
        Ok(())
    }

    async fn take_in_catalog(
        &self,
        run: &mut Run,
        facts: &mut Facts,
    ) -> Result<Vec<LedgerEntry>, RunError> {
        let mut entries = Vec::new();
        if run.scope.dry_run {
            return Ok(entries);
        }
        for (key, fact) in std::mem::take(&mut facts.catalog) {
            let origin = self.origin(run, fact.body.id(), std::slice::from_ref(&fact))?;
            match self.engine.process_catalog(&origin, &fact, &key).await {
                Ok(processed) => entries.extend(processed.into_entries()),
                Err(ProcessError::Store(error)) if error.retry => return Err(error.into()),
                Err(error) => run.counts.fail(fact.body.id(), error.to_string()),
            }
        }
        Ok(entries)
    }

    /// Gives what names no customer to the one that its charge leads to.
    async fn lead(&self, run: &mut Run, facts: &mut Facts) -> Result<(), RunError> {
        for fact in std::mem::take(&mut facts.leading) {
            match self.engine.follow(&run.tenant, &fact.body.leads()).await? {
                Some(customer) => {
                    let fact = Fact {
                        customer: Some(customer.clone()),
                        ..fact
                    };
                    facts.customers.entry(customer).or_default().push(fact);
                }
                // A payment without a customer is nobody's.
                None => tracing::info!(object = fact.body.id(), "Nothing leads to a customer"),
            }
        }
        Ok(())
    }

    async fn take_in_customer(
        &self,
        run: &Run,
        customer: &StripeCustomerId,
        facts: &[Fact],
    ) -> TakenIn {
        let mut taken = TakenIn::default();
        for facts in self.parts(run, facts).await {
            let done = match run.job {
                Job::Backfill if !run.scope.dry_run => {
                    self.commit(run, customer, facts, &mut taken).await
                }
                Job::Backfill | Job::Reconcile => {
                    self.compare(run, customer, facts, &mut taken).await
                }
            };
            if let Err(error) = done {
                let error: &dyn std::error::Error = &error;
                tracing::error!(code = "not_taken_in", error, customer = %customer, "A customer's objects could not be taken in");
                let failed = facts.iter().map(|fact| fact.body.id().to_owned());
                taken
                    .failed
                    .extend(failed.map(|id| (id, error.to_string())));
            }
        }
        taken
    }

    /// Facts in parts that fit in one transaction each.
    async fn parts<'f>(&self, run: &Run, facts: &'f [Fact]) -> Vec<&'f [Fact]> {
        let settings = self.engine.store.settings(&run.tenant).await;
        let segments = settings.map_or(0, |settings| settings.segments.iter().count());
        let room = ROOM.saturating_sub(segments).max(1);
        let mut parts = Vec::new();
        let (mut from, mut heavy) = (0, 0);
        for (place, fact) in facts.iter().enumerate() {
            if heavy + weight(fact) > room && place > from {
                parts.extend(facts.get(from..place));
                (from, heavy) = (place, 0);
            }
            heavy += weight(fact);
        }
        parts.extend(facts.get(from..));
        parts
    }

    async fn commit(
        &self,
        run: &Run,
        customer: &StripeCustomerId,
        facts: &[Fact],
        taken: &mut TakenIn,
    ) -> Result<(), ProcessError> {
        let origin = self.origin(run, customer.as_str(), facts)?;
        let processed = self.commit_as(&origin, customer, facts).await?;
        taken.committed += u64::from(processed.done != Done::Unchanged);
        taken.entries.extend(processed.into_entries());
        Ok(())
    }

    async fn commit_as(
        &self,
        origin: &Origin<'_>,
        customer: &StripeCustomerId,
        facts: &[Fact],
    ) -> Result<Processed, ProcessError> {
        let taken = self.engine.process_account(origin, customer, facts).await?;
        self.engine.release_all(origin, taken).await
    }

    /// What differs is noted, to be looked at again; what only was not seen before is taken in.
    async fn compare(
        &self,
        run: &Run,
        customer: &StripeCustomerId,
        facts: &[Fact],
        taken: &mut TakenIn,
    ) -> Result<(), ProcessError> {
        let origin = self.origin(run, customer.as_str(), facts)?;
        let drift = self.difference(&origin, customer, facts).await?;
        let differs = |fact: &&Fact| drift.iter().any(|drift| drift.object == fact.body.id());
        let same: Vec<Fact> = facts
            .iter()
            .filter(|fact| !differs(fact))
            .cloned()
            .collect();
        let objects = drift.iter().map(|drift| look(customer, &drift.object));
        taken.looks.extend(objects.collect::<BTreeSet<_>>());
        if run.scope.dry_run || same.is_empty() {
            return Ok(());
        }
        self.commit(run, customer, &same, taken).await
    }

    /// What taking facts in would change.
    async fn difference(
        &self,
        origin: &Origin<'_>,
        customer: &StripeCustomerId,
        facts: &[Fact],
    ) -> Result<Vec<Drift>, ProcessError> {
        let settings = self.engine.store.settings(origin.tenant).await?;
        let mut attempt = 0;
        loop {
            if let Some(loaded) = self.engine.load(origin.tenant, customer, facts).await? {
                let unpaid = unpaid_upgrades(customer, &loaded.account, facts);
                let plan = self
                    .engine
                    .plan(origin, customer, facts, &settings, loaded)
                    .await?;
                let told = plan.events.contains(&"payment_retries_exhausted");
                let exhausted = if told {
                    exhausted(facts)
                } else {
                    BTreeMap::new()
                };
                let mut drift = classify(customer, &plan.changes, &exhausted);
                drift.extend(unpaid);
                return Ok(drift);
            }
            if !origin.deadline.has_time() {
                return Err(ProcessError::Busy);
            }
            attempt += 1;
            pause(attempt).await;
        }
    }

    /// What no list returned, live subscriptions and customers that were never seen, is asked for by
    /// its id.
    async fn unreturned(
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
    async fn second_look(
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
        for (customer, looks) in customers {
            self.look_again(run, &customer, &looks).await?;
            store.looked(run, &looks).await?;
            done += looks.len();
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
        let mut origin = self.origin(run, customer.as_str(), &facts)?;
        let found = self.difference(&origin, customer, &facts).await;
        let mut drift = found.map_err(store_error)?;
        drift.extend(self.gone(run, customer, &missing).await?);
        for drift in &mut drift {
            drift.outcome = match drift.class {
                _ if run.scope.dry_run => Outcome::DryRun,
                class if class.is_healed() => Outcome::Healed,
                _ => Outcome::Review,
            };
        }
        if run.job == Job::Backfill {
            drift.clear();
            let processed = self.commit_as(&origin, customer, &facts).await;
            let entries = processed.map_err(store_error)?.into_entries();
            publish(&self.engine.store, self.publisher, &entries).await?;
            return Ok(drift);
        }
        if drift.is_empty() {
            run.counts.in_flight += u64::try_from(looks.len()).unwrap_or(0);
            return Ok(drift);
        }
        // Noted first: whoever dies in between finds it noted, and nothing left to heal.
        self.engine.store.note_drift(run, &drift).await?;
        if run.scope.dry_run {
            return Ok(drift);
        }
        origin.told = drift.iter().flat_map(|drift| drift.told(&run.id)).collect();
        let processed = self.commit_as(&origin, customer, &facts).await;
        let entries = processed.map_err(store_error)?.into_entries();
        run.counts.committed += 1;
        publish(&self.engine.store, self.publisher, &entries).await?;
        Ok(drift)
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
        Ok(live
            .map(|subscription| Drift::missing(customer, subscription))
            .collect())
    }

    fn origin<'r>(
        &self,
        run: &'r Run,
        about: &str,
        facts: &[Fact],
    ) -> Result<Origin<'r>, StoreError> {
        let mut hasher = Xxh3::new();
        for fact in facts {
            hasher.update(fact.body.id().as_bytes());
            hasher.update(&fact.content.to_le_bytes());
        }
        let name = format!("{}:{about}:{:016x}", run.id, hasher.digest());
        let at = facts.iter().map(|fact| fact.at).max();
        Ok(Origin {
            tenant: &run.tenant,
            cause: Cause::parse(name).map_err(no_cause)?,
            event_type: run.job.as_str().to_owned(),
            at: at.unwrap_or_else(|| self.engine.clock.now()),
            source: run.job.source(),
            is_message: false,
            told: Vec::new(),
            deadline: Deadline::after(PATIENCE),
        })
    }
}

fn origin_of(run: &Run) -> Result<(Cause, Source), StoreError> {
    let cause = Cause::parse(run.id.clone()).map_err(no_cause)?;
    Ok((cause, run.job.source()))
}

fn no_cause(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError {
        context: "a run's name is no part of a cause".to_owned(),
        retry: false,
        source: Some(Box::new(error)),
    }
}

fn store_error(error: ProcessError) -> RunError {
    let retry = error.is_retryable();
    match error {
        ProcessError::Store(error) => error.into(),
        other => RunError::Store(StoreError {
            context: "a customer could not be compared".to_owned(),
            retry,
            source: Some(Box::new(other)),
        }),
    }
}

/// What to ask for because of an object: itself, or the customer that it comes with.
fn look(customer: &StripeCustomerId, object: &str) -> Look {
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

/// The live subscriptions among some facts.
fn live(facts: &Facts) -> impl Iterator<Item = String> {
    let facts = facts.customers.values().flatten();
    facts.filter_map(|fact| match &fact.body {
        Body::Subscription(subscription) if subscription.status.is_live() => {
            Some(subscription.id.to_string())
        }
        _ => None,
    })
}

/// Moves a range on by a page, and cuts it in two where there is room for another. Gives what is to
/// be read next.
fn advance(run: &mut Run, range: &Range, page: &Page) -> Vec<Range> {
    let Some(place) = run.ranges.iter().position(|known| known == range) else {
        return Vec::new();
    };
    let last = read::last(page).filter(|_| page.has_more);
    let Some((id, read_to)) = last else {
        run.ranges.remove(place);
        return Vec::new();
    };
    let mut rest = Range {
        after: Some(id),
        ..range.clone()
    };
    let same = run.ranges.iter().filter(|other| other.kind == range.kind);
    let older = (same.count() < PARALLEL)
        .then(|| rest.cut(read_to))
        .flatten();
    if let Some(known) = run.ranges.get_mut(place) {
        *known = rest.clone();
    }
    run.ranges.extend(older.clone());
    std::iter::once(rest).chain(older).collect()
}
