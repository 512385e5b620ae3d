//! Every report of people who run Stripe syncs, through the real webhook, queue, worker and API.

use std::path::Path;
use std::sync::Mutex;

use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::Store as _;
use paygraph_testkit::reports::{Report, all, lacks};
use paygraph_tests::{Tenant, now, stack};
use serde_json::{Value, json};

/// How many reports run at a time.
const AT_ONCE: usize = 8;
/// The numbers that are Unix seconds, and no amounts.
const SECONDS: std::ops::Range<i64> = 1_500_000_000..2_100_000_000;

/// R1–R13: each report holds on the local stack, in the order of its history.
#[test]
fn r1_to_r13_every_report_holds_on_the_stack() {
    let reports = all().into_iter();
    let each =
        reports.flat_map(|report| report.files().into_iter().map(move |file| (report, file)));
    let (left, failed) = (Mutex::new(each.collect::<Vec<_>>()), Mutex::new(Vec::new()));
    assert!(!left.lock().unwrap().is_empty());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((report, file)) = { left.lock().unwrap().pop() } {
                    if let Err(error) = check(&report, &file) {
                        failed
                            .lock()
                            .unwrap()
                            .push(format!("{}: {error}", file.display()));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Sends a report's history to a tenant of its own, one event after the other, and compares.
fn check(report: &Report, file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file).unwrap();
    let history = text.lines().filter(|line| !line.is_empty());
    let mut history: Vec<Value> = history
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // The API answers for this instant, so that the history has to end now.
    let newest = history
        .iter()
        .filter_map(|event| event["created"].as_i64())
        .max();
    let later = match newest {
        Some(newest) if !report.is_dated => now() - 60 - newest,
        _ => 0,
    };
    let tenant = Tenant::unique();
    for event in &mut history {
        move_seconds(event, later);
        tenant.post(event);
        tenant.settled(event["id"].as_str().unwrap());
    }

    let shown = shown(&tenant);
    let mut expected = (report.state)(&shown);
    move_instants(&mut expected, later);
    if let Some(missing) = lacks(&expected, &shown, "") {
        return Err(missing);
    }
    let delivered = stack().delivered_to(&tenant.id);
    for (name, data) in report.events {
        let mut data = data();
        move_instants(&mut data, later);
        let mut named = delivered.iter().filter(|(delivered, _)| delivered == name);
        if !named.any(|(_, event)| lacks(&data, &event["data"], name).is_none()) {
            return Err(format!("no {name} with {data}"));
        }
    }
    let told = delivered
        .iter()
        .find(|(name, _)| report.silent.contains(&name.as_str()));
    told.map_or(Ok(()), |(name, event)| {
        Err(format!("{name} was published: {event}"))
    })
}

/// What the stack has of a tenant, in the form that `paygraph fold` prints.
fn shown(tenant: &Tenant) -> Value {
    let store = &stack().store;
    let everyone = stack()
        .block_on(store.everyone(&tenant.id, |_| ()))
        .unwrap();
    let (mut customers, mut subscriptions, mut needs_refetch) =
        (Vec::new(), Vec::new(), Vec::new());
    for id in everyone {
        let ask = |what: &str| {
            let (status, answer) = tenant.ask(&format!("/api/stripe/{what}/{id}"));
            assert_eq!(status, 200, "{what} {id}: {answer}");
            answer
        };
        customers.push(ask("customer"));
        subscriptions.extend(ask("subscriptions")["data"].as_array().unwrap().clone());
        let contact = stack()
            .block_on(store.contact(&tenant.id, &id))
            .unwrap()
            .unwrap();
        let rollups = contact.accounts.values();
        needs_refetch.extend(rollups.flat_map(|rollup| rollup.needs_refetch.clone()));
    }
    json!({
        "customers": customers, "subscriptions": subscriptions, "needs_refetch": needs_refetch,
    })
}

/// Moves every Unix second inside a value.
fn move_seconds(value: &mut Value, later: i64) {
    match value {
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| move_seconds(field, later)),
        Value::Array(list) => list.iter_mut().for_each(|entry| move_seconds(entry, later)),
        Value::Number(number) => {
            if let Some(at) = number.as_i64().filter(|at| SECONDS.contains(at)) {
                *value = json!(at + later);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Moves every instant in RFC 3339 inside a value.
fn move_instants(value: &mut Value, later: i64) {
    match value {
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| move_instants(field, later)),
        Value::Array(list) => list
            .iter_mut()
            .for_each(|entry| move_instants(entry, later)),
        Value::String(text) => {
            if let Ok(at) = Timestamp::parse(text) {
                *value = json!(at.plus(later).to_string());
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
