//! Notes the objects that a run asks for by their ids: the one that it is about, or all that no list
//! returned.

use std::collections::HashSet;

use futures::StreamExt as _;
use futures::stream;
use paygraph_domain::account::Account;
use paygraph_domain::id::{CustomerId, StripeId};
use paygraph_domain::rollup::BillingStatus;
use paygraph_domain::time::Timestamp;
use paygraph_stripe::client::ClientError;

use super::kind::Kind;
use super::look::Look;
use super::read::{self, Facts};
use super::runner::{AT_ONCE, Left, RunError, Runner};
use super::state::{Failure, Job, Run};
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
/// The most payment methods of a customer that are asked for by their ids.
const MAX_METHODS: usize = 10;

/// The ids that a comparison's lists returned, by their hashes.
struct Returned {
    ids: HashSet<u64>,
    /// The kinds of which every live or open object was listed; none in an import.
    kinds: Vec<Kind>,
}

impl Returned {
    /// Whether the list of its kind was read, and did not have it.
    fn lacks(&self, kind: Kind, id: &str) -> bool {
        self.kinds.contains(&kind) && !self.ids.contains(&read::hash(id))
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
            let reason = "no kind of object has such ids";
            return self.nothing_named(run, id, reason).await;
        };
        let found = match read::object(&self.client, kind, id).await {
            Ok(found) => found,
            Err(ClientError::Missing(_)) => {
                return self.nothing_named(run, id, "Stripe does not have it").await;
            }
            Err(error) => return Err(refused(error)),
        };
        run.counts.read(kind, 1);
        let mut facts = Facts::default();
        if let Ok(object) = serde_json::from_str(&found.value) {
            let interval = (found.since, found.until);
            facts.add(kind, object, interval, None, (&cause, source));
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

    async fn nothing_named(
        &self,
        run: &mut Run,
        object: &str,
        reason: &str,
    ) -> Result<Vec<Look>, RunError> {
        let (object, reason) = (object.to_owned(), reason.to_owned());
        self.set_aside(run, &[Failure { object, reason }]).await?;
        Ok(Vec::new())
    }

    /// What is live or open here and which no list returned: some contacts at a time.
    async fn unreturned(
        &self,
        run: &mut Run,
        token: u64,
        deadline: Deadline,
    ) -> Result<Left, RunError> {
        let returned = Returned {
            ids: self.engine.store.returned(run).await?.into_iter().collect(),
            kinds: listed_whole(run),
        };
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
            (run.passed, run.stalled_since) = (some.last().cloned(), None);
            self.note(run, token).await?;
            if !deadline.has_time() {
                return Ok(Left::More);
            }
        }
        run.passed = None;
        Ok(Left::Nothing)
    }

    async fn unreturned_of(
        &self,
        run: &Run,
        contact: &CustomerId,
        returned: &Returned,
    ) -> Result<Vec<Look>, StoreError> {
        let mut looks = Vec::new();
        let contact = self.engine.store.contact(&run.tenant, contact).await?;
        let accounts = contact.iter().flat_map(|contact| &contact.accounts);
        // Stripe has no customer for a guest.
        for (customer, rollup) in accounts.filter(|(customer, _)| !customer.is_guest()) {
            let look = |kind, id: &str| Look::new(customer, kind, id);
            let unlisted = |kind, id: &str| Look::unlisted(customer, kind, id);
            let mut left = Vec::new();
            if rollup.status != BillingStatus::None || rollup.payment_method.on_file {
                let account = self.engine.store.account(&run.tenant, customer).await?;
                left = live(&account);
                left.retain(|(id, _)| returned.lacks(Kind::Subscriptions, id));
                if run.job == Job::Reconcile && run.scope.wants(Kind::PaymentMethods) {
                    let methods = deciding_methods(&account);
                    looks.extend(methods.map(|id| unlisted(Kind::PaymentMethods, id.as_str())));
                }
            }
            for (id, created) in &left {
                // What was made during the run need not be in a list that was read before.
                looks.push(match *created >= run.started_at {
                    true => unlisted(Kind::Subscriptions, id),
                    false => look(Kind::Subscriptions, id),
                });
            }
            let open = rollup.totals.open.keys().map(StripeId::as_str);
            let open = open.filter(|id| returned.lacks(Kind::Invoices, id));
            looks.extend(open.map(|id| unlisted(Kind::Invoices, id)));
            let id = customer.as_str();
            if customer.is_account() {
                // No list of customers has it, and there is no customer object to ask for.
            } else if returned.lacks(Kind::Customers, id) && !rollup.deleted {
                let is_new = rollup
                    .created
                    .is_none_or(|created| created >= run.started_at);
                looks.push(match is_new {
                    true => unlisted(Kind::Customers, id),
                    false => look(Kind::Customers, id),
                });
            } else if run.scope.wants(Kind::Customers) && (!rollup.seen || !left.is_empty()) {
                // Of a deleted customer no list tells, and what it had has ended with it.
                looks.push(unlisted(Kind::Customers, id));
            }
            if run.job == Job::Reconcile && run.scope.recent && run.scope.wants(Kind::Disputes) {
                let open = rollup.risk.disputes.keys().map(StripeId::as_str);
                looks.extend(open.map(|id| unlisted(Kind::Disputes, id)));
            }
        }
        Ok(looks)
    }
}

/// The kinds of which a comparison lists everything that is live or open.
fn listed_whole(run: &Run) -> Vec<Kind> {
    let mut kinds = Vec::new();
    if run.job == Job::Reconcile && run.scope.since.is_none() {
        kinds.extend([Kind::Subscriptions, Kind::Invoices]);
        if !run.scope.recent {
            kinds.push(Kind::Customers);
        }
    }
    kinds.retain(|kind| run.scope.wants(*kind));
    kinds
}

/// A customer's subscriptions that are live here, with the instants at which they were made.
fn live(account: &Account) -> Vec<(String, Timestamp)> {
    let held = account.subscriptions.values();
    let live = held.filter_map(|held| {
        let subscription = held.value.subscription.get();
        let named = (subscription.id.to_string(), subscription.created);
        subscription.status.is_live().then_some(named)
    });
    live.collect()
}

/// The payment methods that decide whether one is on file, and that no list returns: the customer
/// has no default one that is attached.
pub(super) fn deciding_methods(account: &Account) -> impl Iterator<Item = &StripeId> {
    let customer = account.customer.as_ref().map(|held| held.value.get());
    let default = customer.and_then(|customer| customer.default_payment_method.get().as_ref());
    let attached = account.payment_methods.iter();
    let attached = attached.filter(|(_, held)| held.value.get().attached);
    // An old card or source is no payment method, and comes with its customer.
    let attached = attached.map(|(id, _)| id);
    let attached: Vec<_> = attached.filter(|id| is_method(id.as_str())).collect();
    let is_decided = default.is_some_and(|default| attached.contains(&default));
    let asked = attached.into_iter().filter(move |_| !is_decided);
    asked.take(MAX_METHODS)
}

/// Whether an id is that of a payment method, and not of an old card or source.
pub(super) fn is_method(id: &str) -> bool {
    id.starts_with(Kind::PaymentMethods.prefix())
}
