//! A store in memory, an engine that feeds it, the target, and a stand-in for Slack.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::routing::post;
use paygraph_alert::handler::{Table, Target};
use paygraph_alert::message::Message;
use paygraph_alert::slack::Slack;
use paygraph_alert::tell::{Tell, TellError, Told};
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_domain::alert::{Alert, Kind, Status};
use paygraph_domain::contact::Profile;
use paygraph_domain::crm::{Object, key};
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::crm::{Kept, Shows as _, Turn};
use paygraph_engine::identity::{Changed, Request};
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::ports::Clock;
use paygraph_engine::process::Engine;
use paygraph_runtime::http::Http;
use paygraph_runtime::secrets::{SecretSource, SecretsError};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Instant;

pub const NOW: i64 = 1_790_000_000;
pub const DAY: i64 = 86_400;

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(NOW + seconds).unwrap()
}

pub fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

/// The URL of the stand-in, or none.
#[derive(Clone, Default)]
pub struct Secrets(pub Option<String>);

impl SecretSource for Secrets {
    async fn fetch(&self, name: &str) -> Result<Option<SecretString>, SecretsError> {
        assert_eq!(name, "slack/default");
        Ok(self.0.clone().map(Into::into))
    }
}

/// A place that keeps what it hears.
#[derive(Default)]
pub struct Heard(pub Mutex<Vec<String>>);

impl Tell for &Heard {
    async fn tell(&self, message: &Message<'_>, _: Instant) -> Result<Told, TellError> {
        self.0.lock().unwrap().push(message.lines().join(" / "));
        Ok(Told::Yes)
    }
}

/// No dead letters are expected.
struct NoLetters;

impl DeadLetters for NoLetters {
    async fn bury(&self, body: &str, reason: &str) -> bool {
        unreachable!("{reason}: {body}")
    }
}

/// An answer of the stand-in: a status with a `Retry-After`; none never answers.
pub type Answer = Option<(u16, Option<&'static str>)>;

/// A stand-in for Slack: it answers as it was told to, then with 200.
#[derive(Clone, Default)]
pub struct StandIn {
    pub answers: Arc<Mutex<VecDeque<Answer>>>,
    pub taken: Arc<Mutex<Vec<String>>>,
    /// The whole bodies of what it took.
    pub bodies: Arc<Mutex<Vec<Value>>>,
}

impl StandIn {
    pub fn will(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.taken.lock().unwrap())
    }

    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/services/hook", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/services/hook", post(answer))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }
}

async fn answer(State(slack): State<StandIn>, body: String) -> (StatusCode, HeaderMap) {
    let next = slack.answers.lock().unwrap().pop_front();
    let mut headers = HeaderMap::new();
    let date = HeaderName::from_static("date");
    headers.insert(
        date,
        HeaderValue::from_static("Sat, 21 Nov 2026 12:00:00 GMT"),
    );
    let Some((status, wait)) = next.unwrap_or(Some((200, None))) else {
        return std::future::pending().await;
    };
    if let Some(wait) = wait {
        let name = HeaderName::from_static("retry-after");
        headers.insert(name, HeaderValue::from_static(wait));
    }
    if status == 200 {
        let body: Value = serde_json::from_str(&body).unwrap();
        let text = body["text"].as_str().unwrap().to_owned();
        slack.taken.lock().unwrap().push(text);
        slack.bodies.lock().unwrap().push(body);
    }
    (StatusCode::from_u16(status).unwrap(), headers)
}

/// Everything.
pub struct World {
    pub store: MemoryStore,
    pub slack: StandIn,
    pub sns: Heard,
    /// Where Slack is, if the tenant has one.
    pub url: Option<String>,
}

impl World {
    /// With the example's settings and a Slack.
    pub async fn new() -> Self {
        let mut world = Self::without_slack();
        world.url = Some(world.slack.start().await);
        world
    }

    pub fn without_slack() -> Self {
        Self {
            store: MemoryStore::new(Settings::example().unwrap()),
            slack: StandIn::default(),
            sns: Heard::default(),
            url: None,
        }
    }

    fn engine(&self, now: i64) -> Engine<MemoryStore, StoppedClock> {
        Engine::alone(self.store.clone(), StoppedClock(at(now)))
    }

    /// Processes an event of Stripe's, and gives what comes onto the bus.
    pub async fn stripe(&self, when: i64, kind: &str, object: &Value) -> Vec<Value> {
        let second = at(when).unix();
        let hash = kind.len();
        let event = json!({ "id": format!("evt_{second}_{hash}"), "type": kind, "created": second,
            "livemode": false, "data": { "object": object } });
        let deadline = Deadline::after(Duration::from_secs(60));
        let engine = self.engine(when);
        let (tenant, event) = (tenant(), event.to_string());
        let processed = engine.process(&tenant, &event, Source::Webhook, deadline);
        let entries = processed.await.unwrap().into_entries();
        let outgoing = entries.into_iter().flat_map(|entry| entry.outbox);
        outgoing
            .map(|out| json!({ "detail-type": out.detail_type, "detail": out.detail }))
            .collect()
    }

    /// Puts traits of the contact, and gives what comes onto the bus.
    pub async fn traits(&self, when: i64, traits: Value) -> Vec<Value> {
        let given = Profile {
            traits: serde_json::from_value(traits).unwrap(),
            ..Profile::default()
        };
        self.put(when, "cus_abc123", given).await
    }

    /// Puts a contact, and gives what comes onto the bus.
    pub async fn put(&self, when: i64, contact: &str, given: Profile) -> Vec<Value> {
        let (engine, id) = (self.engine(when), CustomerId::parse(contact).unwrap());
        let (tenant, cause) = (tenant(), cause("put", when, contact));
        let request = request(&tenant, &cause);
        bodies(engine.put_profile(&request, &id, &given).await.unwrap())
    }

    /// Links the Stripe customer to another contact, and gives what comes onto the bus.
    pub async fn link(&self, when: i64, to: &str) -> Vec<Value> {
        let (engine, id) = (self.engine(when), CustomerId::parse(to).unwrap());
        let (tenant, cause) = (tenant(), cause("link", when, to));
        let (request, customer) = (
            request(&tenant, &cause),
            StripeCustomerId::parse("cus_abc123"),
        );
        let customer = customer.unwrap();
        bodies(engine.link(&request, &customer, Some(&id)).await.unwrap())
    }

    /// Merges the contact into another, and gives what comes onto the bus.
    pub async fn merge(&self, when: i64, into: &str) -> Vec<Value> {
        let (engine, id) = (self.engine(when), CustomerId::parse(into).unwrap());
        let (tenant, cause) = (tenant(), cause("merge", when, into));
        let (request, gone) = (request(&tenant, &cause), CustomerId::parse("cus_abc123"));
        bodies(engine.merge(&request, &gone.unwrap(), &id).await.unwrap())
    }

    /// Delivers messages as one batch, with so many seconds left. Gives the places of those that
    /// are to come again.
    pub async fn deliver_within(&self, now: i64, bodies: &[Value], seconds: u64) -> Vec<usize> {
        let target = Target::new(
            self.store.clone(),
            StoppedClock(at(now)),
            Slack::new(Secrets(self.url.clone()), Http::new().unwrap()),
            &self.sns,
        );
        deliver_to(&target, bodies, seconds).await
    }

    /// The same, with time enough, and nothing to come again.
    pub async fn deliver(&self, now: i64, bodies: &[Value]) {
        assert!(self.deliver_within(now, bodies, 30).await.is_empty());
    }

    /// Every alert: its kind and how it stands.
    pub fn alerts(&self) -> Vec<(Kind, Status)> {
        let alerts = self.store.all_alerts().into_iter();
        alerts.map(|alert| (alert.id.kind, alert.status)).collect()
    }

    /// The kinds of a customer's alerts that stand like this.
    pub fn alerts_of(&self, customer: &str, status: Status) -> Vec<Kind> {
        let mut alerts = self.store.all_alerts();
        alerts.retain(|alert| {
            let whose = alert.id.customer.as_ref().map(CustomerId::as_str);
            whose == Some(customer) && alert.status == status
        });
        let mut kinds: Vec<_> = alerts.iter().map(|alert| alert.id.kind).collect();
        kinds.sort();
        kinds
    }

    /// Lets the CRM have the customer on a page.
    pub async fn shown_on(&self, page: &str) {
        let (tenant, contact) = (tenant(), CustomerId::parse("cus_abc123").unwrap());
        let turn = self.store.take_turn(&tenant, &contact, at(0), at(60));
        let Turn::Ours(token, mut shown) = turn.await.unwrap() else {
            unreachable!("somebody else writes of it")
        };
        let kept = Kept {
            digest: 1,
            record: "rec_1".to_owned(),
            page: Some(page.to_owned()),
        };
        let name = key(Object::Workspace, contact.as_str());
        shown.records.insert(name, Some(kept));
        let noted = self
            .store
            .note_shown(&tenant, &contact, token, &shown, None);
        noted.await.unwrap();
    }

    /// The one alert of a kind.
    pub fn the(&self, kind: Kind) -> Alert {
        let mut alerts = self.store.all_alerts();
        alerts.retain(|alert| alert.id.kind == kind);
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        alerts.remove(0)
    }
}

fn cause(what: &str, when: i64, contact: &str) -> Cause {
    Cause::parse(format!("api:{what}:{when}:{contact}")).unwrap()
}

fn request<'a>(tenant: &'a TenantId, cause: &'a Cause) -> Request<'a> {
    Request {
        tenant,
        cause,
        deadline: Deadline::after(Duration::from_secs(60)),
    }
}

/// What comes onto the bus of a change.
fn bodies(changed: Changed) -> Vec<Value> {
    let outgoing = changed.entry.into_iter().flat_map(|entry| entry.outbox);
    outgoing
        .map(|out| json!({ "detail-type": out.detail_type, "detail": out.detail }))
        .collect()
}

pub fn customer() -> Value {
    json!({ "id": "cus_abc123", "object": "customer", "email": "user@example.com",
        "name": "Example <Ltd>" })
}

pub fn subscription(status: &str) -> Value {
    json!({ "id": "sub_abc123", "object": "subscription", "customer": "cus_abc123",
        "status": status, "currency": "usd", "created": NOW, "start_date": NOW,
        "items": { "data": [{ "id": "si_1",
            "quantity": 1, "current_period_start": NOW, "current_period_end": NOW + 30 * DAY,
            "price": { "id": "price_1ShMKtChUUSEbzyhitCMw6z3", "product": "prod_1",
                "currency": "usd", "unit_amount": 5_800,
                "recurring": { "interval": "month", "interval_count": 1 } } }] } })
}

/// An invoice after an attempt; `next` is when Stripe tries again.
pub fn invoice(status: &str, attempt: i64, next: Option<i64>) -> Value {
    let paid = if status == "paid" { 5_800 } else { 0 };
    json!({ "id": "in_1", "object": "invoice", "customer": "cus_abc123", "status": status,
        "currency": "usd", "amount_due": 5_800, "amount_paid": paid, "total": 5_800,
        "attempt_count": attempt, "created": NOW, "collection_method": "charge_automatically",
        "next_payment_attempt": next.map(|next| NOW + next),
        "parent": { "subscription_details": { "subscription": "sub_abc123" } } })
}

impl World {
    /// A customer who pays.
    pub async fn paying(&self) {
        self.stripe(0, "customer.created", &customer()).await;
        let active = subscription("active");
        self.stripe(1, "customer.subscription.created", &active)
            .await;
    }

    /// A payment fails, after `days`. Gives what comes onto the bus.
    pub async fn fails(&self, days: i64) -> Vec<Value> {
        let when = days * DAY;
        let open = invoice("open", 1, Some(when + 3 * DAY));
        let mut bus = self.stripe(when, "invoice.payment_failed", &open).await;
        let past_due = subscription("past_due");
        bus.extend(
            self.stripe(when + 1, "customer.subscription.updated", &past_due)
                .await,
        );
        bus
    }

    /// It is paid after all.
    pub async fn recovers(&self, when: i64) -> Vec<Value> {
        let mut bus = self
            .stripe(when, "invoice.paid", &invoice("paid", 2, None))
            .await;
        let active = subscription("active");
        bus.extend(
            self.stripe(when + 1, "customer.subscription.updated", &active)
                .await,
        );
        bus
    }
}

/// Delivers messages as one batch to a function that runs, with so many seconds left. Gives the places
/// of those that are to come again.
pub async fn deliver_to<S: Table, C: Clock, A: Tell, B: Tell>(
    target: &Target<S, C, A, B>,
    bodies: &[Value],
    seconds: u64,
) -> Vec<usize> {
    let records = bodies.iter().enumerate();
    let records = records
        .map(|(place, body)| json!({ "messageId": place.to_string(), "body": body.to_string() }));
    let records: Vec<_> = records.collect();
    let batch: SqsEvent = serde_json::from_value(json!({ "Records": records })).unwrap();
    let left = Duration::from_secs(seconds);
    let response = target.handle(&batch, &NoLetters, left).await;
    let again = response.batch_item_failures.into_iter();
    again
        .map(|failure| failure.item_identifier.parse().unwrap())
        .collect()
}

/// How many alerts SNS has heard of.
pub fn told_kinds(world: &World) -> usize {
    world.sns.0.lock().unwrap().len()
}
