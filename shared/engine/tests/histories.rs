//! Whole histories through the engine: any order, any duplication, many workers at once.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use paygraph_domain::account::Catalog;
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view;
use paygraph_engine::Deadline;
use paygraph_engine::fetch::NoFetch;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::process::{Done, Engine};
use paygraph_engine::publish::publish;
use paygraph_testkit::world::World;
use proptest::prelude::*;
use serde_json::{Value, json};

type TestEngine = Engine<MemoryStore, StoppedClock>;

fn engine() -> TestEngine {
    let store = MemoryStore::new(Settings::example().unwrap()).keeping_history();
    Engine {
        store,
        clock: StoppedClock::default(),
        livemode: false,
        fetch: NoFetch,
    }
}

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

async fn feed(engine: &TestEngine, bus: &MemoryBus, event: &str) -> Done {
    let deadline = Deadline::after(Duration::from_secs(60));
    let done = engine
        .process(&tenant(), event, Source::Webhook, deadline)
        .await
        .unwrap();
    publish(&engine.store, bus, &done.clone().into_entries())
        .await
        .unwrap();
    done.done
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// All that a reader can see, and the objects beneath, without what counts commits.
fn state(engine: &TestEngine) -> Value {
    let settings = Settings::example().unwrap();
    let (contacts, accounts) = (engine.store.contacts(), engine.store.accounts());
    let accounts: BTreeMap<_, _> = accounts
        .into_iter()
        .map(|(id, account, beside)| {
            let subscriptions: Vec<_> = account
                .subscriptions
                .values()
                .map(|s| s.value.clone())
                .collect();
            let methods: Vec<_> = account
                .payment_methods
                .values()
                .map(|m| m.value.clone())
                .collect();
            let disputes: Vec<_> = account.disputes.values().map(|d| d.value.clone()).collect();
            let customer = account.customer.map(|c| c.value);
            (
                id.to_string(),
                json!([customer, subscriptions, methods, disputes, beside]),
            )
        })
        .collect();
    let accounts = json!(accounts);
    let now = Timestamp::from_unix(newest(&accounts)).unwrap();
    let seen: Vec<_> = contacts
        .iter()
        .map(|contact| shown(contact, &settings, now))
        .collect();
    json!({ "contacts": seen, "accounts": accounts })
}

/// The newest second of any snapshot.
fn newest(value: &Value) -> i64 {
    match value {
        Value::Object(fields) => {
            let own = fields.get("at").and_then(Value::as_i64).unwrap_or(0);
            fields.values().map(newest).max().unwrap_or(0).max(own)
        }
        Value::Array(items) => items.iter().map(newest).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn shown(contact: &Contact, settings: &Settings, now: Timestamp) -> Value {
    let mut view =
        serde_json::to_value(view::customer(contact, settings, &Catalog::default(), now)).unwrap();
    view.as_object_mut().unwrap().remove("as_of");
    let needs: BTreeSet<_> = contact
        .accounts
        .values()
        .flat_map(|r| &r.needs_refetch)
        .collect();
    let totals: Vec<_> = contact
        .accounts
        .values()
        .map(|r| (&r.totals.paid, &r.totals.refunded))
        .collect();
    json!([view, needs, totals])
}

fn history(seed: u64, customers: u32, steps: u32) -> Vec<String> {
    World::new("w", seed, 1_790_000_000).run(customers, steps)
}

fn shuffled(events: &[String], seed: u64, duplicates: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut events: Vec<_> = events.to_vec();
    for _ in 0..duplicates {
        events.push(events[random.usize(0..events.len())].clone());
    }
    random.shuffle(&mut events);
    events
}

/// Every place in which two values differ.
fn differences(place: &str, a: &Value, b: &Value, found: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) if x.keys().eq(y.keys()) => {
            for (name, a) in x {
                differences(&format!("{place}.{name}"), a, &y[name], found);
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (n, (a, b)) in x.iter().zip(y).enumerate() {
                differences(&format!("{place}[{n}]"), a, b, found);
            }
        }
        _ if a == b => {}
        _ => found.push(format!("{place}: {a} or {b}")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// D1–D9, D14: the end state is the same for every order and duplication.
    #[test]
    fn d1_d7_d9_d14_any_order_and_duplication_gives_the_same_state(seed: u64, order: u64) {
        let events = history(seed, 2, 25);
        let (straight, other) = (engine(), engine());
        run(async {
            let bus = MemoryBus::default();
            for event in &events {
                feed(&straight, &bus, event).await;
            }
            for event in shuffled(&events, order, events.len() / 3) {
                feed(&other, &bus, &event).await;
            }
        });
        let mut different = Vec::new();
        differences("", &state(&straight), &state(&other), &mut different);
        prop_assert!(different.is_empty(), "{:#?}", different);
        prop_assert!(other.store.all_parked().is_empty());
    }

    /// D1, D3, D6: a second delivery changes nothing and emits nothing, however late.
    #[test]
    fn d1_d6_a_second_delivery_changes_and_emits_nothing(seed: u64) {
        let events = history(seed, 2, 20);
        let engine = engine();
        let bus = MemoryBus::default();
        run(async {
            for event in &events {
                feed(&engine, &bus, event).await;
            }
            let (before, commits, published) = (state(&engine), engine.store.commits(), bus.published().len());
            for event in &events {
                assert!(matches!(feed(&engine, &bus, event).await, Done::Duplicate(_)));
            }
            assert_eq!(state(&engine), before);
            assert_eq!(engine.store.commits(), commits);
            assert_eq!(bus.published().len(), published);
        });
    }
}

/// D2, D12, N3: many workers at once over torn reads; each event is committed once, and the end
/// state is that of one worker.
#[test]
fn d2_d12_n3_concurrent_workers_over_torn_reads_agree() {
    for seed in 0..12 {
        let events = history(seed, 3, 40);
        let straight = engine();
        let store = MemoryStore::new(Settings::example().unwrap())
            .tearing()
            .keeping_history();
        let torn = Arc::new(Engine {
            store,
            clock: StoppedClock::default(),
            livemode: false,
            fetch: NoFetch,
        });
        let bus = Arc::new(MemoryBus::default());
        run(async {
            for event in &events {
                feed(&straight, &MemoryBus::default(), event).await;
            }
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> = shuffled(&events, seed, events.len())
                .into_iter()
                .map(|event| {
                    let (engine, bus) = (Arc::clone(&torn), Arc::clone(&bus));
                    tokio::spawn(async move { feed(&engine, &bus, &event).await })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(state(&straight), state(&torn), "seed {seed}");
        let ids: BTreeSet<_> = events
            .iter()
            .map(|e| {
                serde_json::from_str::<Value>(e).unwrap()["id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(torn.store.commits(), ids.len());
        let published: BTreeSet<_> = bus
            .published()
            .iter()
            .map(|e| e.detail.id.clone())
            .collect();
        let committed: BTreeSet<_> = torn
            .store
            .outboxes()
            .iter()
            .map(|e| e.detail.id.clone())
            .collect();
        assert_eq!(
            published, committed,
            "0 lost, and every repeat has the same id"
        );
    }
}
