//! A worker that is killed between commit and publish. Alone on the stack: it breaks the worker.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::net::TcpListener;
use std::process::Command;
use std::thread;

use paygraph_tests::{customer_created, now, stack, unique, wait};
use serde_json::{Value, json};

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

/// D5, N7: the commit stands, and the sweep publishes it, under the same ids.
#[test]
fn d5_n7_a_worker_killed_between_commit_and_publish_loses_nothing() {
    let function = stack().local("worker_function");
    let path = format!("{function}/configuration");
    let before = stack().lambda("GET", &path, &Value::Null)["Environment"]["Variables"].clone();
    // A bus that takes the call and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    thread::spawn(move || {
        let mut held = Vec::new();
        for connection in silent.incoming().flatten() {
            held.push(connection);
        }
    });
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
