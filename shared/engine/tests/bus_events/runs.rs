//! What an import, a comparison and the endpoint watch tell, over a fake Stripe whose clock stands.

use std::sync::Arc;

use paygraph_domain::fact::Source;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::ports::StoreError;
use paygraph_engine::process::Engine;
use paygraph_engine::publish::publish;
use paygraph_engine::run::{Job, Kind, Left, Run, Runner, Scope};
use paygraph_engine::watch::{Ingest, Watcher};
use paygraph_stripe::client::Connections;
use paygraph_testkit::fake_stripe::{Config, FakeStripe};
use serde_json::{Value, json};

use crate::common::soon;
use crate::runs::stack::in_process;
use crate::stripe_api::{OneTenant, default};

const NOW: i64 = 1_792_700_000;

/// Missed events go nowhere: the ingest queue is not looked at.
struct Unread;

impl Ingest for Unread {
    async fn ingest(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

struct Stage {
    stripe: Arc<FakeStripe>,
    engine: Engine<MemoryStore, StoppedClock, Connections<OneTenant>>,
    bus: MemoryBus,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(NOW + seconds).unwrap()
}

fn price(id: &str, amount: u64) -> Value {
    json!({
        "id": id, "object": "price", "active": true, "billing_scheme": "per_unit",
        "created": 1_690_000_000, "currency": "usd", "product": "prod_1", "type": "recurring",
        "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
        "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
    })
}

fn subscription(id: &str, price: &Value, status: &str) -> Value {
    json!({
        "id": id, "object": "subscription", "customer": format!("cus_{id}"), "status": status,
        "currency": "usd", "created": 1_700_000_000, "discounts": [],
        "items": { "object": "list", "has_more": false, "url": "/v1/subscription_items",
            "data": [{ "id": "si_1", "object": "subscription_item", "price": price, "quantity": 1 }] },
    })
}

/// All that the bus was told.
pub async fn told() -> MemoryBus {
    let stage = Stage::new().await;
    stage.run("run-0", Job::Backfill, Kind::Customers).await;
    stage.run("run-1", Job::Backfill, Kind::Subscriptions).await;
    stage.differ().await;
    stage
        .run("run-2", Job::Reconcile, Kind::Subscriptions)
        .await;
    stage.watch_rounds().await;
    stage.bus
}

impl Stage {
    async fn new() -> Self {
        // Without a server: how many commits there are hangs on which pages come together.
        let stripe = FakeStripe::in_process(Config::default().unlimited()).unwrap();
        let stripe = Arc::new(stripe);
        stripe.set_now(NOW);
        let (small, large) = (price("price_small", 2_900), price("price_large", 9_900));
        for (id, price) in [
            ("sub_up", &small),
            ("sub_gone", &large),
            ("sub_same", &small),
        ] {
            stripe.put(json!({ "id": format!("cus_{id}"), "object": "customer",
                "created": 1_700_000_000, "invoice_settings": {}, "metadata": {} }));
            stripe.put(subscription(id, price, "active"));
        }
        let engine = Engine {
            store: MemoryStore::new(Settings::example().unwrap()).keeping_history(),
            clock: StoppedClock(at(0)),
            livemode: false,
            fetch: in_process(&stripe),
        };
        Self {
            stripe,
            engine,
            bus: MemoryBus::default(),
        }
    }

    async fn run(&self, id: &str, job: Job, kind: Kind) {
        // One list: of several, which are read side by side, it is not known what comes together.
        let scope = Scope {
            kinds: vec![kind],
            ..Scope::default()
        };
        let mut run = Run::new(id.to_owned(), default(), job, scope, at(0));
        let client = self.engine.fetch.client(&default()).await.unwrap();
        let runner = Runner {
            engine: &self.engine,
            publisher: &self.bus,
            client: client.unwrap(),
            second_look_after: 0,
            pause: 15,
        };
        let left = runner.go_on(&mut run, soon()).await.unwrap();
        assert_eq!(left, Left::Nothing);
    }

    /// Stripe changes, and nobody hears of it; one thing changes here alone.
    async fn differ(&self) {
        let large = price("price_large", 9_900);
        self.stripe.set_now(NOW + 60);
        self.stripe.put(subscription("sub_up", &large, "active"));
        self.stripe
            .put(subscription("sub_gone", &large, "canceled"));
        let ghost = subscription("sub_ghost", &large, "active");
        let event = json!({ "id": "evt_ghost", "type": "customer.subscription.created",
            "created": NOW, "livemode": false, "data": { "object": ghost } });
        let text = event.to_string();
        let tenant = default();
        let processed = self.engine.process(&tenant, &text, Source::Webhook, soon());
        let entries = processed.await.unwrap().into_entries();
        publish(&self.engine.store, &self.bus, &entries)
            .await
            .unwrap();
    }

    /// Three events that nobody delivered, and then one that came.
    async fn watch_rounds(&self) {
        self.watch(0).await;
        for n in 0..3 {
            self.happen(n, 100);
        }
        self.watch(1_000).await;
        let event = self.happen(9, 1_100).to_string();
        let tenant = default();
        let processed = self
            .engine
            .process(&tenant, &event, Source::Webhook, soon());
        processed.await.unwrap();
        self.watch(2_000).await;
    }

    fn happen(&self, n: i64, seconds: i64) -> Value {
        let created = NOW + seconds + n;
        let event = json!({ "id": format!("evt_{n}"), "object": "event", "type": "customer.created",
            "created": created, "livemode": false, "api_version": "2026-10-28.endive",
            "data": { "object":
                { "id": format!("cus_{n}"), "object": "customer", "created": created } } });
        self.stripe.own().put_event(event.clone(), false);
        event
    }

    async fn watch(&self, seconds: i64) {
        let client = self.engine.fetch.client(&default()).await.unwrap();
        let watcher = Watcher {
            engine: &self.engine,
            publisher: &self.bus,
            ingest: &Unread,
            client: client.unwrap(),
            endpoint: None,
            account: None,
        };
        watcher
            .watch(&default(), at(seconds), soon())
            .await
            .unwrap();
    }
}
