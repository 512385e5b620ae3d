//! Notes what has to be asked for by its id: the object that a run is about, or what no list
//! returned.

use std::collections::HashSet;

use futures::StreamExt as _;
use futures::stream;
use paygraph_domain::id::{CustomerId, StripeCustomerId};
use paygraph_domain::rollup::BillingStatus;
use paygraph_stripe::client::ClientError;

use super::kind::Kind;
use super::read::{self, Facts};
use super::runner::{AT_ONCE, Left, RunError, Runner};
use super::state::{Job, Look, Run};
use super::take_in::origin_of;
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

impl<S: Store + Runs, C: Clock, F: Fetch, P: Publisher> Runner<'_, S, C, F, P> {
    /// Notes what has to be asked for by its id.
    pub(super) async fn by_id(&self, run: &mut Run) -> Result<Left, RunError> {
        let looks = match run.scope.object.clone() {
            Some(object) => self.named(run, &object).await?,
            None => self.unreturned(run).await?,
        };
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
                let ids = read::ids_of(&self.client, kind, Some(&customer)).await;
                let ids = ids.map_err(refused)?;
                run.counts.read(kind, ids.len());
                looks.extend(ids.iter().map(|id| Look::new(&customer, kind, id)));
            }
        }
        Ok(looks)
    }

    /// Live subscriptions, and customers that were never seen, which no list returned.
    async fn unreturned(&self, run: &Run) -> Result<Vec<Look>, RunError> {
        let returned = match run.job {
            Job::Reconcile if run.scope.wants(Kind::Subscriptions) => {
                let ids = read::ids_of(&self.client, Kind::Subscriptions, None).await;
                let ids = ids.map_err(|source| RunError::Stripe {
                    what: "listing live subscriptions".to_owned(),
                    source,
                })?;
                Some(ids.into_iter().collect())
            }
            Job::Reconcile | Job::Backfill => None,
        };
        let everyone = self.engine.store.everyone(&run.tenant).await?;
        let each = everyone
            .iter()
            .map(|id| self.unreturned_of(run, id, returned.as_ref()));
        let mut found = stream::iter(each).buffer_unordered(AT_ONCE);
        let mut looks = Vec::new();
        while let Some(some) = found.next().await {
            looks.extend(some?);
        }
        Ok(looks)
    }

    async fn unreturned_of(
        &self,
        run: &Run,
        contact: &CustomerId,
        returned: Option<&HashSet<String>>,
    ) -> Result<Vec<Look>, StoreError> {
        let mut looks = Vec::new();
        let contact = self.engine.store.contact(&run.tenant, contact).await?;
        for (customer, rollup) in contact.iter().flat_map(|contact| &contact.accounts) {
            // Of a deleted customer no list tells.
            if run.scope.wants(Kind::Customers) && !rollup.seen {
                looks.push(Look::new(customer, Kind::Customers, customer.as_str()));
            }
            if let Some(returned) = returned
                && rollup.status != BillingStatus::None
            {
                let live = self.live(run, customer).await?;
                let left = live.iter().filter(|id| !returned.contains(*id));
                looks.extend(left.map(|id| Look::new(customer, Kind::Subscriptions, id)));
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
