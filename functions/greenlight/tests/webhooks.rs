//! Webhooks as messages: received, processed, failed.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::sync::Mutex;

use paygraph_bus::batch::Refusal;
use paygraph_greenlight::failed::Failures;
use paygraph_runtime::config::GreenlightEntity;
use paygraph_testkit::nats::NatsServer;
use serde_json::{Value, json};

use crate::support::{NOW, customer, deadline, deliver, engine, feed, target};

/// A look after the other.
struct Looks(Mutex<Vec<Vec<String>>>);

impl Failures for Looks {
    async fn look(&self) -> Result<Vec<String>, Refusal> {
        Ok(self.0.lock().unwrap().pop().unwrap_or_default())
    }
}

async fn webhooks(server: &NatsServer) -> Vec<(String, Value)> {
    let messages = server.messages().await.into_iter();
    let all = messages.map(|message| {
        let payload = serde_json::from_slice(&message.payload).unwrap();
        (message.subject.to_string(), payload)
    });
    all.filter(|(subject, _)| subject.starts_with("greenlight.webhook."))
        .collect()
}

#[tokio::test]
async fn a_webhook_is_received_and_processed_once() {
    let (server, engine) = (NatsServer::start(), engine());
    let target = target(&engine, GreenlightEntity::Email, Some(server.secret()));
    let bodies = feed(&engine, 0, &[customer()]).await;
    for _ in 0..2 {
        assert!(deliver(&target, &bodies).await.is_empty());
    }
    let [(received, first), (processed, second)] = &webhooks(&server).await[..] else {
        panic!("two messages");
    };
    assert_eq!(
        received,
        "greenlight.webhook.received.stripe.customer.created"
    );
    let line = format!("[⚡📥💳👉] webhook_received: customer.created — Stripe webhook: evt_{NOW}");
    assert_eq!(first["line"], line);
    assert_eq!(
        (&first["step"]["number"], &first["step"]["to"]),
        (&json!(1), &json!("inbox"))
    );
    assert_eq!(
        processed,
        "greenlight.webhook.processed.stripe.customer.created"
    );
    assert_eq!(
        (&second["step"]["number"], &second["line"]),
        (&json!(4), &Value::Null)
    );
    // Its line is in the webhook's log.
    let lines = target.log.take();
    assert!(
        lines.iter().all(|line| !line.contains("webhook_received")),
        "{lines:?}"
    );
}

/// However often it is looked at, what lies in the dead letters has failed once. What cannot be read
/// there has no type that anybody could subscribe to.
#[tokio::test]
async fn a_webhook_in_the_dead_letters_has_failed_once() {
    let (server, engine) = (NatsServer::start(), engine());
    let target = target(&engine, GreenlightEntity::Email, Some(server.secret()));
    let event = json!({ "id": "evt_lost", "object": "event", "type": "invoice.paid", "created": NOW,
        "livemode": false, "data": { "object": { "id": "in_1", "object": "invoice" } } });
    let whole = json!({ "version": 1, "tenant": "default", "account": null, "received_at": NOW,
        "event": event });
    let pointer = json!({ "version": 1, "tenant": "default", "account": null, "received_at": NOW,
        "pointer": { "id": "evt_large", "type": "invoice.finalized", "created": NOW } });
    for _ in 0..2 {
        let looks = vec![
            vec![pointer.to_string()],
            vec![whole.to_string(), "not json".to_owned()],
        ];
        let seen = target.failures(&Looks(Mutex::new(looks)), deadline()).await;
        assert_eq!(seen.unwrap(), 3);
    }
    let subjects: Vec<_> = webhooks(&server)
        .await
        .into_iter()
        .map(|(subject, _)| subject)
        .collect();
    assert_eq!(
        subjects,
        [
            "greenlight.webhook.received.stripe.invoice.paid",
            "greenlight.webhook.failed.stripe.invoice.paid",
            "greenlight.webhook.received.stripe.invoice.finalized",
            "greenlight.webhook.failed.stripe.invoice.finalized",
        ]
    );
    assert!(target.log.take().is_empty());
}

/// Without NATS nobody looks at the dead letters.
#[tokio::test]
async fn without_nats_the_dead_letters_are_left_alone() {
    let target = target(&engine(), GreenlightEntity::Email, None);
    let looks = Looks(Mutex::new(vec![vec!["not json".to_owned()]]));
    assert_eq!(target.failures(&looks, deadline()).await.unwrap(), 0);
    assert_eq!(looks.0.lock().unwrap().len(), 1);
}
