//! Takes facts in, customer by customer: commits them, or says what they would change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use paygraph_domain::account::{CatalogKey, ObjectKey};
use paygraph_domain::apply::ObjectChange;
use paygraph_domain::fact::{Fact, Source};
use paygraph_domain::id::{Cause, StripeCustomerId};
use xxhash_rust::xxh3::Xxh3;

use super::drift::{Drift, classify, exhausted, unpaid_upgrades};
use super::errors::{full, no_cause, store_error};
use super::look::Look;
use super::read::{Facts, weight};
use super::runner::{AT_ONCE, RunError, Runner};
use super::state::{Failure, Job, Run};
use crate::backoff::{Deadline, pause};
use crate::fetch::Fetch;
use crate::ports::{Clock, LedgerEntry, Publisher, Runs, Store, StoreError};
use crate::process::{Done, Origin, ProcessError, Processed};
use crate::publish::publish;

/// How long a customer that others keep changing is tried.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often an entry of the catalog is tried while the contacts that wait for it are computed.
const CATALOG_ATTEMPTS: usize = 20;
/// The most writes that the facts of one commit may need, in a transaction of a hundred.
const ROOM: usize = 90;

/// What became of one customer's facts.
#[derive(Default)]
struct TakenIn {
    entries: Vec<LedgerEntry>,
    looks: Vec<Look>,
    committed: u64,
    failed: Vec<Failure>,
    /// Why it has to be tried again.
    again: Option<ProcessError>,
}

/// What taking facts in would change.
pub(super) struct Difference {
    pub drift: Vec<Drift>,
    /// The ids of the facts that say otherwise.
    pub differing: BTreeSet<String>,
    /// How often the object of each fact had been written, by the fact's id.
    pub revs: BTreeMap<String, u64>,
}

impl TakenIn {
    /// Notes facts whose commit the store refuses.
    fn set_aside(&mut self, facts: &[Fact], error: &ProcessError) {
        let reason = full(error);
        self.failed.extend(facts.iter().map(|fact| Failure {
            object: fact.body.id().to_owned(),
            reason: reason.clone(),
        }));
    }
}

impl<S: Store + Runs, C: Clock, F: Fetch, P: Publisher> Runner<'_, S, C, F, P> {
    /// Takes in what some pages tell, customer by customer.
    pub(super) async fn take_in(&self, run: &mut Run, mut facts: Facts) -> Result<(), RunError> {
        let unreadable = std::mem::take(&mut facts.unreadable).into_iter();
        let unreadable = unreadable.map(|(object, reason)| Failure { object, reason });
        self.set_aside(run, &unreadable.collect::<Vec<_>>()).await?;
        let mut entries = self.take_in_catalog(run, &mut facts).await?;
        self.lead(run, &mut facts).await?;
        facts.sort();
        let known: &Run = run;
        let each = facts
            .customers
            .iter()
            .map(|(customer, facts)| self.take_in_customer(known, customer, facts));
        let taken: Vec<TakenIn> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
        let (mut looks, mut failed, mut again) = (Vec::new(), Vec::new(), None);
        for taken in taken {
            entries.extend(taken.entries);
            looks.extend(taken.looks);
            again = again.or(taken.again);
            run.counts.committed += taken.committed;
            failed.extend(taken.failed);
        }
        self.set_aside(run, &failed).await?;
        if !looks.is_empty() {
            self.engine.store.note_looks(run, &looks).await?;
        }
        publish(&self.engine.store, self.publisher, &entries).await?;
        again.map_or(Ok(()), |error| Err(store_error(error)))
    }

    pub(super) async fn take_in_catalog(
        &self,
        run: &mut Run,
        facts: &mut Facts,
    ) -> Result<Vec<LedgerEntry>, RunError> {
        let (mut entries, mut failed) = (Vec::new(), Vec::new());
        if run.scope.dry_run {
            return Ok(entries);
        }
        for (key, fact) in std::mem::take(&mut facts.catalog) {
            match self.take_in_entry(run, &fact, &key).await {
                Ok(processed) => entries.extend(processed.into_entries()),
                Err(ProcessError::Store(error)) if error.retry => return Err(error.into()),
                Err(error) => failed.push(Failure {
                    object: fact.body.id().to_owned(),
                    reason: full(&error),
                }),
            }
        }
        self.set_aside(run, &failed).await?;
        Ok(entries)
    }

    /// Takes an entry of the catalog in. Each attempt computes some of the contacts that wait for it.
    async fn take_in_entry(
        &self,
        run: &Run,
        fact: &Fact,
        key: &CatalogKey,
    ) -> Result<Processed, ProcessError> {
        let mut attempt = 0;
        loop {
            let origin = self.origin(run, fact.body.id(), std::slice::from_ref(fact))?;
            match self.engine.process_catalog(&origin, fact, key).await {
                Err(ProcessError::Busy) if attempt < CATALOG_ATTEMPTS => attempt += 1,
                done => return done,
            }
        }
    }

    /// Gives what names no customer to the one that its charge leads to.
    pub(super) async fn lead(&self, run: &mut Run, facts: &mut Facts) -> Result<(), RunError> {
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
        let parts = match self.parts(run, facts).await {
            Ok(parts) => parts,
            Err(error) => {
                taken.again = Some(error.into());
                return taken;
            }
        };
        for facts in parts {
            let done = match run.job {
                Job::Backfill if !run.scope.dry_run => {
                    self.commit(run, customer, facts, &mut taken).await
                }
                Job::Backfill | Job::Reconcile => {
                    self.compare(run, customer, facts, &mut taken).await
                }
            };
            match done {
                Ok(()) => {}
                // Its objects are asked for again at the end, when others may have left it alone.
                Err(ProcessError::Busy) => {
                    let looks = facts.iter().map(|fact| Look {
                        unlisted: true,
                        ..Look::at(customer, fact, None)
                    });
                    taken.looks.extend(looks);
                }
                Err(error) if error.is_retryable() => {
                    taken.again = Some(error);
                    return taken;
                }
                Err(error) => taken.set_aside(facts, &error),
            }
        }
        taken
    }

    /// Facts in parts that fit in one transaction each.
    async fn parts<'f>(&self, run: &Run, facts: &'f [Fact]) -> Result<Vec<&'f [Fact]>, StoreError> {
        let settings = self.engine.store.settings(&run.tenant).await?;
        let room = ROOM.saturating_sub(settings.segments.iter().count()).max(1);
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
        Ok(parts)
    }

    async fn commit(
        &self,
        run: &Run,
        customer: &StripeCustomerId,
        facts: &[Fact],
        taken: &mut TakenIn,
    ) -> Result<(), ProcessError> {
        // A batch that the store refuses is halved, down to the facts that it refuses by themselves.
        let mut batches = vec![facts];
        while let Some(facts) = batches.pop() {
            let origin = self.origin(run, customer.as_str(), facts)?;
            match self.commit_as(&origin, customer, facts).await {
                Ok(processed) => {
                    taken.committed += u64::from(processed.done != Done::Unchanged);
                    taken.entries.extend(processed.into_entries());
                }
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) if facts.len() <= 1 => taken.set_aside(facts, &error),
                Err(_) => {
                    let (first, second) = facts.split_at(facts.len() / 2);
                    batches.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn commit_as(
        &self,
        origin: &Origin<'_>,
        customer: &StripeCustomerId,
        facts: &[Fact],
    ) -> Result<Processed, ProcessError> {
        let taken = self.engine.process_account(origin, customer, facts).await?;
        self.engine.release_all(origin, taken, &[]).await
    }

    /// Notes the facts that differ, for the second look. Commits the other facts: they only confirm
    /// the stored objects.
    async fn compare(
        &self,
        run: &Run,
        customer: &StripeCustomerId,
        facts: &[Fact],
        taken: &mut TakenIn,
    ) -> Result<(), ProcessError> {
        let origin = self.origin(run, customer.as_str(), facts)?;
        let Difference {
            drift,
            differing,
            revs,
        } = self.difference(&origin, customer, facts).await?;
        let noted = |fact: &&Fact| drift.iter().any(|drift| drift.object == fact.body.id());
        let (differs, same): (Vec<_>, Vec<_>) = facts
            .iter()
            .partition(|fact| differing.contains(fact.body.id()));
        let again = differs
            .into_iter()
            .chain(same.iter().copied().filter(noted));
        let looks = again.map(|fact| {
            let rev = revs.get(fact.body.id()).copied();
            Look::at(customer, fact, rev)
        });
        taken.looks.extend(looks.collect::<BTreeSet<_>>());
        let same: Vec<Fact> = same.into_iter().cloned().collect();
        if run.scope.dry_run || same.is_empty() {
            return Ok(());
        }
        self.commit(run, customer, &same, taken).await
    }

    /// What taking facts in would change.
    pub(super) async fn difference(
        &self,
        origin: &Origin<'_>,
        customer: &StripeCustomerId,
        facts: &[Fact],
    ) -> Result<Difference, ProcessError> {
        let settings = self.engine.store.settings(origin.tenant).await?;
        let mut attempt = 0;
        loop {
            if let Some(loaded) = self.engine.load(origin.tenant, customer, facts).await? {
                let unpaid = unpaid_upgrades(customer, &loaded.account, facts);
                let revs = facts.iter().map(|fact| {
                    let rev = loaded.rev(&fact.body).unwrap_or(0);
                    (fact.body.id().to_owned(), rev)
                });
                let revs = revs.collect();
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
                // An import knows only the default payment methods: another one is no difference,
                // and is committed without a word.
                let is_new_method = |change: &ObjectChange| {
                    matches!(change.key, ObjectKey::PaymentMethod(_)) && !change.was_known
                };
                let (new, changes): (Vec<_>, Vec<_>) =
                    plan.changes.into_iter().partition(is_new_method);
                let mut differing = plan.changing;
                differing.retain(|id| !new.iter().any(|change| change.id(customer) == id));
                let mut drift = classify(customer, &changes, &exhausted);
                drift.extend(unpaid);
                return Ok(Difference {
                    drift,
                    differing,
                    revs,
                });
            }
            if !origin.deadline.has_time() {
                return Err(ProcessError::Busy);
            }
            attempt += 1;
            pause(attempt).await;
        }
    }

    pub(super) fn origin<'r>(
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
        let part = format!("{about}:{:016x}", hasher.digest());
        let run_cause = Cause::parse(run.id.as_str()).map_err(no_cause)?;
        let at = facts.iter().map(|fact| fact.at).max();
        Ok(Origin {
            tenant: &run.tenant,
            cause: run_cause.part(&part),
            event_type: run.job.as_str().to_owned(),
            at: at.unwrap_or_else(|| self.engine.clock.now()),
            source: run.job.source(),
            is_message: false,
            told: Vec::new(),
            deadline: Deadline::after(PATIENCE),
        })
    }
}

pub(super) fn origin_of(run: &Run) -> Result<(Cause, Source), StoreError> {
    let cause = Cause::parse(run.id.clone()).map_err(no_cause)?;
    Ok((cause, run.job.source()))
}
