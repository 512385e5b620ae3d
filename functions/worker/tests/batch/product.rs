//! Product events through the worker, beside Stripe's.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_engine::ports::Store as _;
use paygraph_engine::user::Users as _;
use serde_json::{Value, json};

use super::{NOW, customer, handle, message, worker};

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

fn product(events: &Value) -> String {
    let message = json!({ "product": 1, "tenant": "default", "events": events,
        "received_at": "2026-09-21T14:13:20Z" });
    message.to_string()
}

fn usage(id: &str, used: u64) -> Value {
    json!({ "type": "track", "messageId": id, "userId": "u1", "event": "Usage Reported",
        "context": { "groupId": "acme" }, "properties": { "used": used, "limit": 10 } })
}

#[tokio::test]
async fn product_events_are_taken_in_beside_stripes() {
    let worker = worker();
    let group = json!({ "type": "group", "messageId": "m1", "userId": "u1", "groupId": "acme",
        "traits": { "name": "Acme" } });
    let page = json!({ "type": "page", "userId": "u1" });
    let bodies = [
        product(&json!([group, page, usage("m2", 9)])),
        message(&customer(1)).to_string(),
        product(&json!([usage("m2", 9)])),
    ];
    for _ in 0..2 {
        assert!(handle(&worker, &bodies).await.is_empty());
    }
    let store = &worker.engine.store;
    let id = CustomerId::parse("acme").unwrap();
    let contact = store.contact(&tenant(), &id).await.unwrap().unwrap();
    assert_eq!(contact.company(), Some("Acme"));
    assert_eq!(contact.traits().get("usage_percent"), Some(&json!(90)));
    let user = store.user(&tenant(), "u1").await.unwrap().unwrap();
    assert_eq!(user.last_seen.unwrap().unix(), NOW - NOW % 3_600);
    let published = worker.publisher.0.published();
    let told = |name: &str| {
        published
            .iter()
            .filter(|told| told.detail_type == name)
            .count()
    };
    assert_eq!(told("usage_limit_approached"), 1);
    assert_eq!(told("stripe.customer.created"), 1);
    assert!(store.all_pending(contact.evaluated_at.plus(1)).is_empty());
}

/// The example invocation is one that the worker takes.
#[tokio::test]
async fn the_example_of_product_events_is_taken() {
    let worker = worker();
    let text = include_str!("../../../../events/functions/worker_product.json");
    let example: Value = serde_json::from_str(text).unwrap();
    let body = example["Records"][0]["body"].as_str().unwrap().to_owned();
    assert!(handle(&worker, &[body]).await.is_empty());
    let id = CustomerId::parse("ws_example").unwrap();
    let contact = worker
        .engine
        .store
        .contact(&tenant(), &id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(contact.traits().get("channel"), Some(&json!("ads")));
    assert_eq!(contact.traits().get("usage_percent"), Some(&json!(85)));
}

/// N1, N2: a message that nobody can read goes to the dead letters alone.
#[tokio::test]
async fn n1_n2_a_bad_message_of_product_events_suffers_alone() {
    let worker = worker();
    let newer = json!({ "product": 2, "tenant": "default" }).to_string();
    let untimed = product(&json!([])).replace("2026-09-21T14:13:20Z", "noon");
    let good = product(&json!([usage("m1", 1)]));
    assert!(handle(&worker, &[newer, good, untimed]).await.is_empty());
    let letters = worker.dead_letters.0.lock().unwrap();
    let reasons: Vec<_> = letters.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("version 2")));
    assert!(reasons.iter().any(|reason| reason.contains("when it came")));
    assert_eq!(worker.engine.store.contacts().len(), 1);
}
