//! Runs over everything that Stripe has, from a fake one over HTTP: the import of history, and the
//! comparison that heals.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

use std::collections::{BTreeMap, BTreeSet};
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
use paygraph_engine::ports::{Runs as _, Store as _};
use paygraph_engine::process::Engine;
use paygraph_engine::publish::publish;
use paygraph_engine::run::{Class, Drift, Job, Left, Outcome, Run, RunError, Runner, Scope};
use paygraph_runtime::clock::{Clock as _, SystemClock};
use paygraph_stripe::client::Connections;
use paygraph_testkit::fake_stripe::{Config, FakeStripe, Fault, FaultKind, Lazy};
use paygraph_testkit::world::{History, World, price};
use serde_json::{Value, json};

use crate::schemas::Judge;
use crate::stripe_api::{OneTenant, connections, default};

pub const START: i64 = 1_700_000_000;

/// A stack: a store, a bus, and a clock that a test sets.
pub struct Stack {
    pub engine: Engine<MemoryStore, fn() -> i64, Connections<OneTenant>>,
    pub bus: MemoryBus,
    runs: AtomicI64,
}

fn now() -> i64 {
    SystemClock.now()
}

impl Stack {
    pub fn new(stripe: &FakeStripe) -> Self {
        Self {
            engine: Engine {
                store: MemoryStore::new(Settings::example().unwrap()).keeping_history(),
                clock: now,
                livemode: false,
                fetch: connections(stripe),
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

    fn begin(&self, job: Job, scope: Scope) -> Run {
        let n = self.runs.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::from_unix(now()).unwrap();
        Run::new(format!("run-{n}"), default(), job, scope, now)
    }

    async fn go_on(&self, run: &mut Run) -> Result<Left, RunError> {
        self.go_on_with(run, 0).await
    }

    async fn go_on_with(&self, run: &mut Run, second_look_after: i64) -> Result<Left, RunError> {
        let client = self.engine.fetch.client(&default()).await.unwrap().unwrap();
        let runner = Runner {
            engine: &self.engine,
            publisher: &self.bus,
            client,
            second_look_after,
        };
        let deadline = Deadline::after(Duration::from_secs(600));
        runner.go_on(run, deadline).await
    }

    /// A whole run, with what it found.
    async fn run(&self, job: Job, scope: Scope) -> (Run, Vec<Drift>) {
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
    fn commits(&self) -> usize {
        let told = self.bus.published();
        let of_runs = told
            .iter()
            .filter(|event| event.detail_type.starts_with("run_"));
        self.engine.store.commits() - of_runs.count()
    }

    /// What each contact's billing comes to, as far as Stripe's objects alone can tell.
    fn billing(&self) -> BTreeMap<String, Value> {
        let contacts = self.engine.store.contacts();
        let shown = contacts.iter().map(|contact| {
            let mut shown = billing(contact);
            for name in ["access", "payment_method", "plan_name"] {
                shown.as_object_mut().unwrap().remove(name);
            }
            (contact.id.to_string(), shown)
        });
        shown.collect()
    }
}

fn billing(contact: &Contact) -> Value {
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

pub async fn holding(history: &History) -> FakeStripe {
    let stripe = FakeStripe::start(Config::default().unlimited())
        .await
        .unwrap();
    stripe.own().hold(history);
    stripe
}

fn whole() -> Scope {
    Scope::default()
}

/// N10, N21: the objects are listed, and not the events; what they tell is what the events told, and
/// the bus hears of nothing that is past. A second import changes nothing.
#[tokio::test]
async fn n10_n21_an_import_comes_to_what_the_events_told() {
    let history = history(3, 60);
    let stripe = holding(&history).await;
    let (events, import) = (Stack::new(&stripe), Stack::new(&stripe));
    events.deliver(&history.events).await;
    let (run, _) = import.run(Job::Backfill, whole()).await;
    same(&events, &import);
    assert!(run.counts.checked() > 300);
    let told = import.told();
    let names: Vec<_> = told.keys().map(String::as_str).collect();
    assert_eq!(names, ["customer_synced"]);
    assert_eq!(told["customer_synced"], history.truths.len());

    let commits = import.commits();
    let (again, _) = import.run(Job::Backfill, whole()).await;
    assert_eq!((again.counts.committed, import.told()), (0, told));
    assert_eq!(import.commits(), commits);
}

/// N11, N12, N14: a tenth of the webhooks never came. The comparison heals every record and names
/// every difference; the next one finds nothing, and says nothing.
#[tokio::test]
async fn n11_n12_n14_what_webhooks_missed_is_healed() {
    let history = history(5, 60);
    let stripe = holding(&history).await;
    let (truth, stack) = (Stack::new(&stripe), Stack::new(&stripe));
    truth.deliver(&history.events).await;
    let mut random = fastrand::Rng::with_seed(7);
    let kept = history.events.iter().filter(|_| random.u32(0..10) > 0);
    stack.deliver(kept).await;
    let before = stack.billing();
    assert_ne!(before, truth.billing());

    let (looked, dry) = stack
        .run(
            Job::Reconcile,
            Scope {
                dry_run: true,
                ..whole()
            },
        )
        .await;
    assert!(dry.iter().all(|drift| drift.outcome == Outcome::DryRun));
    assert_eq!((stack.billing(), looked.counts.committed), (before, 0));

    let (_, drift) = stack.run(Job::Reconcile, whole()).await;
    same(&truth, &stack);
    assert!(!drift.is_empty());
    let objects = |drift: &[Drift]| -> Vec<_> { drift.iter().map(|d| d.object.clone()).collect() };
    assert_eq!(objects(&drift), objects(&dry));
    let told = stack.told();
    assert_eq!(told["drift_detected"], drift.len());

    let commits = stack.commits();
    let (_, drift) = stack.run(Job::Reconcile, whole()).await;
    assert_eq!((drift, stack.told()), (Vec::new(), told));
    assert_eq!(stack.commits(), commits);
}

/// N8, N9: Stripe answers as it does on a bad day; the run is complete only when every range is.
#[tokio::test]
async fn n8_n9_a_run_is_complete_only_when_every_range_is() {
    let history = history(11, 20);
    let stripe = holding(&history).await;
    let (truth, stack) = (Stack::new(&stripe), Stack::new(&stripe));
    truth.run(Job::Backfill, whole()).await;
    stripe.faults([Fault::next(1_000, "/v1/invoices", FaultKind::Revoked)]);
    let mut run = stack.begin(Job::Backfill, whole());
    let refused = stack.go_on(&mut run).await.unwrap_err();
    assert!(
        refused.to_string().starts_with("reading invoices"),
        "{refused}"
    );
    assert!(!run.is_finished());
    assert_eq!(
        (&run.problem, run.stopped),
        (&Some(refused.to_string()), true)
    );
    stripe.faults([
        Fault::share(20, "/v1/", FaultKind::Broken),
        Fault::share(20, "/v1/", FaultKind::Html),
    ]);
    assert_eq!(stack.go_on(&mut run).await.unwrap(), Left::Nothing);
    assert!(run.is_complete());
    assert_eq!(stack.billing(), truth.billing());
}

/// N7, N8: an import that is killed twenty times is completed by whoever takes it up, reads no more
/// again than a page of each range and kill, and comes to the same.
#[tokio::test]
async fn n7_n8_an_import_survives_twenty_kills() {
    let stripe = FakeStripe::start(Config::with_world(Lazy::of(400)).unlimited())
        .await
        .unwrap();
    let (truth, stack) = (Stack::new(&stripe), Stack::new(&stripe));
    let (straight, _) = truth.run(Job::Backfill, whole()).await;
    let mut random = fastrand::Rng::with_seed(3);
    // What is asked for by its id, beside the pages.
    let single = stripe.stats().requests - straight.counts.pages;
    stripe.reset_stats();
    let (mut run, mut kills, mut ranges) = (stack.begin(Job::Backfill, whole()), 0, 0);
    while kills < 20 {
        let patience = Duration::from_millis(random.u64(5..60));
        match tokio::time::timeout(patience, stack.go_on(&mut run)).await {
            Ok(left) => {
                left.unwrap();
                break;
            }
            Err(_) => kills += 1,
        }
        // Whoever takes it up knows what was noted, once the lease is over.
        let store = &stack.engine.store;
        let noted = store.run(&default(), &run.id).await.unwrap();
        run = noted.unwrap_or_else(|| stack.begin(Job::Backfill, whole()));
        ranges += run.ranges.len().max(1);
        store.end_leases();
    }
    if !run.is_finished() {
        assert_eq!(stack.go_on(&mut run).await.unwrap(), Left::Nothing);
    }
    assert!(kills > 5, "{kills}");
    assert!(run.is_complete());
    assert_eq!(stack.billing(), truth.billing());
    assert_eq!(run.counts.objects, straight.counts.objects);
    let pages = usize::try_from(run.counts.pages).unwrap();
    let requests = usize::try_from(stripe.stats().requests - single).unwrap();
    assert!(
        requests <= pages + ranges,
        "{requests} > {pages} + {ranges}"
    );
    // What was committed and not published, the minute's sweep publishes.
    let soon = Timestamp::from_unix(now() + 60).unwrap();
    let left = stack.engine.store.pending(soon, 10_000).await.unwrap();
    publish(&stack.engine.store, &stack.bus, &left)
        .await
        .unwrap();
    assert_eq!(stack.told(), truth.told());
}

/// N22: what a webhook brought between the two looks was on its way, and is no drift. D15, D16: a
/// page that is older than a live event changes nothing, and one transition is told once.
#[tokio::test]
async fn d15_d16_n22_what_was_on_its_way_is_no_drift() {
    let history = history(17, 30);
    let stripe = holding(&history).await;
    let stack = Stack::new(&stripe);
    let late = history.events.len() * 9 / 10;
    stack.deliver(&history.events[..late]).await;
    let mut run = stack.begin(Job::Reconcile, whole());
    let later = stack.go_on_with(&mut run, 300).await.unwrap();
    assert!(matches!(later, Left::Later(at) if at > run.started_at.plus(290)));
    assert!(run.counts.differed > 0);
    stack.deliver(&history.events[late..]).await;
    let told = stack.told();
    run.second_look_at = Some(run.started_at);
    assert_eq!(stack.go_on(&mut run).await.unwrap(), Left::Nothing);
    let drift = stack.engine.store.drift(&run).await.unwrap();
    assert_eq!((drift, stack.told()), (Vec::new(), told));
    assert_eq!(run.counts.in_flight, run.counts.differed);
}

/// What changed inside another object, or leads to it, is named and healed as what it is: a refund
/// that never came, and the payment method of a subscription.
#[tokio::test]
async fn what_belongs_to_another_object_is_healed_by_its_own_id() {
    let stripe = FakeStripe::start(Config::default().unlimited())
        .await
        .unwrap();
    let stack = Stack::new(&stripe);
    let mut held = subscription("sub_1", &priced("price_small", 2_900), "active");
    held["default_payment_method"] = json!("pm_1");
    let method = |year: u64| {
        json!({ "id": "pm_1", "object": "payment_method", "type": "card", "created": START,
            "customer": "cus_sub_1",
            "card": { "brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": year } })
    };
    let charge = |refunded: u64| {
        json!({ "id": "ch_1", "object": "charge", "created": START, "customer": "cus_sub_1",
            "amount": 2_900, "amount_captured": 2_900, "amount_refunded": refunded, "currency": "usd",
            "status": "succeeded", "paid": true, "captured": true, "refunded": false })
    };
    let refund = json!({ "id": "re_1", "object": "refund", "created": START + 1, "charge": "ch_1",
        "amount": 900, "currency": "usd", "status": "succeeded" });
    let customer = json!({ "id": "cus_sub_1", "object": "customer", "created": START,
        "invoice_settings": {}, "metadata": {} });
    for object in [&customer, &held, &method(2030), &charge(0)] {
        stripe.put(object.clone());
    }
    stack.run(Job::Backfill, whole()).await;
    for object in [method(2034), charge(900), refund] {
        stripe.put(object);
    }
    let (_, drift) = stack.run(Job::Reconcile, whole()).await;
    let healed: Vec<_> = drift
        .iter()
        .map(|drift| (drift.object.as_str(), drift.outcome))
        .collect();
    assert!(healed.contains(&("pm_1", Outcome::Healed)), "{healed:?}");
    assert!(healed.contains(&("ch_1", Outcome::Healed)), "{healed:?}");
    let contact = &stack.engine.store.contacts()[0];
    assert_eq!(billing(contact)["payment_method"]["exp_year"], 2034);
    let (_, again) = stack.run(Job::Reconcile, whole()).await;
    assert_eq!(again, Vec::new());
}

/// One object, or all of one customer, is taken over at once.
#[tokio::test]
async fn one_object_is_taken_over_by_its_id() {
    let history = history(23, 8);
    let stripe = holding(&history).await;
    let (truth, stack) = (Stack::new(&stripe), Stack::new(&stripe));
    truth.deliver(&history.events).await;
    let of = |object: &str| Scope {
        object: Some(object.to_owned()),
        ..whole()
    };
    for truth in &history.truths {
        let (run, drift) = stack.run(Job::Reconcile, of(&truth.customer)).await;
        assert!(run.counts.checked() > 1);
        assert!(drift.iter().all(|drift| drift.outcome == Outcome::Healed));
    }
    same(&truth, &stack);
    let mut run = stack.begin(Job::Reconcile, of("sub_none"));
    assert_eq!(stack.go_on(&mut run).await.unwrap(), Left::Nothing);
    assert_eq!(run.counts.failed["sub_none"], "Stripe does not have it");
}

/// A class that somebody wants to look at first is told, and stays as it is here.
#[tokio::test]
async fn what_is_to_be_reviewed_is_not_healed() {
    let stripe = FakeStripe::start(Config::default().unlimited())
        .await
        .unwrap();
    let mut stack = Stack::new(&stripe);
    let mut settings = Settings::example().unwrap();
    settings.review_drift.insert(Class::PlanMismatch);
    stack.engine.store = MemoryStore::new(settings).keeping_history();
    leaking(&stripe, &stack).await;
    for _ in 0..2 {
        let (_, drift) = stack.run(Job::Reconcile, whole()).await;
        let up = drift.iter().find(|drift| drift.object == "sub_up").unwrap();
        assert_eq!(
            (up.class, up.outcome),
            (Class::PlanMismatch, Outcome::Review)
        );
    }
    let plans = stack.billing();
    assert_eq!(plans["cus_sub_up"]["plan"], "price_small");
    assert_eq!(plans["cus_sub_gone"]["billing_status"], "canceled");
}

fn priced(id: &str, amount: u64) -> Value {
    let mut price = price(1);
    price["id"] = json!(id);
    price["unit_amount"] = json!(amount);
    price["unit_amount_decimal"] = json!(amount.to_string());
    price
}

fn subscription(id: &str, price: &Value, status: &str) -> Value {
    json!({
        "id": id, "object": "subscription", "customer": format!("cus_{id}"), "status": status,
        "currency": "usd", "created": START, "discounts": [],
        "items": { "object": "list", "has_more": false, "url": "/v1/subscription_items",
            "data": [{ "id": "si_1", "object": "subscription_item", "price": price, "quantity": 1 }] },
    })
}

/// An invoice over 50 dollars that was tried so often.
fn invoice(subscription: &str, reason: &str, attempts: u64, next: Option<i64>) -> Value {
    json!({
        "id": format!("in_{subscription}"), "object": "invoice", "status": "open",
        "customer": format!("cus_{subscription}"), "currency": "usd", "created": START,
        "amount_due": 5_000, "amount_paid": 0, "amount_remaining": 5_000, "total": 5_000,
        "attempt_count": attempts, "attempted": attempts > 0, "next_payment_attempt": next,
        "collection_method": "charge_automatically", "billing_reason": reason,
        "parent": { "type": "subscription_details",
            "subscription_details": { "subscription": subscription } },
        "lines": { "object": "list", "has_more": false, "data": [] },
    })
}

/// What Stripe tells us, and what it has.
async fn leaking(stripe: &FakeStripe, stack: &Stack) {
    let (small, large) = (priced("price_small", 2_900), priced("price_large", 9_900));
    let tomorrow = Some(START + 86_400);
    let ours = [
        subscription("sub_gone", &large, "active"),
        subscription("sub_up", &small, "active"),
        subscription("sub_dunning", &small, "past_due"),
        subscription("sub_unpaid", &large, "active"),
        subscription("sub_missing", &small, "active"),
        invoice("sub_dunning", "subscription_cycle", 1, tomorrow),
        invoice("sub_unpaid", "subscription_update", 1, tomorrow),
    ];
    for (n, object) in ours.into_iter().enumerate() {
        let kind = match object["object"].as_str() {
            Some("invoice") => "invoice.created",
            _ => "customer.subscription.created",
        };
        let event = json!({ "id": format!("evt_{n}"), "type": kind, "created": START + 5,
            "livemode": false, "data": { "object": object } });
        stack.deliver([&event.to_string()]).await;
    }
    for theirs in [
        subscription("sub_gone", &large, "canceled"),
        subscription("sub_up", &large, "active"),
        subscription("sub_dunning", &small, "past_due"),
        subscription("sub_unpaid", &large, "active"),
        subscription("sub_new", &small, "active"),
        invoice("sub_dunning", "subscription_cycle", 4, None),
        invoice("sub_unpaid", "subscription_update", 1, tomorrow),
    ] {
        let customer = &theirs["customer"];
        stripe.put(
            json!({ "id": customer, "object": "customer", "created": START,
            "invoice_settings": {}, "metadata": {} }),
        );
        stripe.put(theirs);
    }
}

/// The leaks of the field, each with its class and its money: canceled there and active here, a
/// higher plan there, retries exhausted and nobody told, an upgrade that nobody paid, what one side
/// does not have.
#[tokio::test]
async fn the_leaks_are_named_with_their_money() {
    let stripe = FakeStripe::start(Config::default().unlimited())
        .await
        .unwrap();
    let stack = Stack::new(&stripe);
    leaking(&stripe, &stack).await;
    let (_, drift) = stack.run(Job::Reconcile, whole()).await;
    let found = |object: &str| drift.iter().find(|drift| drift.object == object).unwrap();
    for (object, class, money, outcome) in [
        ("sub_gone", Class::StatusMismatch, 9_900, Outcome::Healed),
        ("sub_up", Class::PlanMismatch, 7_000, Outcome::Healed),
        (
            "in_sub_dunning",
            Class::SilentDunning,
            5_000,
            Outcome::Healed,
        ),
        (
            "in_sub_unpaid",
            Class::UnpaidUpgrade,
            5_000,
            Outcome::Review,
        ),
        ("sub_missing", Class::MissingInStripe, 0, Outcome::Review),
        ("sub_new", Class::MissingLocal, 2_900, Outcome::Healed),
    ] {
        let drift = found(object);
        assert_eq!((drift.class, drift.outcome), (class, outcome), "{object}");
        let sum = drift.money_per_month.get("usd").copied().unwrap_or(0);
        assert_eq!(sum, money, "{object}");
    }
    let (active, none) = (json!("active"), Value::Null);
    let (small, large) = (json!("price_small"), json!("price_large"));
    for (object, field, local, theirs) in [
        ("sub_gone", Some("status"), &active, &json!("canceled")),
        ("sub_up", Some("plan"), &small, &large),
        (
            "in_sub_unpaid",
            Some("latest_invoice"),
            &large,
            &json!("in_sub_unpaid"),
        ),
        ("sub_missing", None, &active, &none),
        ("sub_new", None, &none, &active),
    ] {
        let drift = found(object);
        assert_eq!(drift.field.as_deref(), field, "{object}");
        assert_eq!((&drift.local, &drift.stripe), (local, theirs), "{object}");
    }
    let mut judge = Judge::new();
    for event in stack.bus.published() {
        judge.check(&event);
    }
    // What waits for a person is found again, and told no more.
    let told = stack.told();
    let (_, again) = stack.run(Job::Reconcile, whole()).await;
    let left: Vec<_> = again.iter().map(|drift| drift.object.as_str()).collect();
    assert_eq!(left, ["sub_missing", "in_sub_unpaid"]);
    assert_eq!(stack.told(), told);
    assert_eq!(
        (
            told["payment_retries_exhausted"],
            told["subscription_canceled"]
        ),
        (1, 1)
    );
}
