//! Notes what has to be asked for by its id: the object that a run is about, or what no list
//! returned.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream;
use paygraph_domain::id::{CustomerId, StripeCustomerId, StripeId};
use paygraph_domain::rollup::BillingStatus;
use paygraph_stripe::client::ClientError;

use super::kind::Kind;
use super::read::{self, Facts};
use super::runner::{AT_ONCE, Left, RunError, Runner};
use super::state::{Job, Look, Range, Run};
use super::take_in::origin_of;
use crate::backoff::Deadline;
use crate::fetch::Fetch;
use crate::ports::{Clock, Publisher, Runs, Store, StoreError};
use crate::publish::publish;

/// What is taken over with a customer.
const OF_CUSTOMERS: [Kind; 5] = [
    Kind::Subscriptions,
    Kind::Schedules,
    Kind::CheckoutSessions,
    Kind::Charges,
    Kind::Invoices,
];

/// How many contacts are gone through between two notes.
const TOGETHER: usize = 400;
/// So often the lease is kept while lists are read: it lasts three times as long.
const KEEP_LEASE: Duration = Duration::from_secs(30);
/// Of more customers the list is not read twice: a deleted one, whose event never came, is then found
/// by its subscription.
const MOST_CUSTOMERS: u64 = 100_000;

/// What lists returned, by kind; no kind that was not listed.
struct Returned(HashMap<Kind, HashSet<String>>);

impl Returned {
    /// Whether the list of its kind was read, and did not have it.
    fn lacks(&self, kind: Kind, id: &str) -> bool {
        self.0.get(&kind).is_some_and(|ids| !ids.contains(id))
    }
}

impl<S: Store + Runs, C: Clock, F: Fetch, P: Publisher> Runner<'_, S, C, F, P> {
    /// Notes what has to be asked for by its id.
    pub(super) async fn by_id(
        &self,
        run: &mut Run,
        token: u64,
        deadline: Deadline,
    ) -> Result<Left, RunError> {
        let Some(object) = run.scope.object.clone() else {
            return self.unreturned(run, token, deadline).await;
        };
        let looks = self.named(run, &object).await?;
        self.engine.store.note_looks(run, &looks).await?;
        Ok(Left::Nothing)
    }

    /// An object, or a customer and all that belongs to it.
    async fn named(&self, run: &mut Run, id: &str) -> Result<Vec<Look>, RunError> {
        let refused = |source| RunError::Stripe {
            what: format!("asking for {id}"),
            source,
        };
        let (cause, source) = origin_of(run)?;
        let Some(kind) = Kind::of(id) else {
            run.counts
                .fail(id, "no kind of object has such ids".to_owned());
            return Ok(Vec::new());
        };
        let found = match read::object(&self.client, kind, id).await {
            Ok(found) => found,
            Err(ClientError::Missing(_)) => {
                run.counts.fail(id, "Stripe does not have it".to_owned());
                return Ok(Vec::new());
            }
            Err(error) => return Err(refused(error)),
        };
        run.counts.read(kind, 1);
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
        let mut looks = vec![Look::new(&customer, kind, id)];
        if kind == Kind::Customers {
            for kind in OF_CUSTOMERS {
                let ids = read::ids_of(&self.client, kind, &customer).await;
                let ids = ids.map_err(refused)?;
                run.counts.read(kind, ids.len());
                looks.extend(ids.iter().map(|id| Look::new(&customer, kind, id)));
            }
        }
        Ok(looks)
    }

    /// What is live or open here and which no list returned: some contacts at a time.
    async fn unreturned(
        &self,
        run: &mut Run,
        token: u64,
        deadline: Deadline,
    ) -> Result<Left, RunError> {
        let returned = self.returned(run, token).await?;
        let mut everyone = self.engine.store.everyone(&run.tenant).await?;
        everyone.retain(|id| run.passed.as_ref() < Some(id));
        for some in everyone.chunks(TOGETHER) {
            let each = some.iter().map(|id| self.unreturned_of(run, id, &returned));
            let mut found = stream::iter(each).buffer_unordered(AT_ONCE);
            let mut looks = Vec::new();
            while let Some(some) = found.next().await {
                looks.extend(some?);
            }
            drop(found);
            self.engine.store.note_looks(run, &looks).await?;
            run.passed = some.last().cloned();
            self.note(run, token).await?;
            if !deadline.has_time() {
                return Ok(Left::More);
            }
        }
        run.passed = None;
        Ok(Left::Nothing)
    }

    /// Lists again what Stripe takes for live or open, and keeps the lease meanwhile.
    async fn returned(&self, run: &mut Run, token: u64) -> Result<Returned, RunError> {
        let mut lists = Vec::new();
        if run.job == Job::Reconcile {
            lists.push((Kind::Subscriptions, None));
            lists.push((Kind::Invoices, Some("open")));
            let customers = run.counts.objects.get(&Kind::Customers);
            let all = !run.scope.recent && run.scope.since.is_none();
            if all && customers.is_some_and(|read| *read <= MOST_CUSTOMERS) {
                lists.push((Kind::Customers, None));
            }
        }
        lists.retain(|(kind, _)| run.scope.wants(*kind));
        let before = self.engine.clock.now().plus(1);
        let read = lists.into_iter().map(|(kind, status)| async move {
            let parts = Range::parts(kind, status, before);
            let parts = parts.iter().map(|part| read::ids_in(&self.client, part));
            let ids = try_join_all(parts)
                .await
                .map_err(|source| RunError::Stripe {
                    what: format!("listing {}", kind.name()),
                    source,
                })?;
            Ok::<_, RunError>((kind, ids.into_iter().flatten().collect()))
        });
        let mut read = std::pin::pin!(try_join_all(read));
        loop {
            tokio::select! {
                read = &mut read => return Ok(Returned(read?.into_iter().collect())),
                () = tokio::time::sleep(KEEP_LEASE) => self.note(run, token).await?,
            }
        }
    }

    async fn unreturned_of(
        &self,
        run: &Run,
        contact: &CustomerId,
        returned: &Returned,
    ) -> Result<Vec<Look>, StoreError> {
        let mut looks = Vec::new();
        let contact = self.engine.store.contact(&run.tenant, contact).await?;
        for (customer, rollup) in contact.iter().flat_map(|contact| &contact.accounts) {
            let live = if rollup.status == BillingStatus::None {
                Vec::new()
            } else {
                self.live(run, customer).await?
            };
            let live = live.iter();
            let left: Vec<_> = live
                .filter(|id| returned.lacks(Kind::Subscriptions, id))
                .collect();
            looks.extend(
                left.iter()
                    .map(|id| Look::new(customer, Kind::Subscriptions, id)),
            );
            let failing = rollup.totals.failing.keys().map(StripeId::as_str);
            let failing = failing.filter(|id| returned.lacks(Kind::Invoices, id));
            looks.extend(failing.map(|id| Look::new(customer, Kind::Invoices, id)));
            let id = customer.as_str();
            if customer.is_account() {
                // No list of customers has it, and there is no customer object to ask for.
            } else if returned.lacks(Kind::Customers, id) && !rollup.deleted {
                looks.push(Look::new(customer, Kind::Customers, id));
            } else if run.scope.wants(Kind::Customers) && (!rollup.seen || !left.is_empty()) {
                // Of a deleted customer no list tells, and what it had has ended with it.
                looks.push(Look::unlisted(customer, Kind::Customers, id));
            }
            if run.job == Job::Reconcile && run.scope.recent && run.scope.wants(Kind::Disputes) {
                let open = rollup.risk.disputes.keys().map(StripeId::as_str);
                looks.extend(open.map(|id| Look::unlisted(customer, Kind::Disputes, id)));
            }
        }
        Ok(looks)
    }

    /// A customer's subscriptions that are live here.
    async fn live(
        &self,
        run: &Run,
        customer: &StripeCustomerId,
    ) -> Result<Vec<String>, StoreError> {
        let account = self.engine.store.account(&run.tenant, customer).await?;
        let held = account.subscriptions.values();
        let live = held.filter_map(|held| {
            let subscription = held.value.subscription.get();
            let is_live = subscription.status.is_live();
            is_live.then(|| subscription.id.to_string())
        });
        Ok(live.collect())
    }
}
