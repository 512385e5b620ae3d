//! Messages of the jobs queue over a store in memory, with a fake Stripe over HTTP.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::sync::Mutex;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_domain::id::{StripeId, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::connect::Connected;
use paygraph_engine::connection::{By, Connection, ConnectionStore, Status};
use paygraph_engine::memory::{MemoryBus, MemoryStore};
use paygraph_engine::ports::{Runs as _, StoreError};
use paygraph_engine::process::Engine;
use paygraph_engine::run::{Request, Run};
use paygraph_engine::watch::Ingest;
use paygraph_reconcile::{Jobs, Reconciler};
use paygraph_runtime::clock::{Clock as _, SystemClock};
use paygraph_runtime::secrets::{SecretKeeper, SecretSource, SecretsError};
use paygraph_stripe::client::{Connections, Limits};
use paygraph_testkit::fake_stripe::{Config, FakeStripe, Fault, FaultKind, KEY, Lazy};
use secrecy::SecretString;
use serde_json::json;

/// Only the tenants `t` and `u` have keys.
#[derive(Clone)]
struct Secrets;

impl SecretSource for Secrets {
    async fn fetch(&self, name: &str) -> Result<Option<SecretString>, SecretsError> {
        let secret = json!({ "key": KEY, "account": null }).to_string();
        Ok(["stripe/t", "stripe/u"]
            .contains(&name)
            .then(|| secret.into()))
    }
}

impl SecretKeeper for Secrets {
    async fn put(&self, _: &str, _: &SecretString) -> Result<(), SecretsError> {
        Ok(())
    }

    async fn create(&self, _: &str, _: &SecretString) -> Result<bool, SecretsError> {
        Ok(false)
    }
}

/// What was sent: bodies with their delays.
#[derive(Default)]
struct Sent(Mutex<Vec<(String, i64)>>);

impl Sent {
    fn note(&self, body: String, delay: i64) {
        self.0.lock().unwrap().push((body, delay));
    }

    fn take(&self) -> Vec<(String, i64)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Jobs for &Sent {
    async fn send(&self, request: &Request, delay: i64) -> Result<(), StoreError> {
        self.note(serde_json::to_string(request).unwrap(), delay);
        Ok(())
    }
}

impl Ingest for &Sent {
    async fn ingest(&self, body: &str) -> Result<(), StoreError> {
        self.note(body.to_owned(), 0);
        Ok(())
    }
}

impl DeadLetters for &Sent {
    async fn bury(&self, body: &str, reason: &str) -> bool {
        self.note(format!("{body} {reason}"), 0);
        true
    }
}

/// The function, and what it sends.
struct World {
    stripe: FakeStripe,
    store: MemoryStore,
    bus: MemoryBus,
    jobs: Sent,
    buried: Sent,
}

fn tenant() -> TenantId {
    TenantId::parse("t").unwrap()
}

fn now() -> i64 {
    SystemClock.now()
}

impl World {
    async fn new() -> Self {
        let config = Config::with_world(Lazy::of(20)).unlimited();
        Self {
            stripe: FakeStripe::start(config).await.unwrap(),
            store: MemoryStore::new(Settings::example().unwrap()),
            bus: MemoryBus::default(),
            jobs: Sent::default(),
            buried: Sent::default(),
        }
    }

    /// One invocation with one message. Says whether it is done with it.
    async fn handle(&self, body: &str, seconds: u64) -> bool {
        let limits = Limits {
            share: 10_000,
            ..Limits::default()
        };
        let connections = Connections::new(Secrets, self.stripe.url(), limits);
        let clock: fn() -> i64 = now;
        let reconciler = Reconciler {
            engine: Engine {
                store: self.store.clone(),
                clock,
                livemode: false,
                fetch: Connected::new(connections, self.store.clone(), Secrets),
            },
            publisher: self.bus.clone(),
            jobs: &self.jobs,
            ingest: &self.jobs,
            dead_letters: &self.buried,
            platform_tenant: tenant(),
        };
        let event: SqsEvent = serde_json::from_value(json!({ "Records": [{
            "messageId": "m-1", "body": body, "attributes": { "SentTimestamp": "1795230000000" },
        }] }))
        .unwrap();
        let answer = reconciler
            .handle(&event, Duration::from_secs(seconds))
            .await;
        answer.batch_item_failures.is_empty()
    }

    /// Handles a message, and what comes of it, until nothing more does.
    async fn through(&self, body: &str, seconds: u64) -> usize {
        let mut bodies = vec![body.to_owned()];
        let mut handled = 0;
        while let Some(body) = bodies.pop() {
            assert!(self.handle(&body, seconds).await);
            handled += 1;
            bodies.extend(self.jobs.take().into_iter().map(|(body, _)| body));
        }
        handled
    }

    async fn newest(&self) -> Run {
        self.store.latest(&tenant(), 1).await.unwrap().remove(0)
    }
}

fn connected() -> Connection {
    Connection {
        account: StripeId::parse("acct_1").unwrap(),
        name: None,
        livemode: false,
        by: By::RestrictedKey,
        since: Timestamp::from_unix(0).unwrap(),
        endpoint: None,
        status: Status::Connected,
        rev: 0,
    }
}

/// A schedule's message becomes one for each tenant, the same ones if it comes again; a run that has
/// no time left goes on in the next invocation.
#[tokio::test]
async fn a_schedule_asks_for_everybody_and_a_run_hands_itself_on() {
    let world = World::new().await;
    let daily = r#"{"job":"reconcile","recent":true,"now":"2026-11-21T03:00:00Z"}"#;
    assert!(world.handle(daily, 300).await);
    let asked = world.jobs.take();
    assert_eq!(asked.len(), 1, "only the platform's tenant has a key");
    assert!(world.handle(daily, 300).await);
    assert_eq!(world.jobs.take(), asked);

    // Hardly more than what is kept back for the end.
    let handled = world
        .through(r#"{"job":"backfill","tenant":"t"}"#, 46)
        .await;
    assert!(handled > 3, "{handled}");
    let run = world.newest().await;
    assert!(run.is_complete(), "{run:?}");
    assert_eq!(run.started_at.unix(), 1_795_230_000);
    let again = format!(r#"{{"job":"backfill","tenant":"t","run":"{}"}}"#, run.id);
    assert_eq!(world.through(&again, 300).await, 1, "it is finished");
}

/// N13: a key that was revoked pauses the tenant and stops the run, in Stripe's words; a run for a
/// paused tenant says why it does nothing.
#[tokio::test]
async fn n13_a_revoked_key_pauses_the_tenant() {
    let world = World::new().await;
    let connection = connected();
    world
        .store
        .put_connection(&tenant(), &connection)
        .await
        .unwrap();
    world
        .stripe
        .faults([Fault::next(1_000, "/v1/invoices", FaultKind::Revoked)]);
    assert_eq!(
        world
            .through(r#"{"job":"backfill","tenant":"t"}"#, 300)
            .await,
        1
    );
    let run = world.newest().await;
    assert!(run.stopped && !run.is_finished());
    let status = world
        .store
        .connection(&tenant())
        .await
        .unwrap()
        .unwrap()
        .status;
    assert!(
        matches!(&status, Status::Paused { reason } if reason.contains("key")),
        "{status:?}"
    );
    let asked = world.stripe.stats().requests;
    world
        .through(
            r#"{"job":"reconcile","tenant":"t","now":"2026-12-01T00:00:00Z"}"#,
            300,
        )
        .await;
    let why = world.newest().await.problem.unwrap();
    assert!(why.starts_with("the tenant t is paused: "), "{why}");
    assert_eq!(world.stripe.stats().requests, asked, "Stripe is not asked");
}

/// Two runs of one tenant take turns; one that stands still is woken by the watch; what cannot be
/// read goes to the dead letters.
#[tokio::test]
async fn runs_take_turns_and_are_woken() {
    let world = World::new().await;
    let at = Timestamp::from_unix(now()).unwrap();
    let lease = world.store.lease(&tenant(), at, at.plus(90)).await.unwrap();
    assert!(
        world
            .handle(r#"{"job":"backfill","tenant":"t"}"#, 300)
            .await
    );
    let waits = world.jobs.take();
    assert_eq!((waits.len(), waits[0].1), (1, 15));

    // Whoever had it died, after it had begun.
    let begun = Run::new(
        "run-000000000001-a".to_owned(),
        tenant(),
        paygraph_engine::run::Job::Backfill,
        paygraph_engine::run::Scope::default(),
        at.plus(-600),
    );
    world.store.note(&begun, lease.unwrap(), at).await.unwrap();
    world.store.end_leases();
    let round = json!({ "job": "watch", "tenant": "t", "now": at.to_string() }).to_string();
    assert!(world.handle(&round, 300).await);
    let woken = world.jobs.take();
    assert!(woken[0].0.contains(&begun.id), "{woken:?}");
    world.through(&woken[0].0, 300).await;
    assert!(world.newest().await.is_complete());

    for nonsense in [
        "{",
        r#"{"job":"dance"}"#,
        r#"{"job":"backfill","tenant":"t","run":"x"}"#,
    ] {
        assert!(world.handle(nonsense, 300).await);
        assert!(world.buried.take()[0].0.starts_with(nonsense));
    }
    let example: SqsEvent =
        serde_json::from_str(include_str!("../../../events/functions/reconcile.json")).unwrap();
    let body = example.records[0].body.as_deref().unwrap();
    let request: Request = serde_json::from_str(body).unwrap();
    assert!(request.scope.recent);
}
