//! What comes too early, or fails once, is processed when it comes again.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_domain::account::{Account, Catalog, CatalogEntry, CatalogKey, ObjectKey, Stored};
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::Link;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::Name;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::user::User;
use paygraph_engine::fetch::NoFetch;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::ports::{
    Beside, Commit, CommitError, Due, IndexPage, LedgerEntry, ParkReason, Parked, Store,
    StoreError, UNCONNECTED,
};
use paygraph_engine::process::Engine;
use paygraph_engine::user::Users;
use paygraph_worker::batch::{Pulse, Worker};
use serde_json::{Value, json};

const NOW: i64 = 1_790_000_000;

/// Dead letters that nothing may reach.
struct NoLetters;

impl DeadLetters for NoLetters {
    async fn bury(&self, _: &str, reason: &str) -> bool {
        unreachable!("buried: {reason}")
    }
}

struct NoPulse;

impl Pulse for NoPulse {
    async fn beat(&self, _: &LedgerEntry) {}
}

/// A store that fails one commit.
struct Faulty {
    store: MemoryStore,
    fails: AtomicBool,
}

type Answer<T> = Result<T, StoreError>;

impl Users for Faulty {
    async fn user(&self, tenant: &TenantId, id: &str) -> Answer<Option<User>> {
        self.store.user(tenant, id).await
    }
    async fn put_user(&self, tenant: &TenantId, user: &User) -> Result<(), CommitError> {
        self.store.put_user(tenant, user).await
    }
}

impl Store for Faulty {
    async fn settings(&self, tenant: &TenantId) -> Answer<Arc<Settings>> {
        self.store.settings(tenant).await
    }
    async fn contact_of(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
    ) -> Answer<Option<CustomerId>> {
        self.store.contact_of(tenant, customer).await
    }
    async fn customer_by(
        &self,
        tenant: &TenantId,
        link: &Link,
    ) -> Answer<Option<StripeCustomerId>> {
        self.store.customer_by(tenant, link).await
    }
    async fn contact(&self, tenant: &TenantId, id: &CustomerId) -> Answer<Option<Contact>> {
        self.store.contact(tenant, id).await
    }
    async fn account(&self, tenant: &TenantId, customer: &StripeCustomerId) -> Answer<Account> {
        self.store.account(tenant, customer).await
    }
    async fn beside(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        keys: &BTreeSet<ObjectKey>,
    ) -> Answer<Beside> {
        self.store.beside(tenant, customer, keys).await
    }
    async fn catalog(&self, tenant: &TenantId, keys: &BTreeSet<CatalogKey>) -> Answer<Catalog> {
        self.store.catalog(tenant, keys).await
    }
    async fn catalog_entry(
        &self,
        tenant: &TenantId,
        key: &CatalogKey,
    ) -> Answer<Option<Stored<CatalogEntry>>> {
        self.store.catalog_entry(tenant, key).await
    }
    async fn awaiting(&self, tenant: &TenantId, key: &CatalogKey) -> Answer<Vec<StripeCustomerId>> {
        self.store.awaiting(tenant, key).await
    }
    async fn commit(&self, commit: &Commit) -> Result<(), CommitError> {
        if self.fails.swap(false, Ordering::Relaxed) {
            let context = "a test's fault".to_owned();
            let (retry, source) = (true, None);
            return Err(CommitError::Store(StoreError {
                context,
                retry,
                source,
            }));
        }
        self.store.commit(commit).await
    }
    async fn ledger(&self, tenant: &TenantId, cause: &Cause) -> Answer<Option<LedgerEntry>> {
        self.store.ledger(tenant, cause).await
    }
    async fn published(&self, tenant: &TenantId, cause: &Cause) -> Answer<()> {
        self.store.published(tenant, cause).await
    }
    async fn set_aside(&self, tenant: &TenantId, cause: &Cause, reason: &str) -> Answer<()> {
        self.store.set_aside(tenant, cause, reason).await
    }
    async fn pending(
        &self,
        shard: u64,
        after: Option<&str>,
        before: Timestamp,
        limit: usize,
    ) -> Answer<IndexPage<LedgerEntry>> {
        self.store.pending(shard, after, before, limit).await
    }
    async fn named(&self, tenant: &TenantId, name: &Name) -> Answer<Vec<CustomerId>> {
        self.store.named(tenant, name).await
    }
    async fn due(
        &self,
        shard: u64,
        after: Option<&str>,
        until: Timestamp,
        limit: usize,
    ) -> Answer<IndexPage<Due>> {
        self.store.due(shard, after, until, limit).await
    }
    async fn park(&self, parked: &Parked) -> Answer<()> {
        self.store.park(parked).await
    }
    async fn parked(&self, tenant: &TenantId, place: &str) -> Answer<Vec<Parked>> {
        self.store.parked(tenant, place).await
    }
    async fn marked(&self, tenant: &TenantId, links: &BTreeSet<Link>) -> Answer<BTreeSet<Link>> {
        self.store.marked(tenant, links).await
    }
    async fn parked_links(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        before: Timestamp,
        limit: usize,
    ) -> Answer<IndexPage<Option<Link>>> {
        self.store.parked_links(tenant, after, before, limit).await
    }
    async fn unpark(&self, parked: &Parked) -> Answer<()> {
        self.store.unpark(parked).await
    }
}

type TestWorker = Worker<Faulty, StoppedClock, NoFetch, MemoryBus, NoLetters, NoPulse>;

fn worker() -> TestWorker {
    let store = Faulty {
        store: MemoryStore::new(Settings::example().unwrap()),
        fails: AtomicBool::new(false),
    };
    Worker {
        engine: Engine::alone(store, StoppedClock(Timestamp::from_unix(NOW).unwrap())),
        publisher: MemoryBus::default(),
        dead_letters: NoLetters,
        pulse: NoPulse,
        unconnected: TenantId::parse(UNCONNECTED).unwrap(),
        last_beat: AtomicI64::new(NOW),
    }
}

/// Handles events as one batch and gives the places of those that are to come again.
async fn handle(worker: &TestWorker, events: &[Value]) -> Vec<String> {
    let record = |(place, event): (usize, &Value)| {
        let body = json!({ "version": 1, "tenant": "default", "account": null, "received_at": NOW, "event": event });
        json!({ "messageId": place.to_string(), "body": body.to_string() })
    };
    let records: Vec<_> = events.iter().enumerate().map(record).collect();
    let batch = serde_json::from_value(json!({ "Records": records })).unwrap();
    handle_batch(worker, &batch).await
}

async fn handle_batch(worker: &TestWorker, batch: &SqsEvent) -> Vec<String> {
    let answer = worker.handle(batch, Duration::from_secs(60)).await;
    let failures = answer.batch_item_failures.into_iter();
    failures.map(|failure| failure.item_identifier).collect()
}

fn event(id: &str, kind: &str, at: i64, object: &Value) -> Value {
    json!({ "id": id, "type": kind, "created": NOW + at, "livemode": false, "data": { "object": object } })
}

fn customer() -> Value {
    let object = json!({ "id": "cus_1", "object": "customer", "email": "a@example.com" });
    event("evt_customer", "customer.created", 0, &object)
}

fn charge() -> Value {
    let object = json!({ "id": "ch_1", "object": "charge", "customer": "cus_1", "status": "succeeded",
        "currency": "usd", "amount": 5_800, "created": NOW });
    event("evt_charge", "charge.succeeded", 1, &object)
}

fn dispute() -> Value {
    let object = json!({ "id": "dp_1", "object": "dispute", "status": "needs_response", "charge": "ch_1",
        "currency": "usd", "amount": 5_800, "reason": "fraudulent", "created": NOW + 2 });
    event("evt_dispute", "charge.dispute.created", 2, &object)
}

/// How often an event was published, and for whom.
fn told(worker: &TestWorker, name: &str) -> Vec<Option<String>> {
    let published = worker.publisher.published().into_iter();
    published
        .filter(|event| event.detail_type == name)
        .map(|event| {
            event
                .detail
                .stripe_customer_id
                .as_ref()
                .map(ToString::to_string)
        })
        .collect()
}

/// D4: a product event whose user was written and whose contact was not is taken in when it comes
/// again.
#[tokio::test]
async fn d4_half_a_product_event_is_completed() {
    let worker = worker();
    let group = json!({ "type": "group", "messageId": "m1", "userId": "u1", "groupId": "acme" });
    let body = json!({ "product": 1, "tenant": "default", "received_at": "2026-09-21T14:13:20Z",
        "events": [group] });
    let record = json!({ "messageId": "0", "body": body.to_string() });
    let batch = serde_json::from_value(json!({ "Records": [record] })).unwrap();
    worker.engine.store.fails.store(true, Ordering::Relaxed);
    assert_eq!(handle_batch(&worker, &batch).await, ["0"]);
    let store = &worker.engine.store.store;
    assert!(store.contacts().is_empty());
    for _ in 0..2 {
        assert!(handle_batch(&worker, &batch).await.is_empty());
    }
    assert_eq!(store.contacts()[0].version, 1);
}

/// D4: what was not committed is not marked as seen, and is processed when it comes again.
#[tokio::test]
async fn d4_a_failed_commit_is_processed_again() {
    let worker = worker();
    worker.engine.store.fails.store(true, Ordering::Relaxed);
    assert_eq!(handle(&worker, &[customer()]).await, ["0"]);
    let store = &worker.engine.store.store;
    assert!(store.contacts().is_empty());
    assert!(worker.publisher.published().is_empty());
    for _ in 0..2 {
        assert!(handle(&worker, &[customer()]).await.is_empty());
    }
    assert_eq!(store.contacts().len(), 1);
    assert_eq!(
        told(&worker, "customer_created"),
        [Some("cus_1".to_owned())]
    );
}

/// D4: when one customer's commit fails, only that message comes again.
#[tokio::test]
async fn d4_n1_a_failed_commit_holds_nobody_else_up() {
    let worker = worker();
    worker.engine.store.fails.store(true, Ordering::Relaxed);
    let other = json!({ "id": "cus_2", "object": "customer" });
    let events = [customer(), event("evt_2", "customer.created", 0, &other)];
    assert_eq!(handle(&worker, &events).await.len(), 1);
    assert_eq!(worker.engine.store.store.contacts().len(), 1);
    assert!(handle(&worker, &events).await.is_empty());
    assert_eq!(told(&worker, "customer_created").len(), 2);
}

/// I10: a dispute that comes before its charge waits for it, and is then its customer's.
#[tokio::test]
async fn i10_a_dispute_before_its_charge_waits_for_it() {
    let worker = worker();
    assert!(handle(&worker, &[customer(), dispute()]).await.is_empty());
    let parked = worker.engine.store.store.all_parked();
    let reasons: Vec<_> = parked.iter().map(|parked| &parked.reason).collect();
    assert_eq!(reasons, [&ParkReason::UnknownCharge("ch_1".to_owned())]);
    assert!(told(&worker, "dispute_opened").is_empty());
    assert!(handle(&worker, &[charge()]).await.is_empty());
    assert!(worker.engine.store.store.all_parked().is_empty());
    assert_eq!(told(&worker, "dispute_opened"), [Some("cus_1".to_owned())]);
    // Stripe sends both again: nothing is told twice.
    assert!(handle(&worker, &[dispute(), charge()]).await.is_empty());
    assert_eq!(told(&worker, "dispute_opened").len(), 1);
}

/// I10: in one batch, in any order, the dispute finds its charge.
#[tokio::test]
async fn i10_a_dispute_and_its_charge_in_one_batch() {
    for events in [[dispute(), charge()], [charge(), dispute()]] {
        let worker = worker();
        assert!(handle(&worker, &events).await.is_empty());
        assert!(worker.engine.store.store.all_parked().is_empty());
        assert_eq!(told(&worker, "dispute_opened"), [Some("cus_1".to_owned())]);
    }
}

/// I10, D4: the release of a dispute fails; the charge comes again and releases it.
#[tokio::test]
async fn i10_d4_a_failed_release_is_done_again() {
    let worker = worker();
    assert!(handle(&worker, &[dispute()]).await.is_empty());
    worker.engine.store.fails.store(true, Ordering::Relaxed);
    assert_eq!(handle(&worker, &[charge()]).await, ["0"]);
    assert_eq!(worker.engine.store.store.all_parked().len(), 1);
    assert!(handle(&worker, &[charge()]).await.is_empty());
    assert!(worker.engine.store.store.all_parked().is_empty());
    assert_eq!(told(&worker, "dispute_opened").len(), 1);
}

/// The example invocation is processed.
#[tokio::test]
async fn the_example_batch_is_processed() {
    let text = include_str!("../../../events/functions/worker.json");
    let batch: SqsEvent = serde_json::from_str(text).unwrap();
    let worker = worker();
    assert!(handle_batch(&worker, &batch).await.is_empty());
    assert_eq!(told(&worker, "subscription_created").len(), 1);
}
