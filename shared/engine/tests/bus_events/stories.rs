//! What makes every event that follows from events and time.

use paygraph_domain::contact::Profile;
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, TenantId};
use paygraph_domain::product::segment;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::identity::Request;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::ports::LedgerEntry;
use paygraph_engine::process::Engine;
use paygraph_engine::publish::publish;
use paygraph_engine::sequence::Sequencer;
use paygraph_testkit::history;
use serde_json::{Value, json};

use crate::common::{TestEngine, soon};

const DAY: i64 = 86_400;
/// When the stories beside the history begin, in Unix seconds.
const START: i64 = 1_790_000_000;

/// An engine with a bus and a sequencer; our own clock stands still.
struct Stage {
    engine: TestEngine,
    bus: MemoryBus,
    sequencer: Sequencer<MemoryStore, StoppedClock>,
}

fn tenant() -> TenantId {
    TenantId::parse(history::TENANT).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

impl Stage {
    fn new() -> Self {
        let settings = Settings::example().unwrap().with_all_sequences();
        let store = MemoryStore::new(settings).keeping_history();
        let clock = StoppedClock(at(history::MIDDLE));
        Self {
            engine: Engine::alone(store.clone(), clock),
            bus: MemoryBus::default(),
            sequencer: Sequencer { store, clock },
        }
    }

    async fn process(&self, event: &Value, source: Source) {
        let text = event.to_string();
        let done = self.engine.process(&tenant(), &text, source, soon()).await;
        self.publish(&done.unwrap().into_entries()).await;
    }

    /// Publishes, and lets the sequences hear it.
    async fn publish(&self, entries: &[LedgerEntry]) {
        publish(&self.engine.store, &self.bus, entries)
            .await
            .unwrap();
        for event in entries.iter().flat_map(|entry| &entry.outbox) {
            let heard = self
                .sequencer
                .hear(&self.bus, &event.detail_type, &event.detail, soon());
            heard.await.unwrap();
        }
    }

    async fn tick(&self, now: i64) {
        let ticked = self.engine.tick(&self.bus, at(now), soon()).await.unwrap();
        assert_eq!(ticked.failed, 0);
    }
}

/// All that the bus was told.
pub async fn told() -> MemoryBus {
    let stage = Stage::new();
    let mut last = 0;
    for event in history::events() {
        let now = event["created"].as_i64().unwrap();
        while last > 0 && last + DAY < now && now - last < 90 * DAY {
            last += DAY;
            stage.tick(last).await;
        }
        last = now;
        stage.process(&event, Source::Webhook).await;
        if event["type"] == "customer.updated" {
            use_product(&stage).await;
        }
    }
    fall_behind(&stage).await;
    never_begin(&stage).await;
    stage.bus
}

/// The workspace of the history's customer uses up what its plan allows.
async fn use_product(stage: &Stage) {
    let (tenant, cause) = (tenant(), Cause::parse("api:put").unwrap());
    let request = Request {
        tenant: &tenant,
        cause: &cause,
        deadline: soon(),
    };
    let profile = Profile {
        company: Some("Example Ltd".to_owned()),
        workspaces: ["ws_1".to_owned()].into(),
        ..Profile::default()
    };
    let id = CustomerId::parse("acme").unwrap();
    let put = stage.engine.put_profile(&request, &id, &profile).await;
    stage.publish(put.unwrap().entry.as_slice()).await;
    let raw = json!({
        "type": "track", "messageId": "m1", "userId": "u_1", "event": "Usage Reported",
        "timestamp": at(1_790_001_000).to_string(), "properties": { "used": 85, "limit": 100 },
        "context": { "groupId": "ws_1" },
    });
    let event = segment::read(&raw, at(1_790_001_000).into()).unwrap();
    let heard = stage.engine.hear(&tenant, &event, soon()).await.unwrap();
    stage.publish(&heard).await;
}

/// A customer whose subscription changes, is canceled on a whim, and ends unpaid.
async fn fall_behind(stage: &Stage) {
    let mut subscription = subscription("sub_behind", 5_800);
    stage.subscription("created", 0, &subscription).await;
    let card = json!({
        "id": "pm_behind", "object": "payment_method", "customer": "cus_behind", "type": "card",
        "created": START, "card": { "brand": "visa", "last4": "4242", "exp_month": 10,
            "exp_year": 2026 },
    });
    stage.happen("payment_method.attached", 1, &card).await;
    subscription["items"] = subscription_items(9_900);
    stage.subscription("updated", 100, &subscription).await;
    subscription["cancel_at_period_end"] = json!(true);
    subscription["cancel_at"] = json!(START + 30 * DAY);
    stage.subscription("updated", 200, &subscription).await;
    stage.tick(START + 28 * DAY).await;
    subscription["cancel_at_period_end"] = json!(false);
    subscription["cancel_at"] = Value::Null;
    stage
        .subscription("updated", 28 * DAY + 300, &subscription)
        .await;
    let mut invoice = invoice("in_behind", "sub_behind");
    stage
        .happen("invoice.payment_failed", 29 * DAY, &invoice)
        .await;
    subscription["status"] = json!("past_due");
    stage
        .subscription("updated", 29 * DAY + 10, &subscription)
        .await;
    (invoice["attempt_count"], invoice["next_payment_attempt"]) = (json!(4), Value::Null);
    stage
        .happen("invoice.payment_failed", 40 * DAY, &invoice)
        .await;
}

/// A first payment that never comes.
async fn never_begin(stage: &Stage) {
    let mut subscription = subscription("sub_never", 5_800);
    subscription["status"] = json!("incomplete");
    stage.subscription("created", 0, &subscription).await;
    subscription["status"] = json!("incomplete_expired");
    stage.subscription("updated", DAY, &subscription).await;
}

impl Stage {
    async fn subscription(&self, what: &str, after: i64, object: &Value) {
        let kind = format!("customer.subscription.{what}");
        self.happen(&kind, after, object).await;
    }

    async fn happen(&self, kind: &str, after: i64, object: &Value) {
        let id = object["id"].as_str().unwrap();
        let event = json!({
            "id": format!("evt_{id}_{after}"), "object": "event", "type": kind, "livemode": false,
            "created": START + after, "data": { "object": object },
        });
        self.process(&event, Source::Webhook).await;
    }
}

fn subscription(id: &str, amount: u64) -> Value {
    json!({
        "id": id, "object": "subscription", "customer": "cus_behind", "status": "active",
        "currency": "usd", "created": START, "start_date": START, "cancel_at": null,
        "cancel_at_period_end": false, "collection_method": "charge_automatically",
        "discounts": [], "default_tax_rates": [], "metadata": {}, "pause_collection": null,
        "schedule": null, "trial_start": null, "trial_end": null, "ended_at": null,
        "canceled_at": null, "items": subscription_items(amount),
    })
}

fn subscription_items(amount: u64) -> Value {
    let price = json!({
        "id": format!("price_{amount}"), "object": "price", "active": true,
        "billing_scheme": "per_unit", "created": START, "currency": "usd", "product": "prod_1",
        "type": "recurring", "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
        "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
    });
    json!({ "object": "list", "has_more": false, "data": [{
        "id": "si_behind", "object": "subscription_item", "price": price, "quantity": 1,
        "current_period_start": START, "current_period_end": START + 30 * DAY, "discounts": [],
        "tax_rates": [],
    }] })
}

fn invoice(id: &str, subscription: &str) -> Value {
    json!({
        "id": id, "object": "invoice", "customer": "cus_behind", "status": "open",
        "currency": "usd", "amount_due": 9_900, "amount_paid": 0, "amount_remaining": 9_900,
        "total": 9_900, "created": START + 29 * DAY, "due_date": null, "attempted": true,
        "attempt_count": 1, "next_payment_attempt": START + 32 * DAY,
        "collection_method": "charge_automatically", "billing_reason": "subscription_cycle",
        "status_transitions": { "paid_at": null },
        "parent": { "type": "subscription_details",
            "subscription_details": { "subscription": subscription } },
        "lines": { "object": "list", "has_more": false, "data": [] },
    })
}
