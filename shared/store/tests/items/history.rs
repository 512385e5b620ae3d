//! What the engine writes: the first half of the fixed history, product events, and the tenant's own
//! words.

use std::collections::BTreeSet;
use std::time::Duration;

use paygraph_domain::contact::Profile;
use paygraph_domain::fact::{Link, Source};
use paygraph_domain::id::{Cause, CustomerId, StripeId, TenantId};
use paygraph_domain::product::segment;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::identity::Request;
use paygraph_engine::memory::StoppedClock;
use paygraph_engine::ports::{ParkReason, Store as _};
use paygraph_engine::process::Engine;
use paygraph_store::DynamoStore;
use paygraph_testkit::history::{MIDDLE, TENANT, events_before};
use serde_json::json;

pub fn tenant() -> TenantId {
    TenantId::parse(TENANT).unwrap()
}

pub fn contact(id: &str) -> CustomerId {
    CustomerId::parse(id).unwrap()
}

/// So many seconds after our own clock, which stands still after everything that happens.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(MIDDLE + seconds).unwrap()
}

pub fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

pub type TableEngine = Engine<DynamoStore, StoppedClock>;

pub fn engine(store: &DynamoStore) -> TableEngine {
    Engine::alone(store.clone(), StoppedClock(at(0)))
}

pub async fn write(store: &DynamoStore) {
    let engine = engine(store);
    profiles(&engine).await;
    let events = events_before(MIDDLE);
    for event in &events {
        let text = event.to_string();
        let (tenant, source) = (tenant(), Source::Webhook);
        engine
            .process(&tenant, &text, source, soon())
            .await
            .unwrap();
    }
    super::more::write(&engine).await;
    product_events(&engine).await;
    park(&engine).await;
    // What was published has left the index of what waits; the others are still in it.
    for event in events.iter().take(3) {
        let cause = Cause::parse(event["id"].as_str().unwrap()).unwrap();
        store.published(&tenant(), &cause).await.unwrap();
    }
}

/// Two contacts that one domain fits, so that a Stripe customer with it is to be looked at.
async fn profiles(engine: &TableEngine) {
    for (id, company) in [
        ("initech-eu", "Initech GmbH"),
        ("initech-us", "Initech, Inc."),
    ] {
        let profile = Profile {
            name: Some("Ada Example".to_owned()),
            email: Some(format!("ada@{id}.example")),
            company: Some(company.to_owned()),
            domain: Some("initech.example".to_owned()),
            traits: [("owner".to_owned(), json!("north"))].into(),
            ..Profile::default()
        };
        put(engine, id, &profile).await;
    }
    let profile = Profile {
        users: ["u_1".to_owned(), "u_2".to_owned()].into(),
        workspaces: ["ws_1".to_owned()].into(),
        traits: [
            ("acquisition_channel".to_owned(), json!("webinar")),
            ("score".to_owned(), json!(7)),
            ("beta".to_owned(), json!(true)),
        ]
        .into(),
        ..Profile::default()
    };
    put(engine, "acme", &profile).await;
}

async fn put(engine: &TableEngine, id: &str, profile: &Profile) {
    let (tenant, cause) = (tenant(), Cause::parse(format!("api:{id}")).unwrap());
    let request = Request {
        tenant: &tenant,
        cause: &cause,
        deadline: soon(),
    };
    let id = contact(id);
    let put = engine.put_profile(&request, &id, profile);
    put.await.unwrap();
}

async fn product_events(engine: &TableEngine) {
    let instant = |seconds: i64| at(seconds).to_string();
    let usage = json!({ "used": 85, "limit": 100 });
    for raw in [
        json!({ "type": "identify", "messageId": "m1", "userId": "u_1", "timestamp": instant(-9_000),
            "traits": { "email": "ada@globex.example", "name": "Ada", "nps": 9 } }),
        json!({ "type": "group", "messageId": "m2", "userId": "u_1", "groupId": "ws_1",
            "timestamp": instant(-8_000), "traits": { "name": "Globex", "channel": "ads" } }),
        json!({ "type": "track", "messageId": "m3", "userId": "u_1", "event": "Usage Reported",
            "timestamp": instant(-7_000), "properties": usage, "context": { "groupId": "ws_1" } }),
        json!({ "type": "track", "messageId": "m4", "userId": "u_3", "event": "Report Opened",
            "timestamp": instant(-6_000), "properties": {} }),
    ] {
        let event = segment::read(&raw, at(0).into()).unwrap();
        engine.hear(&tenant(), &event, soon()).await.unwrap();
    }
}

/// What waits for something outside the events.
async fn park(engine: &TableEngine) {
    for (cause, reason) in [
        ("evt_large", ParkReason::TooLarge),
        (
            "evt_foreign",
            ParkReason::UnknownAccount("acct_9".to_owned()),
        ),
        (
            "evt_intent",
            ParkReason::UnknownPaymentIntent("pi_9".to_owned()),
        ),
    ] {
        let cause = Cause::parse(cause).unwrap();
        let parked = engine.park(&tenant(), cause, reason, "").await;
        parked.unwrap();
    }
    let links = ["pi_9", "pi_10"].map(|id| Link::PaymentIntent(StripeId::parse(id).unwrap()));
    let [waited_for, other] = links;
    let both = BTreeSet::from([waited_for.clone(), other]);
    let marked = engine.store.marked(&tenant(), &both).await.unwrap();
    assert_eq!(marked, BTreeSet::from([waited_for]));
}
