//! Cursors: a page that somebody asked for with one must still be found after a deployment.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use paygraph_domain::alert::Status;
use paygraph_domain::id::StripeCustomerId;
use paygraph_store::DynamoStore;
use paygraph_store::alerts::Which;
use paygraph_store::listing::List;
use paygraph_store::read::{Cursor, Page};
use paygraph_testkit::golden::GoldenFiles;
use paygraph_testkit::table::FakeTable;
use serde_json::json;

use super::client;
use super::history::{contact, tenant};

/// Every list with the cursor after its first entry.
async fn cursors(store: &DynamoStore) -> BTreeMap<&'static str, String> {
    let (tenant, id) = (tenant(), contact("acme"));
    let customers = [StripeCustomerId::parse("cus_example").unwrap()];
    let open = Which {
        status: Some(Status::Open),
        customer: None,
    };
    let of_customer = Which {
        status: None,
        customer: Some(id.clone()),
    };
    let all = Which::default();
    BTreeMap::from([
        (
            "members",
            next(store.members(&tenant, "tier_free", None, 1).await.unwrap()),
        ),
        (
            "customers",
            next(store.by_worth(&tenant, None, 1).await.unwrap()),
        ),
        ("runs", next(store.runs(&tenant, None, 1).await.unwrap())),
        (
            "alerts",
            next(store.alerts(&tenant, &all, None, 1).await.unwrap()),
        ),
        (
            "alerts_with",
            next(store.alerts(&tenant, &open, None, 1).await.unwrap()),
        ),
        (
            "alerts_of",
            next(store.alerts(&tenant, &of_customer, None, 1).await.unwrap()),
        ),
        (
            "invoices",
            next(store.invoices(&tenant, &customers, None, 1).await.unwrap()),
        ),
        (
            "audit",
            next(
                store
                    .audit(&tenant, &id, &customers, None, 1)
                    .await
                    .unwrap(),
            ),
        ),
        (
            "reviews",
            next(store.reviews(&tenant, None, 1).await.unwrap()),
        ),
    ])
}

fn next<T>(page: Page<T>) -> String {
    assert_eq!(page.entries.len(), 1);
    page.next.unwrap().encode()
}

fn over(items: &str) -> DynamoStore {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    client::store(&Arc::new(FakeTable::of_golden_files(&golden.join(items))))
}

#[tokio::test]
async fn cursors_are_those_of_the_golden_file() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "cursors");
    golden.json("cursors", &json!(cursors(&over("items")).await).to_string());
    golden.compare();
}

/// The cursors of a release lead to the next page of the table that it wrote.
#[tokio::test]
async fn the_cursors_of_a_release_go_on() {
    let store = over("release-0");
    let text = include_str!("../golden/cursors-release-0.json");
    let cursors: BTreeMap<String, String> = serde_json::from_str(text).unwrap();
    let cursor = |name: &str| Cursor::decode(&cursors[name]).unwrap();
    let (tenant, id) = (tenant(), contact("acme"));
    let customers = [StripeCustomerId::parse("cus_example").unwrap()];
    for (list, name) in [
        (List::Members, "members"),
        (List::Customers, "customers"),
        (List::Runs, "runs"),
        (List::Alerts, "alerts"),
        (List::AlertsWith, "alerts_with"),
        (List::AlertsOf, "alerts_of"),
    ] {
        assert_eq!(list.cursor(&cursors[name]), Some(cursor(name)), "{name}");
    }
    let after = cursor("members");
    let members = store.members(&tenant, "tier_free", Some(&after), 9).await;
    let customers_by_worth = store.by_worth(&tenant, Some(&cursor("customers")), 9).await;
    let runs = store.runs(&tenant, Some(&cursor("runs")), 9).await;
    let invoices = store
        .invoices(&tenant, &customers, Some(&cursor("invoices")), 100)
        .await;
    let audit = store
        .audit(&tenant, &id, &customers, Some(&cursor("audit")), 100)
        .await;
    for (name, left) in [
        ("members", members.unwrap().entries.len()),
        ("customers", customers_by_worth.unwrap().entries.len()),
        ("runs", runs.unwrap().entries.len()),
        ("invoices", invoices.unwrap().entries.len()),
        ("audit", audit.unwrap().entries.len()),
    ] {
        assert!(left > 0, "{name} ends after its first entry");
    }
}
