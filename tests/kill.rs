//! Functions that are killed in the middle of it. Alone on the stack: they are broken for a while.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use async_nats::jetstream;
use aws_sdk_sqs::types::QueueAttributeName;
use paygraph_tests::{customer_created, event, now, stack, subscription, unique, wait};
use serde_json::{Value, json};

/// One after the other: each breaks something that the other needs.
static ALONE: Mutex<()> = Mutex::new(());

fn kill_workers(function: &str) -> usize {
    let wanted = format!("AWS_LAMBDA_FUNCTION_NAME={function}");
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let is_worker = environment
            .split(|b| *b == 0)
            .any(|v| v == wanted.as_bytes());
        if is_worker && let Some(pid) = entry.file_name().to_str() {
            killed += usize::from(
                Command::new("kill")
                    .args(["-9", pid])
                    .status()
                    .unwrap()
                    .success(),
            );
        }
    }
    killed
}

/// A place that takes connections and never answers; says when there is one.
fn silent() -> (String, Receiver<()>) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let (tell, heard) = channel();
    thread::spawn(move || {
        let mut held = Vec::new();
        for connection in silent.incoming().flatten() {
            held.push(connection);
            // Nobody may be listening any more.
            let _ = tell.send(());
        }
    });
    (address, heard)
}

/// D5, N7: the commit stands, and the sweep publishes it, under the same ids.
#[test]
fn d5_n7_a_worker_killed_between_commit_and_publish_loses_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let function = stack().local("worker_function");
    let path = format!("{function}/configuration");
    let before = stack().lambda("GET", &path, &Value::Null)["Environment"]["Variables"].clone();
    // A bus that takes the call and never answers.
    let (address, _heard) = silent();
    let address = format!("http://{address}");
    let mut broken = before.clone();
    broken["AWS_ENDPOINT_URL_EVENTBRIDGE"] = json!(address);
    let _ = stack().lambda(
        "PUT",
        &path,
        &json!({ "Environment": { "Variables": broken } }),
    );
    kill_workers(&function);

    let (id, customer) = (unique("evt_"), unique("cus_"));
    assert_eq!(stack().post(&customer_created(&id, &customer)), 200);
    let waiting = wait("the commit", || stack().ledger(&id));
    // Stripe's own, the customer, and the segment that it is in.
    assert_eq!(waiting.outbox.len(), 3, "committed, and not published");
    assert!(kill_workers(&function) > 0, "the worker was at it");
    let _ = stack().lambda(
        "PUT",
        &path,
        &json!({ "Environment": { "Variables": before } }),
    );
    assert_eq!(
        stack().get(&format!("customer/{customer}")).0,
        200,
        "the record is there"
    );
    assert!(stack().delivered(&id).is_empty());

    // The minute tick, two minutes later.
    wait("the sweep", || {
        let _ = stack().tick(now() + 120);
        stack().ledger(&id).filter(|entry| entry.outbox.is_empty())
    });
    let told = wait("the events", || {
        Some(stack().delivered(&id)).filter(|told| told.len() >= 3)
    });
    let mut ids: Vec<_> = told
        .iter()
        .map(|(_, e)| e["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids, [0, 1, 2].map(|n| format!("{id}#{n}")));
    assert_eq!(
        stack().get(&format!("audit/{customer}")).1["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// A NATS server of the test's own.
struct Nats {
    process: Child,
    port: u16,
    _kept: tempfile::TempDir,
}

impl Nats {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let kept = tempfile::tempdir().unwrap();
        let mut server = Command::new("nats-server");
        server.args(["--addr", "127.0.0.1", "--port", &port.to_string()]);
        server
            .arg("--jetstream")
            .arg("--store_dir")
            .arg(kept.path());
        let process = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.unwrap();
        wait("nats-server", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self {
            process,
            port,
            _kept: kept,
        }
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The subjects with this ending, of all that is in the stream; none while there is no stream.
    fn subjects(&self, ending: &str) -> Vec<String> {
        let all = stack().block_on(async {
            let client = async_nats::connect(self.url()).await.ok()?;
            let mut stream = jetstream::new(client).get_stream("GREENLIGHT").await.ok()?;
            let last = stream.info().await.ok()?.state.last_sequence;
            let mut subjects = Vec::new();
            for sequence in 1..=last {
                let message = stream.get_raw_message(sequence).await.ok()?;
                subjects.push(message.subject.to_string());
            }
            Some(subjects)
        });
        let all = all.unwrap_or_default().into_iter();
        all.filter(|subject| subject.ends_with(ending)).collect()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        // A failure here would hide the one that the test is about.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn hide_for(seconds: u32) {
    let hide = stack().sqs.set_queue_attributes();
    let hide = hide.queue_url(stack().local("greenlight_queue_url"));
    let hide = hide.attributes(QueueAttributeName::VisibilityTimeout, seconds.to_string());
    stack().block_on(hide.send()).unwrap();
}

/// D1, N19: a webhook that comes three times is one message, although GreenLight is killed between
/// its claim and the message.
#[test]
fn d1_n19_greenlight_killed_between_claim_and_message_tells_once() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let function = stack().local("greenlight_function");
    let (address, heard) = silent();
    stack().keep_secret("nats", &json!({ "url": format!("nats://{address}") }));
    // Who has looked for the secret already would not look again for a minute.
    kill_workers(&function);
    // Longer than a claim holds, and shorter than the template has it: this test waits for it.
    hide_for(70);
    let (customer, t) = (unique("cus_"), now() - 60);
    let active = subscription(&customer, "active", t);
    let created = event(&unique("evt_"), "customer.subscription.created", t, &active);
    for _ in 0..3 {
        assert_eq!(stack().post(&created), 200);
    }
    heard.recv_timeout(paygraph_tests::PATIENCE).unwrap();
    assert!(kill_workers(&function) > 0, "GreenLight was at it");
    let nats = Nats::start();
    stack().keep_secret(
        "nats",
        &json!({ "url": nats.url(), "stream": "GREENLIGHT" }),
    );
    let subjects = wait("the message", || {
        Some(nats.subjects(&customer)).filter(|subjects| !subjects.is_empty())
    });
    let expected = format!("greenlight.subscription.created.team.{customer}");
    assert_eq!(subjects, [expected.as_str()]);
    // A fourth time, and one that comes after it: that one is told, and nothing twice.
    assert_eq!(stack().post(&created), 200);
    let mut lost = active;
    lost["status"] = json!("canceled");
    let lost = event(
        &unique("evt_"),
        "customer.subscription.deleted",
        now(),
        &lost,
    );
    assert_eq!(stack().post(&lost), 200);
    wait("the next message", || {
        Some(nats.subjects(&customer)).filter(|subjects| subjects.len() > 1)
    });
    let subjects = nats.subjects(&customer);
    assert_eq!(
        subjects,
        [
            expected,
            format!("greenlight.subscription.canceled.team.{customer}")
        ]
    );
    stack().keep_secret("nats", &json!({}));
    kill_workers(&function);
    hide_for(180);
}
