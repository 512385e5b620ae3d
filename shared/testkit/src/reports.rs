//! What people who run Stripe syncs have reported, as histories, each with the right result.
//!
//! A test delivers a history in its own way, makes the document that `paygraph fold` prints, and
//! compares it with the report: `paygraph fold` does it in any order, the local stack in the
//! history's own.
//!
//! The project's own history is `events/histories/<history>.ndjson`. The file of the same name in
//! `../shared/reports` is a second history of the report where that folder exists, so a state names
//! no ids.

mod expected;
mod of_shapes;

use std::path::{Path, PathBuf};

use serde_json::Value;

pub use self::expected::all;

/// The type of an event, and a subset of its data.
pub type Published = (&'static str, fn() -> Value);

/// A history with what it must come to.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// The file's name without its ending.
    pub history: &'static str,
    /// What `fold` prints, as a subset without ids: an object needs at least these fields, a list
    /// needs exactly these elements in this order. It is given the whole document, for histories
    /// whose days differ. It holds in every order of the events.
    pub state: fn(&Value) -> Value,
    /// Events that must be published when the history comes in order, each with a subset of its
    /// data: an event tells only what is known by then.
    pub events: &'static [Published],
    /// Types of events that must never be published, in any order.
    pub silent: &'static [&'static str],
    /// Whether the result names days of the calendar, so that the history cannot happen at another
    /// time.
    pub is_dated: bool,
}

impl Report {
    /// The report of a history.
    #[must_use]
    pub fn of(history: &str) -> Option<Self> {
        all().into_iter().find(|report| report.history == history)
    }

    /// The project's own history, and the report's where it is at hand.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let name = format!("{}.ndjson", self.history);
        let report = root().join("../shared/reports").join(&name);
        std::iter::once(own_histories().join(name))
            .chain(Some(report).filter(|report| report.exists()))
            .collect()
    }
}

/// The folder of the project's own histories.
#[must_use]
pub fn own_histories() -> PathBuf {
    root().join("events/histories")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where a value lacks something that is expected.
#[must_use]
pub fn lacks(expected: &Value, found: &Value, path: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) if !expected.is_empty() => {
            expected.iter().find_map(|(name, expected)| {
                let found = found.get(name).unwrap_or(&Value::Null);
                lacks(expected, found, &format!("{path}.{name}"))
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let pairs = expected.iter().zip(found).enumerate();
            pairs
                .map(|(place, (expected, found))| {
                    lacks(expected, found, &format!("{path}[{place}]"))
                })
                .find_map(|missing| missing)
        }
        _ if expected == found => None,
        _ => Some(format!("{path}: expected {expected}, found {found}")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_subset_names_what_is_missing() {
        let found = json!({ "a": { "b": [1, 2], "c": {} }, "d": null });
        let holds = |expected: Value| lacks(&expected, &found, "").is_none();
        assert!(holds(json!({ "a": { "b": [1, 2] } })));
        assert!(holds(json!({ "a": { "c": {} }, "d": null, "e": null })));
        assert!(!holds(json!({ "a": {} })), "an empty object means empty");
        assert!(!holds(json!({ "a": { "b": [1] } })), "a list is whole");
        assert!(
            !holds(json!({ "a": { "b": [2, 1] } })),
            "a list has an order"
        );
        assert!(!holds(json!({ "d": 0 })));
    }

    #[test]
    fn every_history_has_its_report() {
        let files = std::fs::read_dir(own_histories()).unwrap().flatten();
        let files = files.map(|file| file.path().file_stem().unwrap().to_owned());
        let files: BTreeSet<_> = files.map(|name| name.into_string().unwrap()).collect();
        let reports: BTreeSet<_> = all().iter().map(|of| of.history.to_owned()).collect();
        assert_eq!(files, reports);
    }
}
