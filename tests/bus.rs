//! What the bus delivers: a queue of the tests' own hears all of it.

use std::collections::HashMap;

use paygraph_domain::id::TenantId;
use serde_json::{Value, json};

use crate::{Stack, unique};

impl Stack {
    /// What the bus delivered of a cause, in order, with repeats: (detail-type, envelope).
    #[must_use]
    pub fn delivered(&self, cause: &str) -> Vec<(String, Value)> {
        self.delivered_if(|event| event["cause"] == cause)
    }

    /// What the bus delivered to a tenant, in order, with repeats: (detail-type, envelope).
    #[must_use]
    pub fn delivered_to(&self, tenant: &TenantId) -> Vec<(String, Value)> {
        self.delivered_if(|event| event["tenant"] == tenant.as_str())
    }

    /// Every delivery so far whose envelope fits.
    fn delivered_if(&self, fits: impl Fn(&Value) -> bool) -> Vec<(String, Value)> {
        let mut delivered = self.delivered.lock().unwrap();
        self.block_on(async {
            loop {
                let asked = self.sqs.receive_message().queue_url(&self.tap);
                let received = asked.max_number_of_messages(10).send().await.unwrap();
                let messages = received.messages.unwrap_or_default();
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    let body = message.body.unwrap_or_default();
                    delivered.push(serde_json::from_str(&body).unwrap());
                    let done = self.sqs.delete_message().queue_url(&self.tap);
                    done.receipt_handle(message.receipt_handle.unwrap())
                        .send()
                        .await
                        .unwrap();
                }
            }
        });
        let own = delivered.iter().filter(|event| fits(&event["detail"]));
        own.map(|e| {
            (
                e["detail-type"].as_str().unwrap().to_owned(),
                e["detail"].clone(),
            )
        })
        .collect()
    }

    /// How many deliveries the bus made of each event id, over everything so far.
    #[must_use]
    pub fn deliveries(&self) -> HashMap<String, usize> {
        let _ = self.delivered("");
        let mut counts = HashMap::new();
        for event in self.delivered.lock().unwrap().iter() {
            let id = event["detail"]["id"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            *counts.entry(id).or_default() += 1;
        }
        counts
    }
}

/// A queue that gets everything from the bus.
pub(crate) async fn tap(
    sqs: &aws_sdk_sqs::Client,
    bus: &aws_sdk_eventbridge::Client,
    name: &str,
) -> String {
    let queue = unique("tap-");
    let url = sqs
        .create_queue()
        .queue_name(&queue)
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{queue}");
    let pattern = json!({ "source": ["paygraph"] }).to_string();
    let rule = bus
        .put_rule()
        .name(&queue)
        .event_bus_name(name)
        .event_pattern(pattern);
    rule.send().await.unwrap();
    let target = aws_sdk_eventbridge::types::Target::builder()
        .id("tap")
        .arn(arn)
        .build()
        .unwrap();
    let targets = bus
        .put_targets()
        .rule(&queue)
        .event_bus_name(name)
        .targets(target);
    targets.send().await.unwrap();
    url
}
