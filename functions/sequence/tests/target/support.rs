//! One customer's events, and the function that hears of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_bus::schedule::ScheduleEvent;
use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_domain::sequence::{Enrolment, State};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::email::{Email, EmailError, Mailer, Post};
use paygraph_engine::envelope::Outgoing;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::ports::{Publisher, Unpublished};
use paygraph_engine::process::Engine;
use paygraph_engine::sequence::{Sequencer, Stepped};
use paygraph_sequence::handler::Target;
use serde_json::{Value, json};

pub const NOW: i64 = 1_790_000_000;
pub const DAY: i64 = 86_400;
pub const INDIVIDUAL: &str = "price_1SWQXAChUUSEbzyhAykgEy5K";
pub const PRO: &str = "price_1ShMKtChUUSEbzyhitCMw6z3";

/// Dead letters that are counted.
#[derive(Debug, Default)]
pub struct Letters(pub Mutex<Vec<String>>);

impl DeadLetters for Letters {
    async fn bury(&self, _: &str, reason: &str) -> bool {
        self.0.lock().unwrap().push(reason.to_owned());
        true
    }
}

/// A bus that takes nothing, as if the function died before it published.
#[derive(Debug, Clone, Copy)]
pub struct Dead;

impl Publisher for Dead {
    async fn publish(&self, events: &[&Outgoing]) -> Unpublished {
        Unpublished::all(events.len())
    }
}

/// What was handed over to be sent: to whom, the subject, the end of the link to unsubscribe.
pub type Mail = (String, String, String);

/// A mail server that keeps what it takes, and does with each what it is told before.
#[derive(Debug, Clone, Default)]
pub struct Mails {
    pub taken: Arc<Mutex<Vec<Mail>>>,
    pub refusals: Arc<Mutex<Vec<EmailError>>>,
}

impl Mailer for Mails {
    async fn send(&self, email: &Email<'_>) -> Result<(), EmailError> {
        if let Some(refusal) = self.refusals.lock().unwrap().pop() {
            return Err(refusal);
        }
        let [to, subject, link] = [email.to.as_str(), email.subject, email.unsubscribe];
        let mail = (to.to_owned(), subject.to_owned(), link.to_owned());
        self.taken.lock().unwrap().push(mail);
        Ok(())
    }
}

/// A stack in memory.
pub struct Stack {
    pub store: MemoryStore,
    pub bus: MemoryBus,
    pub mails: Mails,
}

pub fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix(NOW + seconds).unwrap()
}

pub fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

pub fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

impl Stack {
    /// A customer whose payment has failed, as the function has heard it. Gives the messages.
    pub async fn failing(&self) -> Vec<String> {
        let events = [
            customer(),
            subscription("customer.subscription.created", PRO, &json!({})),
            invoice("invoice.payment_failed", 1, 1),
        ];
        let bodies = self.feed(0, Source::Webhook, &events).await;
        self.hear(5, &bodies).await;
        bodies
    }

    pub fn new() -> Self {
        Self::with(Settings::example().unwrap().with_all_sequences())
    }

    pub fn with(settings: Settings) -> Self {
        Self {
            store: MemoryStore::new(settings),
            bus: MemoryBus::default(),
            mails: Mails::default(),
        }
    }

    /// The function at an instant, publishing to a bus.
    pub fn target<P>(
        &self,
        at: i64,
        publisher: P,
    ) -> Target<MemoryStore, StoppedClock, P, Mails, Letters> {
        let (store, clock) = (self.store.clone(), StoppedClock(time(at)));
        Target {
            post: Post {
                engine: Engine::alone(store.clone(), clock),
                mailer: self.mails.clone(),
            },
            sequencer: Sequencer { store, clock },
            publisher,
            dead_letters: Letters::default(),
        }
    }

    /// Processes Stripe's events, one a second, and gives what they put on the bus.
    pub async fn feed(&self, from: i64, source: Source, events: &[(&str, Value)]) -> Vec<String> {
        let engine = Engine::alone(self.store.clone(), StoppedClock(time(from)));
        let mut bodies = Vec::new();
        for (place, (kind, object)) in events.iter().enumerate() {
            let at = NOW + from + i64::try_from(place).unwrap();
            let event = json!({ "id": format!("evt_{at}"), "type": kind, "created": at,
                "livemode": false, "data": { "object": object } });
            let text = event.to_string();
            let processed = engine.process(&tenant(), &text, source, deadline()).await;
            let entries = processed.unwrap().into_entries().into_iter();
            bodies.extend(
                entries
                    .flat_map(|entry| entry.outbox)
                    .map(|event| body(&event)),
            );
        }
        bodies.retain(|body| !body.contains("\"detail-type\":\"stripe."));
        bodies
    }

    /// What the function does with messages, at an instant.
    pub async fn hear(&self, at: i64, bodies: &[String]) {
        let target = self.target(at, self.bus.clone());
        let response = target.queue(batch(bodies), deadline()).await;
        assert!(response.batch_item_failures.is_empty());
        assert!(target.dead_letters.0.lock().unwrap().is_empty());
    }

    /// The minute, at an instant.
    pub async fn minute(&self, at: i64) -> Stepped {
        let target = self.target(at, self.bus.clone());
        let event = ScheduleEvent {
            time: Some(time(at).to_string()),
        };
        let done = target.minute(&event, time(0), deadline()).await;
        done.unwrap()
    }

    /// What the bus was told by a name.
    pub fn published(&self, name: &str) -> Vec<Outgoing> {
        let mut published = self.bus.published();
        published.retain(|event| event.detail_type == name);
        published
    }

    /// The steps on the bus: seconds since the beginning, sequence, step.
    pub fn steps(&self) -> Vec<(i64, String, String)> {
        let word =
            |event: &Outgoing, name: &str| event.detail.data[name].as_str().unwrap().to_owned();
        self.published("sequence_step_due")
            .iter()
            .map(|event| {
                let at = event.detail.occurred_at.unix() - NOW;
                (at, word(event, "sequence"), word(event, "name"))
            })
            .collect()
    }

    /// The one enrolment in a sequence.
    pub fn enrolment(&self, sequence: &str) -> Option<Enrolment> {
        let mut all = self.store.all_enrolments().into_iter();
        all.find_map(|(_, held)| (held.sequence == sequence).then_some(held))
    }

    /// How an enrolment ended, or that it runs.
    pub fn state(&self, sequence: &str) -> Option<&'static str> {
        self.enrolment(sequence).map(|held| word(&held))
    }
}

/// How far an enrolment is, in a word.
pub fn word(held: &Enrolment) -> &'static str {
    match held.state {
        State::Running { .. } => "running",
        State::Left { .. } => "left",
        State::Done { .. } => "done",
    }
}

pub fn body(event: &Outgoing) -> String {
    json!({ "detail-type": event.detail_type, "detail": event.detail }).to_string()
}

pub fn batch(bodies: &[String]) -> SqsEvent {
    let records = bodies.iter().enumerate();
    let records: Vec<_> = records
        .map(|(place, body)| json!({ "messageId": place.to_string(), "body": body }))
        .collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

pub fn customer() -> (&'static str, Value) {
    let object = json!({ "id": "cus_1", "object": "customer", "name": "Acme",
        "email": "billing@example.com" });
    ("customer.created", object)
}

pub fn subscription(kind: &'static str, price: &str, fields: &Value) -> (&'static str, Value) {
    let amount = if price == PRO { 5_800 } else { 2_900 };
    let mut object = json!({ "id": "sub_1", "object": "subscription", "customer": "cus_1",
        "status": "active", "currency": "usd", "created": NOW, "items": { "data": [{ "id": "si_1",
            "quantity": 1, "current_period_start": NOW, "current_period_end": NOW + 30 * DAY,
            "price": { "id": price, "product": "prod_1", "currency": "usd", "unit_amount": amount,
                "recurring": { "interval": "month", "interval_count": 1 } } }] } });
    let fields = fields.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(fields);
    (kind, object)
}

pub fn invoice(kind: &'static str, number: i64, attempt: i64) -> (&'static str, Value) {
    let paid = kind == "invoice.paid";
    let (status, amount_paid) = if paid { ("paid", 5_800) } else { ("open", 0) };
    let object = json!({ "id": format!("in_{number}"), "object": "invoice", "customer": "cus_1",
        "status": status, "currency": "usd", "amount_due": 5_800, "amount_paid": amount_paid,
        "total": 5_800, "attempt_count": attempt, "created": NOW,
        "parent": { "subscription_details": { "subscription": "sub_1" } } });
    (kind, object)
}
