//! What the tests of whole histories share: an engine over a store in memory, its deliveries, and
//! all that can be seen of its state.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paygraph_domain::account::Catalog;
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view;
use paygraph_engine::Deadline;
use paygraph_engine::fetch::Fetch;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::process::{Done, Engine};
use paygraph_engine::publish::publish;
use serde_json::{Value, json};

pub type TestEngine = Engine<MemoryStore, StoppedClock>;

pub fn engine() -> TestEngine {
    over(MemoryStore::new(Settings::example().unwrap()).keeping_history())
}

/// An engine whose reads are torn by concurrent commits.
pub fn torn_engine() -> TestEngine {
    over(
        MemoryStore::new(Settings::example().unwrap())
            .tearing()
            .keeping_history(),
    )
}

fn over(store: MemoryStore) -> TestEngine {
    Engine::alone(store, StoppedClock::default())
}

pub fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

pub fn id(text: &str) -> CustomerId {
    CustomerId::parse(text).unwrap()
}

pub fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// Delivers a webhook: what happened to an object, and in which second.
pub async fn tell<F: Fetch>(
    engine: &Engine<MemoryStore, StoppedClock, F>,
    deadline: Deadline,
    (id, kind, t): (&str, &str, i64),
    object: &Value,
) {
    let event = json!({
        "id": id, "type": kind, "created": t, "livemode": false, "data": { "object": object },
    });
    let (tenant, text) = (tenant(), event.to_string());
    let processed = engine.process(&tenant, &text, Source::Webhook, deadline);
    processed.await.unwrap();
}

pub async fn feed(engine: &TestEngine, bus: &MemoryBus, event: &str) -> Done {
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

pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// All that a reader can see, and the objects beneath, without what counts commits.
pub fn state(engine: &TestEngine) -> Value {
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
        .map(|r| (&r.totals.payments, &r.totals.refunded))
        .collect();
    json!([view, needs, totals])
}

pub fn shuffled(events: &[String], seed: u64, duplicates: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut events: Vec<_> = events.to_vec();
    for _ in 0..duplicates {
        events.push(events[random.usize(0..events.len())].clone());
    }
    random.shuffle(&mut events);
    events
}

/// Every place in which two values differ.
pub fn differences(place: &str, a: &Value, b: &Value, found: &mut Vec<String>) {
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

/// How many histories there are when nobody says otherwise.
const HISTORIES: u64 = 300;
/// The distance between the first seeds of two days.
const OF_A_DAY: u64 = 100_000;

/// The seeds of a test over whole histories: `PAYGRAPH_HISTORIES` from `PAYGRAPH_SEED` on. Without
/// these there are 300, and the first one changes every day. They are printed, so that a failure can
/// be repeated.
pub fn seeds(name: &str) -> std::ops::Range<u64> {
    seeds_of(name, "PAYGRAPH_HISTORIES", HISTORIES)
}

/// The same with another variable for how many there are, and another number without it.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test has no other way to be told, and tells how it can be repeated"
)]
pub fn seeds_of(name: &str, variable: &str, default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let today = since.unwrap().as_secs() / 86_400 * OF_A_DAY;
    let first = number("PAYGRAPH_SEED").unwrap_or(today);
    let count = number(variable).unwrap_or(default);
    println!("{name}: PAYGRAPH_SEED={first} {variable}={count}");
    first..first + count
}
