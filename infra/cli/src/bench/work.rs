//! Calls and write units per event, counted through the real worker on the local stack.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use paygraph_bus::EventBridge;
use paygraph_bus::dead_letters::DeadLetterQueue;
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_engine::ports::UNCONNECTED;
use paygraph_engine::process::Engine;
use paygraph_runtime::aws::sdk_config;
use paygraph_runtime::clock::{Clock, SystemClock};
use paygraph_runtime::config::{AwsConfig, Config};
use paygraph_store::DynamoStore;
use paygraph_stripe::client::API_VERSION;
use paygraph_stripe::ingest::{IngestContent, IngestMessage};
use paygraph_testkit::world::{History, World};
use paygraph_worker::batch::Worker;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Reading;
use crate::local::Local;
use crate::stack::{now, run, variables};

/// How many events are counted.
const EVENTS: usize = 400;

/// The name under which these queries are counted: for contacts that share a name with a new customer,
/// and for messages that are parked for a marked charge or payment intent.
const FIRST_SIGHTS: &str = "Query, first sights";

/// The calls and write units that were counted.
#[derive(Debug, Default)]
struct Counts {
    calls: BTreeMap<String, usize>,
    table_units: usize,
    index_units: usize,
    /// The size of what was put under a key, for updates that do not tell it.
    sizes: HashMap<String, usize>,
}

/// Counts every request on its way out.
#[derive(Debug, Clone, Default)]
struct Counter(Arc<Mutex<Counts>>);

impl Intercept for Counter {
    fn name(&self) -> &'static str {
        "Counter"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.write(&operation, &body);
        let call = match operation.as_str() {
            "Query" if !is_working_set(&body) => FIRST_SIGHTS.to_owned(),
            _ => operation,
        };
        *counts.calls.entry(call).or_default() += 1;
        Ok(())
    }
}

impl Counts {
    /// Write units by DynamoDB's rules: one per KiB, two in a transaction, and as many again for
    /// an index that takes the whole item.
    fn write(&mut self, operation: &str, body: &Value) {
        match operation {
            "PutItem" => self.put(&body["Item"], 1),
            "UpdateItem" => {
                let size = self.sizes.get(&key(&body["Key"])).copied().unwrap_or(1);
                self.table_units += units(size);
                self.index_units += units(size);
            }
            "TransactWriteItems" => {
                for write in body["TransactItems"].as_array().into_iter().flatten() {
                    match write.get("Put") {
                        Some(put) => self.put(&put["Item"], 2),
                        None => self.table_units += 2,
                    }
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, item: &Value, factor: usize) {
        let size = size(item);
        self.table_units += units(size) * factor;
        if item.get("pending_pk").is_some() {
            self.index_units += units(size);
            self.sizes.insert(key(item), size);
        }
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(1_024).max(1)
}

fn key(item: &Value) -> String {
    format!("{} {}", item["pk"]["S"], item["sk"]["S"])
}

/// An item's size: names and values.
fn size(item: &Value) -> usize {
    let attributes = item.as_object().into_iter().flatten();
    attributes
        .map(|(name, value)| {
            let text = value["S"]
                .as_str()
                .or(value["N"].as_str())
                .unwrap_or_default();
            name.len() + text.len()
        })
        .sum()
}

/// Counts.
pub fn measure(local: &Local) -> anyhow::Result<Vec<Reading>> {
    let start = now().unix() - 86_400 * 60;
    let world = World::new(&format!("work{}", now().unix()), 21, start);
    let History {
        mut events,
        objects,
        ..
    } = world.live(60, 8).finish();
    events.truncate(EVENTS);
    run(process(local, &Counter::default(), &made(&objects)))?;
    let counter = Counter::default();
    run(process(local, &counter, &events))?;
    let counts = counter.0.lock().unwrap_or_else(PoisonError::into_inner);
    let each = |count: usize| {
        let hundredths = count * 100 / events.len().max(1);
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    };
    let calls = |names: &[&str]| {
        let counts = names.iter().filter_map(|name| counts.calls.get(*name));
        each(counts.sum())
    };
    Ok(vec![
        Reading::new(
            "calls per event, all",
            each(counts.calls.values().sum()),
            "≤ 6.5",
        ),
        Reading::new("  GetItem", calls(&["GetItem"]), "2, +1 for an invoice"),
        Reading::new(
            "  Query, what is known of a customer",
            calls(&["Query"]),
            "1",
        ),
        Reading::new(
            "  Query, first sights: names, parked messages",
            calls(&[FIRST_SIGHTS]),
            "",
        ),
        Reading::new(
            "  TransactWriteItems, PutItem",
            calls(&["TransactWriteItems", "PutItem"]),
            "1",
        ),
        Reading::new("  UpdateItem", calls(&["UpdateItem"]), "1"),
        Reading::new("  PutEvents", calls(&["PutEvents"]), "shared by the batch"),
        Reading::new(
            "  BatchGetItem: catalog (cached 60 s), marks of new charges",
            calls(&["BatchGetItem"]),
            "",
        ),
        Reading::new("write units per event, table", each(counts.table_units), ""),
        Reading::new("write units per event, index", each(counts.index_units), ""),
    ])
}

/// The events by which what is sold came, before anybody bought it.
fn made(objects: &BTreeMap<&'static str, Vec<Value>>) -> Vec<String> {
    let sold = ["product", "price"]
        .into_iter()
        .filter_map(|kind| objects.get(kind));
    let made = sold.flatten().map(|object| {
        let kind = object["object"].as_str().unwrap_or_default();
        let id = object["id"].as_str().unwrap_or_default();
        json!({
            "id": format!("evt_made_{id}"), "object": "event", "type": format!("{kind}.created"),
            "created": object["created"], "livemode": false, "api_version": API_VERSION,
            "data": { "object": object },
        })
        .to_string()
    });
    made.collect()
}

/// Whether a query is for the objects of one Stripe customer, which every event's is.
fn is_working_set(body: &Value) -> bool {
    let partition = &body["ExpressionAttributeValues"][":pk"]["S"];
    partition.as_str().is_some_and(|pk| pk.contains("#S#"))
}

async fn process(local: &Local, counter: &Counter, events: &[String]) -> anyhow::Result<()> {
    let sdk = sdk_config(&AwsConfig::read(&variables(local))?);
    let dynamo = aws_sdk_dynamodb::config::Builder::from(&sdk)
        .interceptor(counter.clone())
        .build();
    let dynamo = aws_sdk_dynamodb::Client::from_conf(dynamo);
    let bus = aws_sdk_eventbridge::config::Builder::from(&sdk)
        .interceptor(counter.clone())
        .build();
    let bus = aws_sdk_eventbridge::Client::from_conf(bus);
    let store = DynamoStore::new(dynamo, &local.table, Settings::example()?);
    let worker = Worker {
        pulse: store.clone(),
        engine: Engine::alone(store, || SystemClock.now()),
        publisher: EventBridge::new(bus, &local.event_bus),
        dead_letters: DeadLetterQueue::new(aws_sdk_sqs::Client::new(&sdk), &local.dlq_url),
        unconnected: TenantId::parse(UNCONNECTED)?,
        last_beat: AtomicI64::new(now().unix()),
    };
    for batch in events.chunks(10) {
        let mut records = Vec::new();
        for (place, event) in batch.iter().enumerate() {
            let raw: &RawValue = serde_json::from_str(event)?;
            let message = IngestMessage {
                tenant: Some(TenantId::parse("default")?),
                account: None,
                received_at: now(),
                content: IngestContent::Event(raw),
            };
            let body = message.to_body()?;
            records.push(json!({ "messageId": place.to_string(), "body": body }));
        }
        let batch: SqsEvent = serde_json::from_value(json!({ "Records": records }))?;
        let answer = worker.handle(&batch, Duration::from_secs(60)).await;
        anyhow::ensure!(
            answer.batch_item_failures.is_empty(),
            "the worker gave messages back"
        );
    }
    Ok(())
}
