//! Items of older releases, which are never renewed: this version reads every one of them, and what
//! it writes back has lost nothing of meaning.
//!
//! At a release, the golden items are copied to `tests/golden/release-N`.

mod ports;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paygraph_domain::account::{CatalogEntry, Object};
use paygraph_domain::alert::Alert;
use paygraph_domain::alert::subscription::Subscription;
use paygraph_domain::analytics::Fact;
use paygraph_domain::contact::Contact;
use paygraph_domain::email::Outbound;
use paygraph_domain::fact::Source;
use paygraph_domain::identity::Review;
use paygraph_domain::sequence::Enrolment;
use paygraph_domain::settings::Settings;
use paygraph_domain::user::User;
use paygraph_engine::alert::Unresolved;
use paygraph_engine::analytics::Census;
use paygraph_engine::connection::Connection;
use paygraph_engine::crm::Shown;
use paygraph_engine::ports::{AuditEntry, LedgerEntry, Parked, Store as _};
use paygraph_engine::run::{Drift, Failure, Look, Run};
use paygraph_engine::watch::Watch;
use paygraph_testkit::table::{FakeTable, from_golden};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::history::{at, contact, engine, soon, tenant};
use super::{client, kind};

/// What a release wrote and this version writes otherwise, by kind and place in the document, each
/// with the reason why nothing of meaning is lost.
const REWRITTEN: [(&str, &str, &str); 1] = [(
    "contact",
    ".totals.declines.",
    "a failed charge is a longer list: its first three places say the same",
)];

fn releases() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_release = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("release-"))
    };
    let mut releases: Vec<_> = entries.filter(is_release).collect();
    releases.sort();
    assert!(!releases.is_empty());
    releases
}

/// Every item of a release with its kind.
fn items(release: &Path) -> Vec<(String, Value)> {
    let mut files: Vec<_> = fs::read_dir(release)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let kind = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let items: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(!items.is_empty(), "{kind}");
        found.extend(items.into_iter().map(|item| (kind.clone(), item)));
    }
    found
}

/// The release's table.
fn table(release: &Path) -> Arc<FakeTable> {
    let table = FakeTable::default();
    for (kind, item) in items(release) {
        let item = from_golden(&item);
        assert_eq!(kind::of(&item), kind);
        table.put(item);
    }
    Arc::new(table)
}

fn again<T: Serialize + DeserializeOwned>(document: &str) -> Value {
    let read: T =
        serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"));
    serde_json::to_value(read).unwrap()
}

/// A document as this version writes it after it has read it; none for kinds without a document.
fn rewritten(kind: &str, document: &str) -> Option<Value> {
    Some(match kind {
        "contact" => again::<Contact>(document),
        "customer"
        | "subscription"
        | "payment_method"
        | "dispute"
        | "discount"
        | "subscription_schedule"
        | "invoice"
        | "charge"
        | "checkout_session" => again::<Object>(document),
        "catalog" => again::<CatalogEntry>(document),
        "audit" => again::<AuditEntry>(document),
        "ledger" => again::<LedgerEntry>(document),
        "parked" => again::<Parked>(document),
        "review" => again::<Review>(document),
        "run" => again::<Run>(document),
        "run_look" => again::<Look>(document),
        "run_drift" => again::<Drift>(document),
        "run_failure" => again::<Failure>(document),
        "run_returned" => again::<Vec<u64>>(document),
        "enrolment" => again::<Enrolment>(document),
        "outbound_emails" => again::<Outbound>(document),
        "crm_state" => again::<Shown>(document),
        "alert" => again::<Alert>(document),
        "unresolved_alerts" => again::<Unresolved>(document),
        "alert_subscription" => again::<Subscription>(document),
        "connection" => again::<Connection>(document),
        "settings" => again::<Settings>(document),
        "analytics_fact" => again::<Fact>(document),
        "analytics_census" => again::<Census>(document),
        "watch" => again::<Watch>(document),
        "user" => again::<User>(document),
        other => panic!("{other} has a document that this test does not read"),
    })
}

/// The places at which `after` does not say what `before` said. More fields are no loss.
fn lost(place: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                let place = format!("{place}.{name}");
                match after.get(name) {
                    Some(after) => lost(&place, value, after, found),
                    // Absent and null say the same of an optional field.
                    None if value.is_null() => {}
                    None => found.push(place),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (n, (before, after)) in before.iter().zip(after).enumerate() {
                lost(&format!("{place}[{n}]"), before, after, found);
            }
        }
        _ if before == after => {}
        _ => found.push(format!("{place}: {before} became {after}")),
    }
}

#[test]
fn no_document_of_a_release_loses_anything_when_it_is_written_back() {
    for release in releases() {
        let mut found = Vec::new();
        for (kind, item) in items(&release) {
            let Some(document) = item.get("doc") else {
                continue;
            };
            let after = rewritten(&kind, &document.to_string()).unwrap();
            let mut places = Vec::new();
            lost("", document, &after, &mut places);
            let is_known = |place: &String| {
                let known = |(of, at, _): &(&str, &str, &str)| *of == kind && place.contains(at);
                REWRITTEN.iter().any(known)
            };
            places.retain(|place| !is_known(place));
            found.extend(
                places
                    .into_iter()
                    .map(|place| format!("{kind} {}{place}", item["sk"])),
            );
        }
        assert!(found.is_empty(), "{}: {found:#?}", release.display());
    }
}

/// Every kind of item is asked for through the store's own ports.
#[tokio::test]
async fn the_store_reads_every_item_of_a_release() {
    for release in releases() {
        let store = client::store(&table(&release));
        ports::read_all(&store).await;
    }
}

/// Work goes on over an older release's table: a newer event of a customer that it has is applied,
/// and nothing that it does not tell of changes.
#[tokio::test]
async fn an_event_is_applied_over_the_table_of_a_release() {
    for release in releases() {
        let store = client::store(&table(&release));
        let (tenant, id) = (tenant(), contact("acme"));
        let before = store.contact(&tenant, &id).await.unwrap().unwrap();
        let events = paygraph_testkit::history::events();
        let last = |event: &&Value| event["type"] == "customer.updated";
        let mut event = events.iter().rfind(last).unwrap().clone();
        event["id"] = "evt_after_release".into();
        event["created"] = at(0).unix().into();
        event["data"]["object"]["name"] = "Ada After".into();
        let engine = engine(&store);
        let text = event.to_string();
        let done = engine
            .process(&tenant, &text, Source::Webhook, soon())
            .await
            .unwrap();
        let entries = done.into_entries();
        assert_eq!(entries[0].disposition, "applied");
        let after = store.contact(&tenant, &id).await.unwrap().unwrap();
        assert_eq!(after.version, before.version + 1);
        let settings = store.settings(&tenant).await.unwrap();
        let (was, is) = (before.billing(&settings), after.billing(&settings));
        assert_eq!((was.mrr, was.lifetime_value), (is.mrr, is.lifetime_value));
    }
}

/// A place that was lost is seen.
#[test]
fn what_is_lost_is_named() {
    let mut found = Vec::new();
    let before = serde_json::json!({ "a": 1, "b": { "c": [1, 2] }, "n": null });
    let after = serde_json::json!({ "b": { "c": [1, 3], "more": true } });
    lost("", &before, &after, &mut found);
    assert_eq!(found, [".a", ".b.c[1]: 2 became 3"]);
}
