//! AWS and the API in memory, over HTTP on a port of their own: the table of the store's golden items,
//! two dead letters, runs that are finished as soon as they are asked for, and the API's golden
//! answers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use paygraph_testkit::fake_stripe::{AccountConfig, Config, FakeStripe, Key, needed_rights};
use paygraph_testkit::history::{MIDDLE, events};
use paygraph_testkit::table::{FakeTable, from_golden};
use serde_json::{Value, json};

/// A key that may do what paygraph needs, and one that may do nothing.
pub const RESTRICTED_KEY: &str = "rk_test_newcomer1234";
pub const POOR_KEY: &str = "rk_test_poor1234";

pub struct Server {
    pub url: String,
    pub stripe_url: String,
}

struct State {
    table: FakeTable,
    secrets: Mutex<BTreeMap<String, String>>,
    /// How many messages of the dead letters were received.
    received: Mutex<usize>,
}

struct Asked {
    line: String,
    target: String,
    body: String,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Server {
    /// Starts one that lives as long as the test program.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let items = repository().join("shared/store/tests/golden/items");
        let state = Arc::new(State {
            table: FakeTable::of_golden_files(&items),
            secrets: Mutex::default(),
            received: Mutex::new(0),
        });
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), Arc::clone(&state));
                thread::spawn(move || serve(&stream, &state));
            }
        });
        let stripe_url = start_stripe();
        Self { url, stripe_url }
    }
}

/// Starts a Stripe whose clock stands, and that lives as long as the test program.
fn start_stripe() -> String {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let mut config = Config::default().unlimited();
    config.accounts.push(AccountConfig::new("acct_newcomer"));
    let stripe = runtime.block_on(FakeStripe::start(config)).unwrap();
    stripe.set_now(MIDDLE);
    stripe.add_key(Key::restricted(
        RESTRICTED_KEY,
        "acct_newcomer",
        &needed_rights(),
    ));
    stripe.add_key(Key::restricted(POOR_KEY, "acct_newcomer", &[]));
    let url = stripe.url().to_owned();
    thread::spawn(move || {
        let _stripe = stripe;
        runtime.block_on(std::future::pending::<()>());
    });
    url
}

/// Answers the requests of one connection.
fn serve(stream: &TcpStream, state: &State) {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        let (status, body) = state.answer(&asked);
        let mut writer = stream;
        let head = format!(
            "HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if writer
            .write_all(format!("{head}{body}").as_bytes())
            .is_err()
        {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|length| *length > 0)?;
    let (mut target, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "x-amz-target" => value.trim().clone_into(&mut target),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    Some(Asked { line, target, body })
}

impl State {
    fn answer(&self, asked: &Asked) -> (u16, String) {
        match asked.target.split_once('.') {
            Some(("DynamoDB_20120810", operation)) => self.table.answer(operation, &asked.body),
            Some(("AmazonSQS", "ReceiveMessage")) => (200, self.receive().to_string()),
            Some(("AmazonSQS", "SendMessage")) => {
                let sent: Value = serde_json::from_str(&asked.body).unwrap();
                if sent["QueueUrl"].as_str().unwrap().ends_with("/jobs") {
                    self.finish(sent["MessageBody"].as_str().unwrap());
                }
                (200, json!({ "MessageId": "1" }).to_string())
            }
            Some(("AmazonSQS", "DeleteMessage")) => (200, "{}".to_owned()),
            Some(("AWSEvents", "PutEvents")) => {
                let request: Value = serde_json::from_str(&asked.body).unwrap();
                let entries = request["Entries"].as_array().unwrap().iter();
                let entries: Vec<_> = entries.map(|_| json!({ "EventId": "1" })).collect();
                (
                    200,
                    json!({ "FailedEntryCount": 0, "Entries": entries }).to_string(),
                )
            }
            Some(("secretsmanager", operation)) => self.secret(operation, &asked.body),
            Some(other) => panic!("AWS in memory does not know {other:?}"),
            None => of_api(asked.line.trim_end_matches("HTTP/1.1\r\n").trim()),
        }
    }

    fn secret(&self, operation: &str, body: &str) -> (u16, String) {
        let request: Value = serde_json::from_str(body).unwrap();
        let name = request["SecretId"]
            .as_str()
            .or(request["Name"].as_str())
            .unwrap();
        let mut secrets = self.secrets.lock().unwrap();
        match (operation, request["SecretString"].as_str()) {
            ("CreateSecret", Some(secret)) => {
                secrets.insert(name.to_owned(), secret.to_owned());
            }
            ("PutSecretValue", Some(secret)) if secrets.contains_key(name) => {
                secrets.insert(name.to_owned(), secret.to_owned());
            }
            _ => {}
        }
        match secrets.get(name) {
            Some(secret) => (
                200,
                json!({ "Name": name, "SecretString": secret }).to_string(),
            ),
            None => (
                400,
                json!({ "__type": "ResourceNotFoundException" }).to_string(),
            ),
        }
    }

    /// Two dead letters: one that can be read, and one that cannot.
    fn receive(&self) -> Value {
        let mut received = self.received.lock().unwrap();
        *received += 1;
        if *received > 1 {
            return json!({ "Messages": [] });
        }
        let event = &events()[0];
        let readable =
            json!({ "version": 1, "tenant": "acme", "received_at": 1_792_700_000, "event": event });
        let message = |id: &str, body: &str| {
            json!({ "MessageId": id, "ReceiptHandle": id, "Body": body, "MessageAttributes": {
                "reason": { "DataType": "String", "StringValue": format!("the reason of {id}") } } })
        };
        json!({ "Messages": [message("m1", &readable.to_string()), message("m2", "not readable")] })
    }

    /// What the function `reconcile` does of a request, at once: the run is there and finished, with
    /// the drift of the golden one.
    fn finish(&self, request: &str) {
        let request: Value = serde_json::from_str(request).unwrap();
        // An import that connecting begins has no name yet, and nobody waits for it.
        let Some(id) = request["run"].as_str() else {
            return;
        };
        let golden = |kind: &str| -> Vec<Value> {
            let file = repository().join(format!("shared/store/tests/golden/items/{kind}.json"));
            serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
        };
        let runs = golden("run");
        let mut run = runs
            .iter()
            .find(|run| run["sk"] == "reconcile-1")
            .unwrap()
            .clone();
        run["sk"] = json!(id);
        let doc = &mut run["doc"];
        (doc["id"], doc["job"], doc["stage"]) =
            (json!(id), request["job"].clone(), json!("finished"));
        (doc["problem"], doc["stopped"]) = (Value::Null, json!(false));
        for name in ["kinds", "since", "recent", "dry_run", "object"] {
            doc["scope"][name] = request[name].clone();
        }
        for mut drift in golden("run_drift") {
            drift["pk"] = json!(format!("T#acme#RUN#{id}"));
            self.table.put(from_golden(&drift));
        }
        self.table.put(from_golden(&run));
    }
}

/// The API's golden answer to a request, as `GET /api/…`; whatever part of a list is asked for, the
/// golden answer is that of the whole list if there is none of the part.
fn of_api(request: &str) -> (u16, String) {
    let (path, _) = request.split_once('?').unwrap_or((request, ""));
    let answers = repository().join("functions/api/tests/golden/answers");
    let mut cases = Vec::new();
    for entry in fs::read_dir(answers).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        if let Ok(Value::Array(of_route)) = serde_json::from_str(&text) {
            cases.extend(of_route);
        }
    }
    let of = |request: &str| cases.iter().find(|case| case["request"] == request);
    let case = of(request).or_else(|| of(path));
    let case = case.unwrap_or_else(|| panic!("no golden answer to {request}"));
    let status = case["status"].as_u64().unwrap();
    (status.try_into().unwrap(), case["answer"].to_string())
}
