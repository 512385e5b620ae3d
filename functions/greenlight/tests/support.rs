//! What all of them share: an engine, Stripe's events, and the target.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::ports::Clock;
use paygraph_engine::process::Engine;
use paygraph_greenlight::handler::Target;
use paygraph_greenlight::log::Log;
use paygraph_greenlight::nats::Nats;
use paygraph_runtime::config::GreenlightEntity;
use paygraph_runtime::secrets::{SecretSource, SecretsError};
use secrecy::SecretString;
use serde_json::{Value, json};

pub const NOW: i64 = 1_790_000_000;
pub const DAY: i64 = 86_400;
pub const INDIVIDUAL: &str = "price_1SWQXAChUUSEbzyhAykgEy5K";
pub const PRO: &str = "price_1ShMKtChUUSEbzyhitCMw6z3";
pub const TEAM: &str = "price_1SWQXKChUUSEbzyhLSObMBLT";

pub type TestEngine = Engine<MemoryStore, StoppedClock>;
pub type TestTarget = Target<MemoryStore, HandClock, Nats<Secret, fn() -> i64>, Lines>;

pub fn engine() -> TestEngine {
    Engine::alone(
        MemoryStore::new(Settings::example().unwrap()),
        StoppedClock(Timestamp::from_unix(NOW).unwrap()),
    )
}

pub fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

pub fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// A clock that is moved by hand.
#[derive(Debug, Clone)]
pub struct HandClock(Arc<AtomicI64>);

impl HandClock {
    pub fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// The secret that says where NATS is, if there is one.
pub struct Secret(Option<String>);

impl SecretSource for Secret {
    async fn fetch(&self, name: &str) -> Result<Option<SecretString>, SecretsError> {
        assert_eq!(name, "nats");
        Ok(self.0.clone().map(Into::into))
    }
}

/// The lines that were written. It may be full, as a process may die.
#[derive(Debug, Default)]
pub struct Lines {
    written: Mutex<Vec<String>>,
    pub full: std::sync::atomic::AtomicBool,
}

impl Log for Lines {
    fn write(&self, line: &str) -> std::io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.written.lock().unwrap().push(line.to_owned());
        Ok(())
    }
}

impl Lines {
    /// Those since the last look.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.written.lock().unwrap())
    }
}

/// What went to the dead letters.
#[derive(Debug, Default)]
pub struct Buried(pub Mutex<Vec<String>>);

impl DeadLetters for Buried {
    async fn bury(&self, body: &str, _: &str) -> bool {
        self.0.lock().unwrap().push(body.to_owned());
        true
    }
}

/// The target over the engine's store, with NATS where the secret says.
pub fn target(engine: &TestEngine, entity: GreenlightEntity, nats: Option<Value>) -> TestTarget {
    let secret = nats.map(|place| place.to_string());
    Target {
        store: engine.store.clone(),
        clock: HandClock(Arc::new(AtomicI64::new(NOW))),
        nats: Nats::new(Secret(secret), || NOW),
        log: Lines::default(),
        entity,
    }
}

/// Processes events, one a second, and gives what they put on the bus as the target's queue has it.
pub async fn feed(engine: &TestEngine, from: i64, events: &[(&str, Value)]) -> Vec<Value> {
    let mut bodies = Vec::new();
    for (place, (kind, object)) in (0..).zip(events) {
        let at = NOW + from + place;
        let event = json!({ "id": format!("evt_{at}"), "type": kind, "created": at, "livemode": false,
            "data": { "object": object } });
        let processed = engine
            .process(&tenant(), &event.to_string(), Source::Webhook, deadline())
            .await
            .unwrap();
        for outgoing in processed.into_entries().into_iter().flat_map(|e| e.outbox) {
            bodies.push(json!({ "detail-type": outgoing.detail_type, "detail": outgoing.detail }));
        }
    }
    bodies
}

pub fn batch(bodies: &[Value]) -> SqsEvent {
    let records = bodies.iter().enumerate();
    let records: Vec<_> = records
        .map(|(place, body)| {
            let body = body
                .as_str()
                .map_or_else(|| body.to_string(), str::to_owned);
            json!({ "messageId": place.to_string(), "body": body })
        })
        .collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

/// Gives the target these messages, and the places of those that are to come again.
pub async fn deliver(target: &TestTarget, bodies: &[Value]) -> Vec<String> {
    let response = target.queue(&batch(bodies), &Buried::default()).await;
    let failed = response.batch_item_failures.into_iter();
    failed.map(|failure| failure.item_identifier).collect()
}

pub fn customer() -> (&'static str, Value) {
    let object = json!({ "id": "cus_abc123", "object": "customer", "email": "user@example.com" });
    ("customer.created", object)
}

pub fn subscription(kind: &'static str, price: &str, fields: &Value) -> (&'static str, Value) {
    let mut object = json!({ "id": "sub_abc123", "object": "subscription", "customer": "cus_abc123",
        "status": "active", "currency": "usd", "created": NOW, "items": { "data": [{ "id": "si_1",
            "quantity": 1, "current_period_start": NOW, "current_period_end": NOW + 30 * DAY,
            "price": { "id": price, "product": "prod_1", "currency": "usd", "unit_amount": 5_800,
                "recurring": { "interval": "month", "interval_count": 1 } } }] } });
    let fields = fields.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(fields);
    (kind, object)
}

pub fn invoice(
    kind: &'static str,
    status: &str,
    amount: i64,
    attempt: i64,
) -> (&'static str, Value) {
    let paid = if status == "paid" { amount } else { 0 };
    let object = json!({ "id": format!("in_{amount}"), "object": "invoice", "customer": "cus_abc123",
        "status": status, "currency": "usd", "amount_due": amount, "amount_paid": paid, "total": amount,
        "attempt_count": attempt, "created": NOW,
        "parent": { "subscription_details": { "subscription": "sub_abc123" } } });
    (kind, object)
}
