//! The API over AWS in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lambda_http::{Body, Response};
use paygraph_api::connect::Connect;
use paygraph_api::health::Queues;
use paygraph_api::router::Api;
use paygraph_bus::{EventBridge, Queue};
use paygraph_engine::connect::{Connector, Place};
use paygraph_engine::process::Engine;
use paygraph_runtime::secrets::SecretsManager;
use paygraph_store::DynamoStore;
use paygraph_store::token::hash;
use paygraph_testkit::history::MIDDLE;
use paygraph_testkit::table::{FakeTable, from_golden};
use serde_json::{Value, json};

use crate::client;
use crate::gateway::{Asked, READER, TOKEN};

/// What AWS was sent, and the secrets.
#[derive(Debug, Default)]
pub struct Aws {
    entries: Mutex<Vec<String>>,
    messages: Mutex<Vec<String>>,
    secrets: Mutex<BTreeMap<String, String>>,
}

pub struct Stage {
    api: Api<fn() -> i64>,
    pub aws: Arc<Aws>,
    /// How many requests there were: each has an id of its own, as at Lambda.
    requests: AtomicUsize,
}

fn now() -> i64 {
    MIDDLE
}

impl Stage {
    /// The API over the store's golden items, with Stripe at a URL.
    pub fn new(stripe: Option<&str>) -> Self {
        Self::over(&table(), stripe)
    }

    pub fn over(table: &Arc<FakeTable>, stripe: Option<&str>) -> Self {
        let store: DynamoStore = client::store(table);
        let aws = Arc::new(Aws::default());
        let sqs = aws.sqs();
        let place = Place::new(stripe.map(str::to_owned), Some("ca_test".to_owned()), false);
        let connect = Connect {
            connector: Connector {
                store: store.clone(),
                secrets: SecretsManager::new(aws.secrets_manager(), "paygraph"),
                import: Queue::new(sqs.clone(), "https://sqs.example/jobs"),
                place,
            },
            public_url: None,
        };
        let clock: fn() -> i64 = now;
        let api = Api {
            engine: Engine::alone(store, clock),
            publisher: EventBridge::new(aws.event_bridge(), "paygraph-bus"),
            queues: Queues {
                ingest: Queue::new(sqs.clone(), "https://sqs.example/ingest"),
                dead_letters: Queue::new(sqs, "https://sqs.example/dead"),
            },
            connect,
        };
        Self {
            api,
            aws,
            requests: AtomicUsize::new(0),
        }
    }

    /// The answer to a request, as a golden file has it.
    pub async fn answer(&self, asked: &Asked) -> String {
        asked.shown(&self.respond(asked).await)
    }

    pub async fn respond(&self, asked: &Asked) -> Response<Body> {
        let n = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("request-{n}");
        self.api.handle(&asked.request(), &id).await
    }
}

/// The items of the store's golden files, with two tokens and the link of an e-mail.
fn table() -> Arc<FakeTable> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = FakeTable::of_golden_files(&root.join("../../shared/store/tests/golden/items"));
    put_tokens(&table);
    table.put(from_golden(&json!({
        "pk": "T#acme#N#5a6b", "sk": "ADDRESS", "token": "beef",
    })));
    Arc::new(table)
}

/// A table with two tokens and nothing else.
pub fn empty() -> Arc<FakeTable> {
    let table = FakeTable::default();
    put_tokens(&table);
    Arc::new(table)
}

fn put_tokens(table: &FakeTable) {
    for (token, rights) in [(TOKEN, json!(["read", "write"])), (READER, json!(["read"]))] {
        table.put(from_golden(&json!({
            "pk": format!("T#acme#TOKEN#{}", hash(token)), "sk": "TOKEN", "tenant": "acme",
            "name": "test", "created_at": "2026-01-01T00:00:00Z", "rights": rights,
        })));
    }
}

impl Aws {
    /// The entries that were put on the bus, each as a line of JSON.
    pub fn published(&self) -> Vec<String> {
        self.entries.lock().unwrap().clone()
    }

    /// The messages that were sent to queues, each as a line of JSON.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    /// The secrets, as a JSON object.
    pub fn secrets(&self) -> Value {
        json!(*self.secrets.lock().unwrap())
    }

    pub fn put_secret(&self, name: &str, secret: &Value) {
        let mut secrets = self.secrets.lock().unwrap();
        secrets.insert(format!("paygraph/{name}"), secret.to_string());
    }

    fn event_bridge(self: &Arc<Self>) -> aws_sdk_eventbridge::Client {
        let aws = Arc::clone(self);
        let http = client::http(move |_, body| {
            let request: Value = serde_json::from_str(body).unwrap();
            let entries = request["Entries"].as_array().unwrap();
            let mut kept = aws.entries.lock().unwrap();
            kept.extend(entries.iter().map(Value::to_string));
            let answers: Vec<_> = entries.iter().map(|_| json!({ "EventId": "1" })).collect();
            (
                200,
                json!({ "FailedEntryCount": 0, "Entries": answers }).to_string(),
            )
        });
        let config = aws_sdk_eventbridge::Config::builder().with_test_defaults_v2();
        aws_sdk_eventbridge::Client::from_conf(config.http_client(http).build())
    }

    fn sqs(self: &Arc<Self>) -> aws_sdk_sqs::Client {
        let aws = Arc::clone(self);
        let http = client::http(move |operation, body| {
            if operation == "GetQueueAttributes" {
                let is_dead = body.contains("/dead");
                let (visible, hidden) = if is_dead { ("0", "0") } else { ("3", "1") };
                let attributes = json!({ "Attributes": {
                    "ApproximateNumberOfMessages": visible,
                    "ApproximateNumberOfMessagesNotVisible": hidden,
                } });
                return (200, attributes.to_string());
            }
            aws.messages.lock().unwrap().push(body.to_owned());
            (200, json!({ "MessageId": "1" }).to_string())
        });
        let config = aws_sdk_sqs::Config::builder().with_test_defaults_v2();
        aws_sdk_sqs::Client::from_conf(config.http_client(http).build())
    }

    fn secrets_manager(self: &Arc<Self>) -> aws_sdk_secretsmanager::Client {
        let aws = Arc::clone(self);
        let http = client::http(move |operation, body| {
            let request: Value = serde_json::from_str(body).unwrap();
            let mut secrets = aws.secrets.lock().unwrap();
            let name = request["SecretId"]
                .as_str()
                .or(request["Name"].as_str())
                .unwrap();
            let given = request["SecretString"].as_str().map(str::to_owned);
            let refused =
                |name: &str| (400, json!({ "__type": name, "Message": "no" }).to_string());
            match (operation, secrets.get(name), given) {
                ("GetSecretValue", Some(secret), _) => (
                    200,
                    json!({ "Name": name, "SecretString": secret }).to_string(),
                ),
                ("GetSecretValue" | "PutSecretValue", None, _) => {
                    refused("ResourceNotFoundException")
                }
                ("CreateSecret", Some(_), _) => refused("ResourceExistsException"),
                (_, _, Some(given)) => {
                    secrets.insert(name.to_owned(), given);
                    (200, json!({ "Name": name }).to_string())
                }
                other => unreachable!("the API does not do {other:?}"),
            }
        });
        let config = aws_sdk_secretsmanager::Config::builder().with_test_defaults_v2();
        aws_sdk_secretsmanager::Client::from_conf(config.http_client(http).build())
    }
}
