//! Reads the payment methods of customers with a live subscription.
//!
//! Stripe lists payment methods by customer only, so each customer costs one request. The stage uses
//! a fifth of the budget. A comparison of recent objects asks for a seventh of the customers each
//! day, so that each customer's turn comes once a week; a whole comparison asks for all of them. An
//! import asks for the customers of whom the lists told no payment method.

use futures::StreamExt as _;
use futures::stream;
use paygraph_domain::id::{CustomerId, StripeCustomerId};
use paygraph_stripe::client::{Client, Page, Received};

use super::by_id::{deciding_methods, is_method};
use super::kind::Kind;
use super::look::Look;
use super::read::{self, Facts};
use super::runner::{AT_ONCE, Left, RunError, Runner};
use super::state::{Job, MethodOwner, MethodReads, Run};
use super::take_in::origin_of;
use crate::backoff::Deadline;
use crate::fetch::Fetch;
use crate::ports::{Clock, Publisher, Runs, Store, StoreError};

/// How many contacts are gone through between two notes.
const TOGETHER: usize = 50;
/// The stage uses this part of the budget.
const PART: u32 = 5;
/// How many days a rotation takes.
const DAYS: i64 = 7;
const DAY: i64 = 86_400;

impl<S: Store + Runs, C: Clock, F: Fetch, P: Publisher> Runner<'_, S, C, F, P> {
    /// Lists the payment methods of customers with a live subscription, and takes them in or compares
    /// them with ours. A method of ours that Stripe does not list is asked for by its id.
    pub(super) async fn read_methods(
        &self,
        run: &mut Run,
        token: u64,
        deadline: Deadline,
    ) -> Result<Left, RunError> {
        if !wants_methods(run) {
            return Ok(Left::Nothing);
        }
        let client = self.client.with_part_of_budget(PART);
        if let Some(reads) = run.method_reads.clone() {
            self.finish_reads(run, token, &client, reads).await?;
            if !deadline.has_time() {
                return Ok(Left::More);
            }
        }
        let mut everyone = self.engine.store.everyone(&run.tenant).await?;
        everyone.retain(|id| run.passed.as_ref() < Some(id));
        for some in everyone.chunks(TOGETHER) {
            let each = some.iter().map(|id| self.customers_in_turn(run, id));
            let found: Vec<_> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
            let mut customers = Vec::new();
            for some in found {
                customers.extend(some?);
            }
            let Some(last) = some.last().cloned() else {
                break;
            };
            let reads = MethodReads { customers, last };
            if run.job == Job::Backfill && !reads.customers.is_empty() {
                run.method_reads = Some(reads.clone());
                self.note(run, token).await?;
            }
            self.finish_reads(run, token, &client, reads).await?;
            if !deadline.has_time() {
                return Ok(Left::More);
            }
        }
        run.passed = None;
        Ok(Left::Nothing)
    }

    /// Reads the methods of some contacts, and notes that they are done.
    async fn finish_reads(
        &self,
        run: &mut Run,
        token: u64,
        client: &Client,
        reads: MethodReads,
    ) -> Result<(), RunError> {
        let MethodReads { customers, last } = reads;
        self.read_methods_of(run, client, customers).await?;
        (run.passed, run.stalled_since, run.method_reads) = (Some(last), None, None);
        self.note(run, token).await
    }

    /// The Stripe customers of a contact that have a live subscription, and whose turn it is.
    async fn customers_in_turn(
        &self,
        run: &Run,
        contact: &CustomerId,
    ) -> Result<Vec<MethodOwner>, StoreError> {
        let store = &self.engine.store;
        let Some(contact) = store.contact(&run.tenant, contact).await? else {
            return Ok(Vec::new());
        };
        let mut customers = Vec::new();
        for (id, rollup) in &contact.accounts {
            let is_known = run.job == Job::Backfill && rollup.payment_method.on_file;
            if rollup.deleted || id.is_account() || is_known || !is_in_turn(run, id) {
                continue;
            }
            customers.extend(self.subscriber(run, id).await?);
        }
        Ok(customers)
    }

    /// A Stripe customer, if it has a live subscription.
    async fn subscriber(
        &self,
        run: &Run,
        id: &StripeCustomerId,
    ) -> Result<Option<MethodOwner>, StoreError> {
        let account = self.engine.store.account(&run.tenant, id).await?;
        let mut held = account.subscriptions.values();
        if !held.any(|held| held.value.subscription.get().status.is_live()) {
            return Ok(None);
        }
        let methods = account.payment_methods.iter();
        let attached = methods.filter(|(_, held)| held.value.get().attached);
        let attached = attached.map(|(id, _)| id.to_string());
        Ok(Some(MethodOwner {
            id: id.clone(),
            attached: attached.filter(|id| is_method(id)).collect(),
        }))
    }

    /// Reads the methods of a customer that the second look has just compared, since this stage may
    /// not have known its live subscription. Without a live subscription, it asks by their ids for the
    /// methods that decide whether one is on file.
    pub(super) async fn read_methods_of_customer(
        &self,
        run: &mut Run,
        id: &StripeCustomerId,
    ) -> Result<(), RunError> {
        if run.job != Job::Reconcile || !wants_methods(run) || id.is_account() {
            return Ok(());
        }
        if let Some(customer) = self.subscriber(run, id).await? {
            let client = self.client.with_part_of_budget(PART);
            return self.read_methods_of(run, &client, vec![customer]).await;
        }
        let store = &self.engine.store;
        let account = store.account(&run.tenant, id).await?;
        let looks: Vec<_> = deciding_methods(&account)
            .map(|method| Look::unlisted(id, Kind::PaymentMethods, method.as_str()))
            .collect();
        Ok(store.note_looks(run, &looks).await?)
    }

    async fn read_methods_of(
        &self,
        run: &mut Run,
        client: &Client,
        customers: Vec<MethodOwner>,
    ) -> Result<(), RunError> {
        let (cause, source) = origin_of(run)?;
        let (mut facts, mut looks) = (Facts::default(), Vec::new());
        let each = customers.into_iter().map(|customer| async move {
            let pages = read::methods_of(client, &customer.id).await;
            (customer, pages)
        });
        let mut lists = stream::iter(each).buffer_unordered(AT_ONCE);
        while let Some((customer, pages)) = lists.next().await {
            let pages: Vec<Received<Page>> = pages.map_err(|source| RunError::Stripe {
                what: format!("listing the payment methods of {}", customer.id),
                source,
            })?;
            let listed: Vec<String> = pages
                .iter()
                .flat_map(|page| read::ids(&page.value))
                .collect();
            for page in &pages {
                facts.add_page(Kind::PaymentMethods, page, &cause, source);
            }
            run.counts.read(Kind::PaymentMethods, listed.len());
            let lost = customer.attached.iter().filter(|id| !listed.contains(id));
            looks.extend(lost.map(|id| Look::unlisted(&customer.id, Kind::PaymentMethods, id)));
        }
        drop(lists);
        self.take_in(run, facts).await?;
        Ok(self.engine.store.note_looks(run, &looks).await?)
    }
}

/// Whether a run asks for payment methods by customer.
fn wants_methods(run: &Run) -> bool {
    run.scope.wants(Kind::PaymentMethods) && run.scope.object.is_none()
}

/// Whether a comparison asks for a customer's payment methods.
fn is_in_turn(run: &Run, customer: &StripeCustomerId) -> bool {
    let day = run.started_at.unix() / DAY;
    let turn = i64::try_from(read::hash(customer.as_str()) % 7).unwrap_or(0);
    !run.scope.recent || day.rem_euclid(DAYS) == turn
}
