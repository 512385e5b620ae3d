//! A batch of a target: results by message, order by contact.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::sync::Mutex;

use aws_lambda_events::sqs::SqsEvent;
use paygraph_bus::batch::{Refusal, each};
use paygraph_bus::dead_letters::DeadLetters;
use serde_json::{Value, json};

#[derive(Default)]
struct Letters(Mutex<Vec<String>>, bool);

impl DeadLetters for Letters {
    async fn bury(&self, _: &str, reason: &str) -> bool {
        self.0.lock().unwrap().push(reason.to_owned());
        !self.1
    }
}

fn event(id: &str, customer: Option<&str>) -> Value {
    json!({ "detail-type": "mrr_changed", "detail": { "version": 1, "id": id, "tenant": "acme",
        "customer_id": customer, "stripe_customer_id": null, "occurred_at": "2026-11-01T00:00:00Z",
        "source": "webhook", "cause": "evt_1", "data": {} } })
}

fn batch(bodies: &[String]) -> SqsEvent {
    let records = bodies.iter().enumerate();
    let records: Vec<_> = records
        .map(|(place, body)| json!({ "messageId": place.to_string(), "body": body }))
        .collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

async fn again(letters: &Letters, bodies: &[String], seen: &Mutex<Vec<String>>) -> Vec<String> {
    let response = each(&batch(bodies), letters, async |event| {
        seen.lock().unwrap().push(event.detail.id.clone());
        match event.detail.id.as_str() {
            "busy" => Err(Refusal::Again("busy".to_owned())),
            "wrong" => Err(Refusal::Never("wrong".to_owned())),
            _ => Ok(()),
        }
    })
    .await;
    let failures = response.batch_item_failures.into_iter();
    failures.map(|failure| failure.item_identifier).collect()
}

#[tokio::test]
async fn n1_each_message_has_its_own_result() {
    let bodies = [
        event("a1", Some("a")).to_string(),
        "not json".to_owned(),
        event("busy", Some("b")).to_string(),
        event("wrong", None).to_string(),
        event("a2", Some("a")).to_string(),
    ];
    let (letters, seen) = (Letters::default(), Mutex::default());
    assert_eq!(again(&letters, &bodies, &seen).await, ["2"]);
    let seen = seen.into_inner().unwrap();
    let place = |id: &str| seen.iter().position(|seen| seen == id).unwrap();
    assert!(place("a1") < place("a2"));
    let mut reasons = letters.0.into_inner().unwrap();
    reasons.sort();
    assert_eq!(reasons.len(), 2);
    assert!(reasons[0].starts_with("the message is not an event of the bus"));
    assert_eq!(reasons[1], "wrong");
}

/// N2: what the dead letters do not take comes again.
#[tokio::test]
async fn n2_nothing_is_lost_when_the_dead_letters_are_away() {
    let (letters, seen) = (Letters(Mutex::default(), true), Mutex::default());
    let bodies = ["not json".to_owned(), event("wrong", None).to_string()];
    assert_eq!(again(&letters, &bodies, &seen).await, ["0", "1"]);
}
