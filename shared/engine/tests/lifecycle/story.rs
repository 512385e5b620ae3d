//! A story: Stripe's events one after the other, what each of them told, and the record after it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paygraph_domain::account::Object;
use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_domain::rollup::Context;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view;
use paygraph_engine::Deadline;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::process::Engine;
use paygraph_engine::publish::publish;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

/// When every story begins.
pub const START: i64 = 1_790_000_000;
pub const DAY: i64 = 86_400;
pub const MONTH: i64 = 30 * DAY;

/// What happens once in a life, in whichever order it is heard of.
const ONCE: [&str; 8] = [
    "customer.subscription.trial_will_end",
    "customer_deleted",
    "dispute_closed",
    "dispute_opened",
    "invoice.payment_failed",
    "payment_succeeded",
    "subscription_canceled",
    "subscription_expired",
];

/// What is told as often as when it is heard in order, or less: backwards, a state that has passed
/// already is no news.
const PASSING: [&str; 9] = [
    "cancellation_scheduled",
    "cancellation_unscheduled",
    "coupon_applied",
    "payment_recovered",
    "payment_retries_exhausted",
    "subscription_created",
    "subscription_past_due",
    "trial_converted",
    "trial_started",
];

/// The form of Stripe's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Since 2025-03-31.
    New,
    /// Before.
    Old,
}

pub const SHAPES: [Shape; 2] = [Shape::New, Shape::Old];

/// A name with the word that tells one such event from another, and what it says.
pub type Told = (String, Value);

/// The engine over a store, with a bus.
struct Stage {
    engine: Engine<MemoryStore, StoppedClock>,
    bus: MemoryBus,
    runtime: Runtime,
}

impl Stage {
    fn new() -> Self {
        Self {
            engine: Engine::alone(
                MemoryStore::new(Settings::example().unwrap()),
                StoppedClock::default(),
            ),
            bus: MemoryBus::default(),
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
        }
    }

    fn feed(&self, event: &str, source: Source) -> Vec<Told> {
        let from = self.bus.published().len();
        let tenant = TenantId::parse("default").unwrap();
        let deadline = Deadline::after(Duration::from_secs(60));
        self.runtime.block_on(async {
            let processed = self.engine.process(&tenant, event, source, deadline).await;
            let entries = processed.unwrap().into_entries();
            publish(&self.engine.store, &self.bus, &entries)
                .await
                .unwrap();
        });
        self.told(from)
    }

    fn tick(&self, at: Timestamp) -> Vec<Told> {
        let from = self.bus.published().len();
        let deadline = Deadline::after(Duration::from_secs(60));
        let ticked = self
            .runtime
            .block_on(self.engine.tick(&self.bus, at, deadline));
        assert_eq!(ticked.unwrap().failed, 0);
        self.told(from)
    }

    /// What is on the bus, without Stripe's own events.
    fn told(&self, from: usize) -> Vec<Told> {
        let published = self.bus.published().split_off(from).into_iter();
        let own = published.filter(|event| !event.detail_type.starts_with("stripe."));
        own.map(|event| {
            (
                named(&event.detail_type, &event.detail.data),
                event.detail.data.clone(),
            )
        })
        .collect()
    }

    /// All that the API shows: customers, subscriptions, invoices.
    fn shown(&self, now: Timestamp) -> Value {
        let settings = Settings::example().unwrap();
        let store = &self.engine.store;
        let catalog = store.whole_catalog(&TenantId::parse("default").unwrap());
        let context = Context {
            settings: &settings,
            catalog: &catalog,
            now,
        };
        let contacts = store.contacts();
        let customers: BTreeMap<_, _> = contacts
            .iter()
            .map(|contact| {
                let shown = view::customer(contact, &settings, &catalog, now);
                (contact.id.to_string(), json!(shown))
            })
            .collect();
        let (mut subscriptions, mut invoices) = (BTreeMap::new(), BTreeMap::new());
        for (customer, account, beside) in store.accounts() {
            for (id, stored) in &account.subscriptions {
                let shown = view::subscription(&customer, &stored.value, &account, context);
                subscriptions.insert(id.to_string(), json!(shown));
            }
            for object in beside {
                if let Object::Invoice(state) = object {
                    let rollup = contacts.iter().find_map(|c| c.accounts.get(&customer));
                    let shown = view::invoice(&customer, &state, rollup.map(|r| &r.totals));
                    invoices.insert(shown.id.to_string(), json!(shown));
                }
            }
        }
        let rollups = contacts
            .iter()
            .flat_map(|contact| contact.accounts.values());
        let refetch: BTreeSet<_> = rollups.flat_map(|r| r.needs_refetch.clone()).collect();
        let parked = store.all_parked().len();
        json!({ "customers": customers, "subscriptions": subscriptions, "invoices": invoices,
            "needs_refetch": refetch, "parked": parked })
    }
}

fn named(name: &str, data: &Value) -> String {
    let word = match name {
        "billing_status_changed" | "access_changed" => &data["after"],
        "subscription_updated" => &data["change"],
        "risk_signal_raised" | "risk_signal_cleared" => &data["kind"],
        "segment_entered" | "segment_left" => &data["segment"],
        _ => return name.to_owned(),
    };
    format!("{name} {}", word.as_str().unwrap())
}

/// What happens to one customer at Stripe, told as it happens.
pub struct Story {
    stage: Stage,
    shape: Shape,
    now: i64,
    events: Vec<String>,
}

impl Story {
    pub fn new() -> Self {
        Self::of(Shape::New)
    }

    pub fn of(shape: Shape) -> Self {
        Self {
            stage: Stage::new(),
            shape,
            now: START,
            events: Vec::new(),
        }
    }

    pub fn now(&self) -> i64 {
        self.now
    }

    /// Time passes.
    pub fn pass(&mut self, seconds: i64) {
        self.now += seconds;
    }

    /// Stripe sends an event about an object. Gives the names of what that tells.
    pub fn send(&mut self, kind: &str, object: &Value) -> Vec<String> {
        self.deliver(kind, object, None)
    }

    /// An object changes, and Stripe sends what it was before.
    pub fn update(&mut self, kind: &str, object: &mut Value, fields: Value) -> Vec<String> {
        let before = self.shape.of(kind, object);
        set(object, fields);
        let after = self.shape.of(kind, object);
        let mut replaced = Map::new();
        for (name, value) in before.as_object().unwrap() {
            if after[name] != *value {
                replaced.insert(name.clone(), value.clone());
            }
        }
        self.deliver(kind, object, Some(Value::Object(replaced)))
    }

    fn deliver(&mut self, kind: &str, object: &Value, replaced: Option<Value>) -> Vec<String> {
        // Names that sort against the order of time: nothing may read them.
        let id = format!("evt_{:04}", 9_999 - self.events.len());
        let mut event = json!({
            "id": id, "object": "event", "type": kind, "created": self.now, "livemode": false,
            "data": { "object": self.shape.of(kind, object) },
        });
        if let Some(replaced) = replaced {
            event["data"]["previous_attributes"] = replaced;
        }
        let event = event.to_string();
        let told = self.stage.feed(&event, Source::Webhook);
        self.events.push(event);
        names(&told)
    }

    /// The newest event is told once more, under another id.
    pub fn again(&mut self) -> Vec<String> {
        let mut event: Value = serde_json::from_str(self.events.last().unwrap()).unwrap();
        event["id"] = json!(format!("evt_{:04}", 9_999 - self.events.len()));
        let event = event.to_string();
        let told = self.stage.feed(&event, Source::Webhook);
        self.events.push(event);
        names(&told)
    }

    /// Another path brings an object as it was at an instant.
    pub fn bring(&self, source: Source, kind: &str, at: i64, object: &Value) -> Vec<String> {
        let event = json!({
            "id": format!("evt_{source:?}{at}"), "type": kind, "created": at, "livemode": false,
            "data": { "object": object },
        });
        names(&self.stage.feed(&event.to_string(), source))
    }

    /// The minute tick comes round.
    pub fn tick(&self) -> Vec<String> {
        names(&self.stage.tick(self.instant()))
    }

    fn instant(&self) -> Timestamp {
        Timestamp::from_unix(self.now).unwrap()
    }

    /// All that the API shows now.
    pub fn shown(&self) -> Value {
        self.stage.shown(self.instant())
    }

    /// The customer's record; there is one.
    pub fn customer(&self) -> Value {
        let shown = self.shown();
        let customers = shown["customers"].as_object().unwrap();
        assert_eq!(customers.len(), 1);
        customers.values().next().unwrap().clone()
    }

    /// The billing state of the one customer.
    pub fn billing(&self) -> Value {
        self.customer()["billing"].clone()
    }

    /// Status, tier, MRR, level of access.
    pub fn brief(&self) -> Value {
        let billing = self.billing();
        json!([
            billing["billing_status"],
            billing["tier"],
            billing["mrr"],
            billing["access"]["level"]
        ])
    }

    /// The kinds of the signals that are up.
    pub fn signals(&self) -> Vec<String> {
        let customer = self.customer();
        let signals = customer["risk_signals"].as_array().unwrap();
        let kinds = signals
            .iter()
            .map(|signal| signal["kind"].as_str().unwrap());
        kinds.map(ToOwned::to_owned).collect()
    }

    /// Whether the customer is in a segment.
    pub fn is_in(&self, segment: &str) -> bool {
        self.customer()["segments"]
            .as_array()
            .unwrap()
            .contains(&json!(segment))
    }

    pub fn subscription(&self, id: &str) -> Value {
        self.shown()["subscriptions"][id].clone()
    }

    pub fn invoice(&self, id: &str) -> Value {
        self.shown()["invoices"][id].clone()
    }

    pub fn needs_refetch(&self) -> Value {
        self.shown()["needs_refetch"].clone()
    }

    /// What the events of this name said, in order.
    pub fn said(&self, name: &str) -> Vec<Value> {
        let told = self.stage.told(0).into_iter();
        told.filter(|(told, _)| told.split(' ').next() == Some(name))
            .map(|(_, data)| data)
            .collect()
    }

    /// Plays the story again: every event twice, backwards, and shuffled. The end is always the
    /// same, and what comes twice is told once.
    pub fn ends_the_same(&self) {
        let now = self.instant();
        let shown = self.shown();
        let mut in_order = self.events.clone();
        in_order.sort_by_key(|event| {
            let event: Value = serde_json::from_str(event).unwrap();
            event["created"].as_i64()
        });
        let straight = play(&in_order);
        assert_eq!(straight.shown(now), shown, "without the ticks");
        let once = straight.told(0);
        let backwards = self.events.iter().rev().cloned().collect();
        let mut orders = vec![self.events.clone(), backwards];
        for seed in 0..6 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut shuffled = self.events.clone();
            random.shuffle(&mut shuffled);
            orders.push(shuffled);
        }
        for (n, order) in orders.iter().enumerate() {
            let single = play(order);
            let told = single.told(0);
            assert_eq!(single.shown(now), shown, "{order:#?}");
            let mut twice = order.clone();
            twice.extend_from_slice(order);
            if n % 2 == 0 {
                twice = order.iter().flat_map(|e| [e.clone(), e.clone()]).collect();
            }
            let repeated = play(&twice);
            assert_eq!(repeated.shown(now), shown);
            assert_eq!(repeated.told(0), told, "a repeat was told");
            let count = |told: &[Told], name| told.iter().filter(|(n, _)| n == name).count();
            for name in ONCE {
                assert_eq!(count(&told, name), count(&once, name), "{name}: {order:#?}");
            }
            for name in PASSING {
                assert!(
                    count(&told, name) <= count(&once, name),
                    "{name}: {order:#?}"
                );
            }
        }
    }
}

fn play(events: &[String]) -> Stage {
    let stage = Stage::new();
    for event in events {
        stage.feed(event, Source::Webhook);
    }
    stage
}

fn names(told: &[Told]) -> Vec<String> {
    told.iter().map(|(name, _)| name.clone()).collect()
}

/// An instant as the API writes it.
pub fn rfc(seconds: i64) -> Value {
    json!(Timestamp::from_unix(seconds).unwrap().to_string())
}

/// Sets fields of an object.
pub fn set(object: &mut Value, fields: Value) {
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
        object.extend(fields);
    }
}

impl Shape {
    /// An object, which is written in the new form, in this form.
    fn of(self, kind: &str, object: &Value) -> Value {
        let mut object = object.clone();
        if self == Self::New {
            return object;
        }
        if kind.starts_with("customer.subscription.") {
            for name in ["current_period_start", "current_period_end"] {
                object[name] = object["items"]["data"][0][name].clone();
                for item in object["items"]["data"].as_array_mut().unwrap() {
                    item.as_object_mut().unwrap().remove(name);
                }
            }
        } else if kind.starts_with("invoice.") {
            let parent = object.as_object_mut().unwrap().remove("parent").unwrap();
            object["subscription"] = parent["subscription_details"]["subscription"].clone();
            object["paid"] = json!(object["status"] == "paid");
        }
        object
    }
}

/// An item of a subscription whose period began with the story.
pub fn item(id: &str, price: Value, quantity: u64) -> Value {
    json!({
        "id": id, "object": "subscription_item", "price": price, "quantity": quantity,
        "current_period_start": START, "current_period_end": START + MONTH,
        "discounts": [], "tax_rates": [],
    })
}

/// A subscription of `cus_1`.
pub fn subscription(id: &str, status: &str, items: Vec<Value>) -> Value {
    json!({
        "id": id, "object": "subscription", "customer": "cus_1", "status": status,
        "currency": "usd", "created": START, "start_date": START, "ended_at": null,
        "canceled_at": null, "cancel_at": null, "cancel_at_period_end": false,
        "cancellation_details": { "reason": null, "feedback": null, "comment": null },
        "trial_start": null, "trial_end": null, "pause_collection": null, "schedule": null,
        "collection_method": "charge_automatically", "discounts": [], "default_tax_rates": [],
        "metadata": {}, "latest_invoice": null,
        "items": items_of(items),
    })
}

pub fn items_of(items: Vec<Value>) -> Value {
    json!({ "object": "list", "has_more": false, "data": items })
}

/// The fields with which a subscription ends.
pub fn ended(at: i64, reason: &str) -> Value {
    json!({
        "status": "canceled", "ended_at": at, "canceled_at": at,
        "cancellation_details": { "reason": reason, "feedback": null, "comment": null },
    })
}

/// An open invoice of `cus_1` that was not tried yet.
pub fn invoice(id: &str, subscription: &str, amount: i64, created: i64) -> Value {
    json!({
        "id": id, "object": "invoice", "customer": "cus_1", "status": "open", "currency": "usd",
        "amount_due": amount, "amount_paid": 0, "total": amount, "created": created,
        "due_date": null, "attempt_count": 0, "next_payment_attempt": created + 3_600,
        "collection_method": "charge_automatically", "billing_reason": "subscription_cycle",
        "status_transitions": { "paid_at": null },
        "parent": { "type": "subscription_details",
                    "subscription_details": { "subscription": subscription } },
        "lines": { "object": "list", "has_more": false, "data": [] },
    })
}

/// The fields of an invoice that is paid at its next attempt.
pub fn paid(invoice: &Value, at: i64) -> Value {
    json!({
        "status": "paid", "amount_paid": invoice["amount_due"], "next_payment_attempt": null,
        "attempt_count": invoice["attempt_count"].as_i64().unwrap() + 1,
        "status_transitions": { "paid_at": at },
    })
}

/// The fields of an invoice whose next attempt fails.
pub fn failed(invoice: &Value, next: Option<i64>) -> Value {
    let count = invoice["attempt_count"].as_i64().unwrap() + 1;
    json!({ "attempt_count": count, "next_payment_attempt": next })
}

/// A charge of `cus_1` that went through.
pub fn charge(id: &str, amount: i64) -> Value {
    json!({
        "id": id, "object": "charge", "customer": "cus_1", "status": "succeeded",
        "currency": "usd", "amount": amount, "amount_refunded": 0, "refunded": false,
        "payment_intent": format!("pi_{id}"), "failure_code": null, "created": START,
    })
}
