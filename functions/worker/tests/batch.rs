//! A batch through the worker, on a store in memory.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

mod product;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_domain::id::{Cause, StripeCustomerId, StripeId, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::connection::{Accounts, Deauthorized};
use paygraph_engine::envelope::Outgoing;
use paygraph_engine::fetch::{Fetch, Fetched, NoFetch, Wanted};
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::ports::{
    LedgerEntry, ParkReason, Publisher, Store as _, StoreError, UNCONNECTED, Unpublished,
};
use paygraph_engine::process::Engine;
use paygraph_worker::batch::{Pulse, Worker};
use serde_json::{Value, json};

const NOW: i64 = 1_790_000_000;

#[derive(Default)]
struct Letters(Mutex<Vec<(String, String)>>, AtomicBool);

impl DeadLetters for Letters {
    async fn bury(&self, body: &str, reason: &str) -> bool {
        self.0
            .lock()
            .unwrap()
            .push((body.to_owned(), reason.to_owned()));
        !self.1.load(Ordering::Relaxed)
    }
}

struct NoPulse;

impl Pulse for NoPulse {
    async fn beat(&self, _: &LedgerEntry) {}
}

/// A bus that can be broken.
#[derive(Default)]
struct Bus(MemoryBus, AtomicBool);

impl Publisher for Bus {
    async fn publish(&self, events: &[&Outgoing]) -> Unpublished {
        if self.1.load(Ordering::Relaxed) {
            return Unpublished::all(events.len());
        }
        self.0.publish(events).await
    }
}

/// Notes which connections were ended: tenant, account, second.
#[derive(Default)]
struct Ends(Mutex<Vec<(String, String, i64)>>);

impl Fetch for Ends {
    async fn fetch(&self, _: &TenantId, _: &Wanted) -> Result<Option<Fetched>, StoreError> {
        Ok(None)
    }

    async fn event(&self, _: &TenantId, _: &Cause) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
}

impl Accounts for Ends {
    async fn owner(&self, account: &StripeId) -> Result<Option<TenantId>, StoreError> {
        let is_known = account.as_str() == "acct_known";
        Ok(is_known.then(|| TenantId::parse("acme").unwrap()))
    }

    async fn deauthorized(
        &self,
        tenant: &TenantId,
        account: &StripeId,
        told: Deauthorized,
    ) -> Result<(), StoreError> {
        let ended = (tenant.to_string(), account.to_string(), told.at.unix());
        self.0.lock().unwrap().push(ended);
        Ok(())
    }
}

type TestWorker<F = NoFetch> = Worker<MemoryStore, StoppedClock, F, Bus, Letters, NoPulse>;

fn worker() -> TestWorker {
    worker_with(NoFetch)
}

fn worker_with<F>(fetch: F) -> TestWorker<F> {
    let clock = StoppedClock(Timestamp::from_unix(NOW).unwrap());
    let store = MemoryStore::new(Settings::example().unwrap()).keeping_history();
    Worker {
        engine: Engine {
            store,
            clock,
            livemode: false,
            fetch,
        },
        publisher: Bus::default(),
        dead_letters: Letters::default(),
        pulse: NoPulse,
        unconnected: TenantId::parse(UNCONNECTED).unwrap(),
        last_beat: AtomicI64::new(NOW),
    }
}

fn message(event: &Value) -> Value {
    json!({ "version": 1, "tenant": "default", "account": null, "received_at": NOW, "event": event })
}

fn customer(n: u32) -> Value {
    json!({ "id": format!("evt_{n}"), "type": "customer.created", "created": NOW, "livemode": false,
        "data": { "object": { "id": format!("cus_{n}"), "object": "customer", "email": "a@example.com" } } })
}

/// Handles bodies as one batch and gives the places of those that are to come again.
async fn handle<F: Fetch + Accounts>(worker: &TestWorker<F>, bodies: &[String]) -> Vec<String> {
    let records: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(place, body)| json!({ "messageId": place.to_string(), "body": body }))
        .collect();
    let batch: SqsEvent = serde_json::from_value(json!({ "Records": records })).unwrap();
    let answer = worker.handle(&batch, Duration::from_secs(60)).await;
    answer
        .batch_item_failures
        .into_iter()
        .map(|failure| failure.item_identifier)
        .collect()
}

fn broken() -> Value {
    json!({ "id": "evt_9", "type": "customer.subscription.updated", "created": NOW, "livemode": false,
        "data": { "object": { "id": "sub_1", "customer": "cus_1" } } })
}

/// N1, N2: one bad message: the others are done, it alone goes to the dead letters, with its reason.
#[tokio::test]
async fn n1_n2_only_the_bad_message_suffers_and_its_reason_is_told() {
    let worker = worker();
    let bodies = [
        message(&customer(1)).to_string(),
        "not json".to_owned(),
        message(&broken()).to_string(),
        message(&customer(2)).to_string(),
    ];
    assert!(handle(&worker, &bodies).await.is_empty());
    assert_eq!(worker.engine.store.contacts().len(), 2);
    let letters = worker.dead_letters.0.lock().unwrap();
    let reasons: Vec<_> = letters.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons.len(), 2);
    assert!(
        reasons.iter().any(|reason| reason.contains("status")),
        "{reasons:?}"
    );
}

/// N2: if even the dead letters refuse it, the message goes back to the queue: it is not lost.
#[tokio::test]
async fn n2_a_message_that_nobody_takes_goes_back() {
    let worker = worker();
    worker.dead_letters.1.store(true, Ordering::Relaxed);
    let bodies = [message(&customer(1)).to_string(), "not json".to_owned()];
    assert_eq!(handle(&worker, &bodies).await, ["1"]);
}

/// D4, D5, N7: committed and not published: the message comes again, and once the first worker
/// can be taken for dead, its events are published, each once, under the same ids.
#[tokio::test]
async fn d4_d5_n7_a_redelivery_publishes_what_was_left() {
    let mut worker = worker();
    worker.publisher.1.store(true, Ordering::Relaxed);
    let bodies = [message(&customer(1)).to_string()];
    assert_eq!(handle(&worker, &bodies).await, ["0"]);
    assert_eq!(worker.engine.store.commits(), 1);
    worker.publisher.1.store(false, Ordering::Relaxed);
    // At once, the first worker may still be at it.
    assert!(handle(&worker, &bodies).await.is_empty());
    assert!(worker.publisher.0.published().is_empty());
    worker.engine.clock = StoppedClock(Timestamp::from_unix(NOW + 31).unwrap());
    for _ in 0..2 {
        assert!(handle(&worker, &bodies).await.is_empty());
    }
    let published = worker.publisher.0.published();
    let ids: Vec<_> = published
        .iter()
        .map(|event| event.detail.id.as_str())
        .collect();
    // Stripe's own, the customer, and the segment that it is in.
    assert_eq!(ids, ["evt_1#0", "evt_1#1", "evt_1#2"]);
    assert_eq!(worker.engine.store.commits(), 1);
}

/// P7: a pointer waits in sight.
#[tokio::test]
async fn p7_a_pointer_is_parked() {
    let worker = worker();
    let pointer = json!({ "version": 1, "tenant": "default", "account": null, "received_at": NOW,
        "pointer": { "id": "evt_big", "type": "invoice.paid", "created": NOW } });
    assert!(handle(&worker, &[pointer.to_string()]).await.is_empty());
    let parked = worker.engine.store.all_parked();
    assert_eq!(parked.first().unwrap().reason, ParkReason::TooLarge);
    assert_eq!(parked.first().unwrap().cause.as_str(), "evt_big");
}

/// I8: the webhook has not heard yet whose an account is; the table knows.
#[tokio::test]
async fn i8_an_event_of_an_account_that_was_just_connected_is_its_tenants() {
    let worker = worker_with(Ends::default());
    let acme = TenantId::parse("acme").unwrap();
    let mut early = message(&customer(1));
    early["tenant"] = json!(null);
    early["account"] = json!("acct_known");
    assert!(handle(&worker, &[early.to_string()]).await.is_empty());
    assert!(worker.engine.store.all_parked().is_empty());
    let customer = StripeCustomerId::parse("cus_1").unwrap();
    let contact = worker.engine.store.contact_of(&acme, &customer);
    assert!(contact.await.unwrap().is_some());
}

/// I8: an event of an account that nobody has connected waits in sight, under no tenant's name.
#[tokio::test]
async fn i8_an_event_of_an_unknown_account_is_parked() {
    let worker = worker();
    let mut unknown = message(&customer(1));
    unknown["tenant"] = json!(null);
    unknown["account"] = json!("acct_1");
    assert!(handle(&worker, &[unknown.to_string()]).await.is_empty());
    let parked = worker.engine.store.all_parked();
    assert_eq!(
        parked.first().unwrap().reason,
        ParkReason::UnknownAccount("acct_1".to_owned())
    );
    assert_eq!(parked.first().unwrap().tenant.as_str(), "unconnected");
    assert!(worker.engine.store.contacts().is_empty());
}

/// I8: an account's word that it may not be read any more is handed on with its second and account,
/// and passed on like any event.
#[tokio::test]
async fn i8_a_deauthorization_ends_the_connection() {
    let worker = worker_with(Ends::default());
    let event = json!({ "id": "evt_d", "type": "account.application.deauthorized", "created": NOW,
        "livemode": false, "account": "acct_1", "data": { "object": { "id": "ca_1", "object": "application" } } });
    let mut told = message(&event);
    told["account"] = json!("acct_1");
    let bodies = [told.to_string(), message(&customer(1)).to_string()];
    assert!(handle(&worker, &bodies).await.is_empty());
    let ended = worker.engine.fetch.0.lock().unwrap();
    assert_eq!(*ended, [("default".to_owned(), "acct_1".to_owned(), NOW)]);
    let published = worker.publisher.0.published();
    let mut kinds = published.iter().map(|event| event.detail_type.as_str());
    assert!(kinds.any(|kind| kind == "stripe.account.application.deauthorized"));
}

/// I7: a live deployment counts test events and ignores them.
#[tokio::test]
async fn i7_a_test_event_on_a_live_deployment_is_ignored() {
    let mut worker = worker();
    worker.engine.livemode = true;
    assert!(
        handle(&worker, &[message(&customer(1)).to_string()])
            .await
            .is_empty()
    );
    assert_eq!(worker.engine.store.commits(), 0);
}

/// The messages of one customer are taken in the order of `created`, whatever order they came in.
#[tokio::test]
async fn one_customers_messages_are_taken_in_order() {
    let worker = worker();
    let bodies: Vec<_> = (0..10_i64)
        .rev()
        .map(|n| {
            let event = json!({ "id": format!("evt_{n}"), "type": "customer.updated", "created": NOW + n,
                "livemode": false, "data": { "object": { "id": "cus_1", "object": "customer", "name": format!("{n}") } } });
            message(&event).to_string()
        })
        .collect();
    assert!(handle(&worker, &bodies).await.is_empty());
    let names: Vec<_> = worker
        .engine
        .store
        .audit()
        .iter()
        .flat_map(|entry| entry.changes.clone())
        .filter(|change| change.field == "name")
        .map(|change| change.after)
        .collect();
    assert_eq!(
        names,
        (0..10).map(|n| json!(n.to_string())).collect::<Vec<_>>()
    );
}
