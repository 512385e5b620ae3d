//! Golden files of every event that the bus carries, as the engine's own outbox holds it.
//!
//! Most follow from the fixed history, told in order, with the minute's tick between; the rest from a
//! few small stories beside it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

#[cfg(feature = "stripe-api")]
mod runs;
mod stories;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use paygraph_engine::envelope::Outgoing;
use paygraph_engine::run::Request;
use paygraph_testkit::golden::GoldenFiles;
use serde_json::Value;

use crate::schemas::Judge;

/// How many events of a name its golden file has.
const EACH: usize = 3;

/// Compares the first events of each name with the golden files of a directory.
fn compare(directory: &str, published: Vec<Outgoing>, wants: impl Fn(&str) -> bool) {
    let mut named: BTreeMap<String, Vec<Outgoing>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut judge = Judge::new();
    for event in published {
        judge.check(&event);
        let passed_on = event.detail_type.starts_with("stripe.");
        let name = if passed_on {
            "stripe"
        } else {
            &event.detail_type
        };
        let of_name = named.entry(name.to_owned()).or_default();
        if of_name.len() < EACH && seen.insert(event.detail.id.clone()) {
            of_name.push(event);
        }
    }
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), directory);
    for (name, events) in named.iter().filter(|(name, _)| wants(name)) {
        let texts = events
            .iter()
            .map(|event| sorted(&serde_json::to_value(event).unwrap()).to_string());
        golden.json_list(name, &texts.collect::<Vec<_>>());
    }
    golden.compare();
}

/// A value with its fields in the order of their names. The data of an event has them in this order or
/// in that of the source, by a feature of `serde_json` that other crates of the same build choose.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().collect();
            let fields = fields.into_iter();
            Value::Object(
                fields
                    .map(|(name, value)| (name.clone(), sorted(value)))
                    .collect(),
            )
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[test]
fn events_of_the_bus_are_those_of_the_golden_files() {
    let bus = crate::common::run(stories::told());
    compare("bus", bus.published(), |_| true);
}

#[cfg(feature = "stripe-api")]
#[tokio::test]
async fn events_of_runs_and_watches_are_those_of_the_golden_files() {
    let bus = runs::told().await;
    let mut published = bus.published();
    // What is read side by side has no order.
    published.sort_by(|a, b| a.detail.id.cmp(&b.detail.id));
    compare("bus_of_runs", published, |name| {
        ["customer_synced", "drift_", "run_", "webhook_"]
            .iter()
            .any(|start| name.starts_with(start))
    });
}

/// Whatever has a schema has a golden file, and the other way round.
#[test]
fn every_event_of_the_catalog_has_a_golden_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |directory: &Path| -> BTreeSet<String> {
        let files = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let json = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
        json.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    let mut schemas = names(&root.join("../../infra/catalog/events"));
    assert!(schemas.remove("envelope"));
    let mut golden = names(&root.join("tests/golden/bus"));
    golden.extend(names(&root.join("tests/golden/bus_of_runs")));
    assert_eq!(golden, schemas);
}

/// A queue of a target may hold events of the release before, and the jobs queue its requests: they
/// are read, and say the same.
#[test]
fn events_and_jobs_of_a_release_are_read() {
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/release-0");
    let list = |path: &Path| -> Vec<Value> {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let mut count = 0;
    for file in fs::read_dir(release.join("bus")).unwrap() {
        for before in list(&file.unwrap().path()) {
            let event: Outgoing = serde_json::from_value(before.clone()).unwrap();
            assert_eq!(serde_json::to_value(&event).unwrap(), before);
            count += 1;
        }
    }
    assert!(count > 60, "{count}");
    for before in list(&release.join("jobs.json")) {
        let request: Request = serde_json::from_value(before.clone()).unwrap();
        let after = serde_json::to_value(&request).unwrap();
        for (name, value) in before.as_object().unwrap() {
            assert_eq!(after.get(name), Some(value), "{name}");
        }
    }
}
