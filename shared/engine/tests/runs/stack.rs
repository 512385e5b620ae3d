//! A stack over a fake Stripe.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use paygraph_domain::account::Catalog;
use paygraph_domain::contact::Contact;
use paygraph_domain::fact::Source;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view;
use paygraph_engine::Deadline;
use paygraph_engine::memory::{MemoryBus, MemoryStore};
use paygraph_engine::ports::Runs as _;
use paygraph_engine::process::Engine;
use paygraph_engine::publish::publish;
use paygraph_engine::run::{Drift, Job, Left, Run, RunError, Runner, Scope};
use paygraph_runtime::clock::{Clock as _, SystemClock};
use paygraph_stripe::client::{Connections, InProcess, Limits, Reply};
use paygraph_testkit::fake_stripe::{Config, FakeStripe};
use paygraph_testkit::world::{History, World};
use serde_json::{Value, json};

use crate::stripe_api::{OneTenant, connections, default};

/// More time than any run of a test needs.
const LONG: Duration = Duration::from_secs(600);
pub const START: i64 = 1_700_000_000;

/// A stack: a store, a bus, and a clock that a test sets.
pub struct Stack {
    pub engine: Engine<MemoryStore, fn() -> i64, Connections<OneTenant>>,
    pub bus: MemoryBus,
    runs: AtomicI64,
}

thread_local! {
    /// Where the clock of this thread's stacks stands still, if it does.
    static STOPPED_AT: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Stops the clock of this thread's stacks (Unix seconds).
pub fn stop_clock(at: i64) {
    STOPPED_AT.set(Some(at));
}

pub fn now() -> i64 {
    STOPPED_AT.get().unwrap_or_else(|| SystemClock.now())
}

/// A fake Stripe that answers in the same process.
#[derive(Debug)]
struct Local(Arc<FakeStripe>);

impl InProcess for Local {
    fn answer(&self, method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Reply {
        let (status, headers, body) = self.0.answer(method, path, headers, body);
        Reply {
            status,
            headers,
            body,
        }
    }
}

impl Stack {
    pub fn new(stripe: &FakeStripe) -> Self {
        Self::over(connections(stripe))
    }

    /// A stack over a fake Stripe without a server.
    pub fn in_process(stripe: &Arc<FakeStripe>) -> Self {
        Self::over(in_process(stripe))
    }

    fn over(fetch: Connections<OneTenant>) -> Self {
        Self {
            engine: Engine {
                store: MemoryStore::new(Settings::example().unwrap()).keeping_history(),
                clock: now,
                livemode: false,
                fetch,
            },
            bus: MemoryBus::default(),
            runs: AtomicI64::new(0),
        }
    }

    pub async fn deliver<'a>(&self, events: impl IntoIterator<Item = &'a String>) {
        for event in events {
            let deadline = Deadline::after(Duration::from_secs(60));
            let done = self
                .engine
                .process(&default(), event, Source::Webhook, deadline)
                .await
                .unwrap();
            publish(&self.engine.store, &self.bus, &done.into_entries())
                .await
                .unwrap();
        }
    }

    pub fn begin(&self, job: Job, scope: Scope) -> Run {
        let n = self.runs.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::from_unix(now()).unwrap();
        Run::new(format!("run-{n}"), default(), job, scope, now)
    }

    pub async fn go_on(&self, run: &mut Run) -> Result<Left, RunError> {
        self.go_on_with(run, 0).await
    }

    /// Goes on with a client that waits only so many seconds for Stripe.
    pub async fn go_on_patiently(&self, run: &mut Run, seconds: u64) -> Result<Left, RunError> {
        self.go_on_as(run, 0, seconds, LONG).await
    }

    /// Goes on as an invocation whose time is up: it does what comes next, and no more.
    pub async fn go_on_without_time(&self, run: &mut Run) -> Result<Left, RunError> {
        self.go_on_as(run, 0, 60, Duration::ZERO).await
    }

    pub async fn go_on_with(
        &self,
        run: &mut Run,
        second_look_after: i64,
    ) -> Result<Left, RunError> {
        // As patient as the function: on a busy machine an answer waits while others are taken in.
        self.go_on_as(run, second_look_after, 60, LONG).await
    }

    async fn go_on_as(
        &self,
        run: &mut Run,
        second_look_after: i64,
        patience: u64,
        time: Duration,
    ) -> Result<Left, RunError> {
        let client = self.engine.fetch.client(&default()).await.unwrap().unwrap();
        let runner = Runner {
            engine: &self.engine,
            publisher: &self.bus,
            client: client.patient_for(Duration::from_secs(patience)),
            second_look_after,
            pause: 15,
        };
        let deadline = Deadline::after(time);
        runner.go_on(run, deadline).await
    }

    /// A whole run, with what it found.
    pub async fn run(&self, job: Job, scope: Scope) -> (Run, Vec<Drift>) {
        let mut run = self.begin(job, scope);
        assert_eq!(self.go_on(&mut run).await.unwrap(), Left::Nothing);
        assert!(run.is_complete(), "{:?}", run.counts);
        let drift = self.engine.store.drift(&run).await.unwrap();
        (run, drift)
    }

    /// What the bus was told about customers, by name; what came twice has one id.
    pub fn told(&self) -> BTreeMap<String, usize> {
        let mut told = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for event in self.bus.published() {
            let of_run = event.detail_type.starts_with("run_");
            if !of_run && seen.insert(event.detail.id.clone()) {
                *told.entry(event.detail_type).or_default() += 1;
            }
        }
        told
    }

    /// Commits, but for those by which a run told how far it was.
    pub fn commits(&self) -> usize {
        let told = self.bus.published();
        let of_runs = told
            .iter()
            .filter(|event| event.detail_type.starts_with("run_"));
        self.engine.store.commits() - of_runs.count()
    }

    /// What each contact's billing comes to, as far as Stripe's objects alone can tell.
    pub fn billing(&self) -> BTreeMap<String, Value> {
        let contacts = self.engine.store.contacts();
        let shown = contacts.iter().map(|contact| {
            let mut shown = billing(contact);
            for name in ["access", "payment_method", "plan_name"] {
                shown.as_object_mut().unwrap().remove(name);
            }
            // Of a deleted one Stripe says no more than that.
            let accounts = contact.accounts.iter().map(|(id, of)| match of.deleted {
                true => json!([id]),
                false => json!([id, of.name, of.email, of.company]),
            });
            shown["customers"] = accounts.collect();
            (contact.id.to_string(), shown)
        });
        shown.collect()
    }
}

pub fn billing(contact: &Contact) -> Value {
    let settings = Settings::example().unwrap();
    let now = Timestamp::from_unix(START + 400 * 86_400).unwrap();
    let shown = view::customer(contact, &settings, &Catalog::default(), now);
    serde_json::to_value(shown).unwrap()["billing"].take()
}

/// Every record that one stack has is the other's.
pub fn same(truth: &Stack, other: &Stack) {
    let (truth, other) = (truth.billing(), other.billing());
    for (id, expected) in &truth {
        assert_eq!(other.get(id), Some(expected), "{id}");
    }
    assert_eq!(truth.len(), other.len());
}

pub fn history(seed: u64, customers: u32) -> History {
    World::new("run", seed, START).live(customers, 14).finish()
}

/// Connections to a fake Stripe without a server.
pub fn in_process(stripe: &Arc<FakeStripe>) -> Connections<OneTenant> {
    let limits = Limits {
        share: 1_000_000,
        ..Limits::default()
    };
    Connections::in_process(OneTenant, Arc::new(Local(Arc::clone(stripe))), limits)
}

/// A Stripe without a server that holds a history.
pub fn local(history: &History) -> Arc<FakeStripe> {
    let stripe = FakeStripe::in_process(Config::default().unlimited()).unwrap();
    stripe.own().hold(history);
    Arc::new(stripe)
}

/// A Stripe that has nothing yet.
pub async fn empty() -> FakeStripe {
    FakeStripe::start(Config::default().unlimited())
        .await
        .unwrap()
}

pub async fn holding(history: &History) -> FakeStripe {
    let stripe = empty().await;
    stripe.own().hold(history);
    stripe
}

pub fn whole() -> Scope {
    Scope::default()
}
