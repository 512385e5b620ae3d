//! A store in memory, an engine that feeds it, the target, and a stand-in for Attio.

use std::sync::Mutex;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_crm::attio::{Account, Attio};
use paygraph_crm::handler::Target;
use paygraph_domain::contact::Profile;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::user::User;
use paygraph_engine::Deadline;
use paygraph_engine::identity::Request;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::process::Engine;
use paygraph_engine::user::Users as _;
use paygraph_runtime::http::Http;
use paygraph_runtime::secrets::{SecretSource, SecretsError};
use paygraph_testkit::fake_attio::{FakeAttio, TOKEN, Trouble};
use secrecy::SecretString;
use serde_json::{Value, json};

pub const NOW: i64 = 1_790_000_000;
pub const DAY: i64 = 86_400;

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(NOW + seconds).unwrap()
}

pub fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

pub fn id(text: &str) -> CustomerId {
    CustomerId::parse(text).unwrap()
}

/// The tenant's secret, or none.
#[derive(Clone, Default)]
pub struct Secrets(pub Option<String>);

impl SecretSource for Secrets {
    async fn fetch(&self, name: &str) -> Result<Option<SecretString>, SecretsError> {
        assert_eq!(name, "attio/default");
        Ok(self.0.clone().map(Into::into))
    }
}

/// Dead letters, by their reasons.
#[derive(Default)]
pub struct Letters(pub Mutex<Vec<String>>);

impl DeadLetters for Letters {
    async fn bury(&self, _: &str, reason: &str) -> bool {
        self.0.lock().unwrap().push(reason.to_owned());
        true
    }
}

/// Nothing goes wrong.
pub const EASY: Trouble = Trouble {
    seed: 1,
    seconds: 0,
    dates: 0,
    broken: 0,
    broken_after: 0,
    writes_per_second: usize::MAX,
};

type Running = Target<MemoryStore, StoppedClock, MemoryBus, Secrets>;

/// Everything.
pub struct World {
    pub store: MemoryStore,
    pub bus: MemoryBus,
    pub attio: FakeAttio,
    pub secrets: Secrets,
    pub letters: Letters,
    pub per_second: u32,
}

impl World {
    /// With the example's settings, and an Attio in which nothing goes wrong.
    pub async fn new() -> Self {
        let attio = FakeAttio::start(EASY).await.unwrap();
        let secret = json!({ "token": TOKEN, "url": attio.url() }).to_string();
        Self {
            store: MemoryStore::new(Settings::example().unwrap()),
            bus: MemoryBus::default(),
            attio,
            secrets: Secrets(Some(secret)),
            letters: Letters::default(),
            per_second: 1_000,
        }
    }

    pub fn engine(&self, now: i64) -> Engine<MemoryStore, StoppedClock> {
        Engine::alone(self.store.clone(), StoppedClock(at(now)))
    }

    /// Processes an event of Stripe's, and gives what comes onto the bus.
    async fn stripe(&self, when: i64, kind: &str, object: &Value) -> Vec<Value> {
        let of = object["id"].as_str().unwrap();
        let event = json!({ "id": format!("evt_{when}_{of}_{}", kind.len()), "type": kind,
            "created": NOW + when, "livemode": false, "data": { "object": object } });
        let deadline = Deadline::after(Duration::from_secs(60));
        let (engine, tenant, event) = (self.engine(when), tenant(), event.to_string());
        let processed = engine.process(&tenant, &event, Source::Webhook, deadline);
        let entries = processed.await.unwrap().into_entries();
        let outgoing = entries.into_iter().flat_map(|entry| entry.outbox);
        let ours = outgoing.filter(|out| !out.detail_type.starts_with("stripe."));
        ours.map(|out| json!({ "detail-type": out.detail_type, "detail": out.detail }))
            .collect()
    }

    /// A Stripe customer with a subscription. Gives what comes onto the bus.
    pub async fn subscribes(&self, when: i64, customer: &str) -> Vec<Value> {
        let object = json!({ "id": customer, "object": "customer",
            "email": format!("{customer}@acme.example"), "name": "Ann" });
        let mut bus = self.stripe(when, "customer.created", &object).await;
        bus.extend(self.becomes(when + 1, customer, "active", 5_800).await);
        bus
    }

    /// The subscription as it is then. Gives what comes onto the bus.
    pub async fn becomes(&self, when: i64, customer: &str, status: &str, cents: i64) -> Vec<Value> {
        let object = json!({ "id": format!("sub_{customer}"), "object": "subscription",
            "customer": customer, "status": status, "currency": "usd",
            "created": NOW, "start_date": NOW,
            "items": { "data": [{ "id": format!("si_{customer}"), "quantity": 1,
                "current_period_start": NOW, "current_period_end": NOW + 30 * DAY,
                "price": { "id": "price_1ShMKtChUUSEbzyhitCMw6z3", "product": "prod_1",
                    "nickname": "Pro", "currency": "usd", "unit_amount": cents,
                    "recurring": { "interval": "month", "interval_count": 1 } } }] } });
        self.stripe(when, "customer.subscription.updated", &object)
            .await
    }

    fn request(cause: &Cause) -> Request<'_> {
        static TENANT: std::sync::OnceLock<TenantId> = std::sync::OnceLock::new();
        Request {
            tenant: TENANT.get_or_init(tenant),
            cause,
            deadline: Deadline::after(Duration::from_secs(60)),
        }
    }

    /// Puts a profile; gives the event that tells of it.
    pub async fn put(&self, when: i64, customer: &str, given: Value) -> Value {
        let mut profile = json!({ "name": null, "email": null, "company": null });
        let given = given.as_object().unwrap().clone();
        profile.as_object_mut().unwrap().extend(given);
        let given: Profile = serde_json::from_value(profile).unwrap();
        let cause = Cause::parse(format!("api:{customer}:{when}:{}", fastrand::u32(..))).unwrap();
        let engine = self.engine(when);
        let (request, customer_id) = (Self::request(&cause), id(customer));
        let put = engine.put_profile(&request, &customer_id, &given);
        let outbox = put.await.unwrap().entry.into_iter();
        let mut outbox = outbox.flat_map(|entry| entry.outbox);
        let told = outbox.find(|out| out.detail_type == "customer_updated");
        let told = told.map(|out| json!({ "detail-type": out.detail_type, "detail": out.detail }));
        told.unwrap_or_else(|| changed(when, customer))
    }

    /// Links a Stripe customer to another contact.
    pub async fn link(&self, when: i64, customer: &str, to: &str) {
        let cause = Cause::parse(format!("api:link:{when}")).unwrap();
        let customer = StripeCustomerId::parse(customer).unwrap();
        let (engine, to) = (self.engine(when), id(to));
        let request = Self::request(&cause);
        let link = engine.link(&request, &customer, Some(&to));
        link.await.unwrap();
    }

    /// Puts a user with an address.
    pub async fn user(&self, id: &str, email: &str, workspaces: &[&str]) {
        let held = self.store.user(&tenant(), id).await.unwrap();
        let user = User {
            version: held.map_or(0, |held| held.version) + 1,
            email: Some(email.to_owned()),
            workspaces: workspaces.iter().map(|&id| id.to_owned()).collect(),
            ..User::new(id)
        };
        self.store.put_user(&tenant(), &user).await.unwrap();
    }

    /// The function, as one that has just started.
    pub fn target(&self, now: i64) -> Running {
        Target {
            engine: self.engine(now),
            publisher: self.bus.clone(),
            attio: self.client(),
        }
    }

    fn client(&self) -> Attio<Secrets> {
        Attio::new(self.secrets.clone(), Http::new().unwrap(), self.per_second)
    }

    /// The tenant's Attio.
    pub async fn account(&self) -> Account {
        self.client().of(&tenant()).await.unwrap().unwrap()
    }

    /// Delivers messages as one batch, with so many seconds left. Gives the places of those that
    /// are to come again.
    pub async fn deliver_within(&self, now: i64, bodies: &[Value], seconds: u64) -> Vec<usize> {
        deliver(&self.target(now), &self.letters, bodies, seconds).await
    }

    /// The same, with time enough, and nothing to come again.
    pub async fn deliver(&self, now: i64, bodies: &[Value]) {
        assert!(self.deliver_within(now, bodies, 30).await.is_empty());
        assert!(self.reasons().is_empty(), "{:?}", self.reasons());
    }

    /// The reasons of the dead letters.
    pub fn reasons(&self) -> Vec<String> {
        self.letters.0.lock().unwrap().clone()
    }

    /// How many records there are: workspaces, subscriptions, users.
    pub fn counts(&self) -> [usize; 3] {
        ["workspaces", "subscriptions", "users"].map(|object| self.attio.count(object))
    }

    /// Nobody has sent a null, or overwritten a list.
    pub fn assert_no_complaints(&self) {
        let complaints = self.attio.complaints();
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

/// Delivers messages as one batch to a function that runs.
pub async fn deliver(
    target: &Running,
    letters: &Letters,
    bodies: &[Value],
    seconds: u64,
) -> Vec<usize> {
    let records = bodies
        .iter()
        .enumerate()
        .map(|(place, body)| json!({ "messageId": place.to_string(), "body": body.to_string() }));
    let records: Vec<_> = records.collect();
    let batch: SqsEvent = serde_json::from_value(json!({ "Records": records })).unwrap();
    let left = Duration::from_secs(seconds);
    let response = target.handle(&batch, letters, left).await;
    let again = response.batch_item_failures.into_iter();
    again
        .map(|failure| failure.item_identifier.parse().unwrap())
        .collect()
}

/// An event of a contact.
pub fn event(when: i64, customer: &str, name: &str, data: Value) -> Value {
    json!({ "detail-type": name, "detail": { "version": 1, "id": format!("evt_{when}#0"),
        "tenant": "default", "customer_id": customer, "stripe_customer_id": null,
        "occurred_at": at(when).to_string(), "source": "webhook", "cause": format!("evt_{when}"),
        "data": data } })
}

/// Something has changed.
pub fn changed(when: i64, customer: &str) -> Value {
    event(when, customer, "customer_updated", json!({ "fields": [] }))
}

/// Somebody uses a lot without a plan.
pub fn uses_a_lot(when: i64, customer: &str) -> Value {
    let data = json!({ "segment": "upsell_opportunity" });
    event(when, customer, "segment_entered", data)
}
