//! A key that was corrected: whoever Stripe refuses with the old one reads it at once.

use std::sync::Arc;
use std::time::Duration;

use paygraph_domain::id::StripeCustomerId;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::connect::Connected;
use paygraph_engine::fetch::{Fetch as _, Wanted};
use paygraph_engine::memory::{MemoryBus, MemoryStore};
use paygraph_engine::process::Engine;
use paygraph_engine::run::{Job, Left, Run, RunError, Runner, Scope};
use paygraph_stripe::client::{Connections, Limits};
use paygraph_testkit::fake_stripe::{FakeStripe, KEY};
use serde_json::json;

use super::stack::{empty, now};
use crate::connect::Secrets;
use crate::stripe_api::default;

type TestEngine = Engine<MemoryStore, fn() -> i64, Connected<MemoryStore, Secrets>>;

fn engine(stripe: &FakeStripe, secrets: &Secrets) -> TestEngine {
    let store = MemoryStore::new(Settings::example().unwrap());
    let connections = Connections::new(secrets.clone(), stripe.url(), Limits::default());
    Engine {
        store: store.clone(),
        clock: now,
        livemode: false,
        fetch: Connected::new(connections, store, secrets.clone()),
    }
}

async fn import(engine: &TestEngine) -> Result<Left, RunError> {
    let runner = Runner {
        engine,
        publisher: &MemoryBus::default(),
        client: engine.fetch.client(&default()).await.unwrap().unwrap(),
        second_look_after: 0,
        pause: 15,
    };
    let begun = Timestamp::from_unix(now()).unwrap();
    let name = format!("run-{:016x}", fastrand::u64(..));
    let mut run = Run::new(name, default(), Job::Backfill, Scope::default(), begun);
    runner
        .go_on(&mut run, Deadline::after(Duration::from_secs(60)))
        .await
}

/// U12: a run that began with the old key goes on with the corrected one, at once.
#[tokio::test]
async fn u12_a_run_reads_a_corrected_key_at_once() {
    let (stripe, secrets) = (empty().await, Secrets::default());
    secrets.set("stripe/default", &json!({ "key": "rk_test_old" }));
    let engine = engine(&stripe, &secrets);
    let refused = import(&engine).await.unwrap_err();
    assert!(refused.is_final(), "{refused}");

    // A component that remembers the old key; nobody corrects anything twice within seconds.
    let other = self::engine(&stripe, &secrets);
    assert!(other.fetch.client(&default()).await.unwrap().is_some());
    secrets.set("stripe/default", &json!({ "key": KEY }));
    assert_eq!(import(&other).await.unwrap(), Left::Nothing);
}

/// U12: the worker asks with the corrected key, and the connection is not paused.
#[tokio::test]
async fn u12_the_worker_reads_a_corrected_key_at_once() {
    let (stripe, secrets) = (empty().await, Secrets::default());
    stripe.put(json!({ "id": "cus_1", "object": "customer", "created": 1, "metadata": {} }));
    secrets.set("stripe/default", &json!({ "key": "rk_test_old" }));
    let engine = engine(&stripe, &secrets);
    assert!(engine.fetch.client(&default()).await.unwrap().is_some());
    secrets.set("stripe/default", &json!({ "key": KEY }));
    let wanted = Wanted::Customer(StripeCustomerId::parse("cus_1").unwrap());
    let fetched = engine.fetch.fetch(&default(), &wanted).await.unwrap();
    assert!(fetched.is_some());
    let asked = stripe.stats().requests;
    // From now on it asks with that one.
    let again = engine.fetch.fetch(&default(), &wanted).await.unwrap();
    assert!(again.is_some());
    assert_eq!(stripe.stats().requests, asked + 1);
}

/// U12: a key that stays refused is read again once, and not for each request.
#[tokio::test]
async fn u12_a_refused_key_is_not_read_for_each_request() {
    let stripe = empty().await;
    let secrets = Secrets::default();
    secrets.set("stripe/default", &json!({ "key": "rk_test_old" }));
    let local = Arc::new(secrets.clone());
    let connections = Connections::new(Secrets::clone(&local), stripe.url(), Limits::default());
    let client = connections.client(&default()).await.unwrap().unwrap();
    assert!(
        connections
            .renewed(&default(), &client)
            .await
            .unwrap()
            .is_none()
    );
    // Corrected right after the secret was read again: it is read again in a few seconds.
    secrets.set("stripe/default", &json!({ "key": KEY }));
    assert!(
        connections
            .renewed(&default(), &client)
            .await
            .unwrap()
            .is_none()
    );
}
