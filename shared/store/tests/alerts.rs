//! Alerts: the exact requests, and what refusals mean.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsError, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::error::{
    ConditionalCheckFailedException, TransactionCanceledException,
};
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason};
use aws_smithy_mocks::mock;
use paygraph_domain::alert::plan::Held;
use paygraph_domain::alert::reason::Reason;
use paygraph_domain::alert::routing::Route;
use paygraph_domain::alert::{Acknowledged, Alert, AlertId, Channel, Kind, Status};
use paygraph_domain::standing::Severity;
use paygraph_engine::alert::{Alerts as _, Change, Unresolved, Whose};
use paygraph_engine::ports::CommitError;
use paygraph_store::alerts::Which;
use paygraph_store::listing::List;
use serde_json::Value;

use crate::common::{at, customer, number, store, tenant, text};

type Item = HashMap<String, AttributeValue>;

const PAST_DUE: &str = "past_due:1790000000::cus_1";

fn alert(raised: i64) -> Alert {
    let reason = Reason {
        kind: Kind::PastDue,
        object: None,
        since: at(0),
        severity: Severity::High,
        title: "Past due".to_owned(),
        evidence: Value::Null,
    };
    let channels = [Channel::Slack].into();
    let route = Route {
        channels,
        ..Route::default()
    };
    Alert::new(&reason, Some(&customer()), None, route, at(raised))
}

fn item(alert: &Alert, status: &str) -> Item {
    let doc = serde_json::to_string(alert).unwrap();
    let sk = "ALERT#001790000000#past_due#";
    [
        ("pk", "T#acme#C#cus_1"),
        ("sk", sk),
        ("doc", &doc),
        ("status", status),
    ]
    .map(|(name, value)| (name.to_owned(), text(value)))
    .into()
}

fn change() -> Change {
    let new = alert(60);
    let held = Held {
        id: new.id.clone(),
        raised_at: new.raised_at,
        waiting: [Channel::Slack].into(),
    };
    Change {
        tenant: tenant(),
        whose: Whose::Contact(customer()),
        contact_version: Some(7),
        unresolved: Unresolved {
            rev: 3,
            alerts: vec![held],
        },
        raise: vec![new],
        resolve: vec![AlertId::parse("dispute:1780000000:du_1:cus_1").unwrap()],
        at: at(60),
    }
}

/// D4: what is to be sent is written with the alert; all of it holds only while the contact is the
/// one that was looked at, and nobody else has changed its alerts.
#[tokio::test]
async fn d4_a_change_is_whole_or_not_there() {
    let whole = mock!(Client::transact_write_items)
        .match_requests(|request| {
            let items = request.transact_items();
            let unresolved = items[0].put().unwrap();
            let check = items[1].condition_check().unwrap();
            let raised = items[2].put().unwrap();
            let resolved = items[3].update().unwrap();
            let values = |value: Option<&HashMap<String, AttributeValue>>| value.unwrap().clone();
            items.len() == 4
                && unresolved.item()["sk"] == text("ALERTS")
                && unresolved.item()["doc"]
                    .as_s()
                    .unwrap()
                    .contains(r#""waiting":["slack"]"#)
                && unresolved.condition_expression() == Some("rev = :rev")
                && values(unresolved.expression_attribute_values())[":rev"] == number(2)
                && check.key()["pk"] == text("T#acme#C#cus_1")
                && check.condition_expression() == "version = :version"
                && values(check.expression_attribute_values())[":version"] == number(7)
                && raised.item()["pk"] == text("T#acme#C#cus_1")
                && raised.item()["sk"] == text("ALERT#001790000000#past_due#")
                && raised.item()["tenant_pk"] == text("T#acme#ALERTS")
                && raised.item()["segment_pk"] == text("T#acme#ALERTS#open")
                && raised.item()["segment_sk"] == text(&format!("001790000060#{PAST_DUE}"))
                && raised.condition_expression() == Some("attribute_not_exists(pk)")
                && resolved.key()["sk"] == text("ALERT#001780000000#dispute#du_1")
                && resolved.condition_expression() == Some("#status <> :resolved")
                && values(resolved.expression_attribute_values())[":list"]
                    == text("T#acme#ALERTS#resolved")
        })
        .then_output(|| TransactWriteItemsOutput::builder().build());
    store(&[&whole]).change(&change()).await.unwrap();
    assert_eq!(whole.num_calls(), 1);
}

#[tokio::test]
async fn d12_a_change_that_somebody_was_faster_than_is_a_conflict() {
    let refused = mock!(Client::transact_write_items).then_error(|| {
        let reason = CancellationReason::builder().code("ConditionalCheckFailed");
        let canceled = TransactionCanceledException::builder().cancellation_reasons(reason.build());
        let meta = ErrorMetadata::builder().code("TransactionCanceledException");
        let canceled = canceled.meta(meta.build()).build();
        TransactWriteItemsError::TransactionCanceledException(canceled)
    });
    let done = store(&[&refused]).change(&change()).await;
    assert!(matches!(done, Err(CommitError::Conflict)));
}

#[tokio::test]
async fn an_alert_is_taken_on_once() {
    let by = Acknowledged {
        by: "cs-team".to_owned(),
        at: at(100),
    };
    let id = AlertId::parse(PAST_DUE).unwrap();
    let taken = mock!(Client::update_item)
        .match_requests(|request| {
            let values = request.expression_attribute_values().unwrap();
            request.condition_expression() == Some("#status = :open")
                && request.key().unwrap()["sk"] == text("ALERT#001790000000#past_due#")
                && values[":open"] == text("open")
                && values[":list"] == text("T#acme#ALERTS#acknowledged")
        })
        .then_output(|| {
            let mut item = item(&alert(60), "acknowledged");
            item.insert("acknowledged_by".to_owned(), text("cs-team"));
            item.insert("acknowledged_at".to_owned(), number(at(100).unix()));
            UpdateItemOutput::builder()
                .set_attributes(Some(item))
                .build()
        });
    let done = store(&[&taken]).acknowledge(&tenant(), &id, &by).await;
    let done = done.unwrap().unwrap();
    assert!(done.now && done.alert.status == Status::Acknowledged);
    assert_eq!(done.alert.seconds_to_acknowledge(), Some(40));

    let refused = mock!(Client::update_item).then_error(|| {
        let meta = ErrorMetadata::builder().code("ConditionalCheckFailedException");
        let refused = ConditionalCheckFailedException::builder().meta(meta.build());
        UpdateItemError::ConditionalCheckFailedException(refused.build())
    });
    let over = mock!(Client::get_item).then_output(|| {
        let item = item(&alert(60), "resolved");
        GetItemOutput::builder().set_item(Some(item)).build()
    });
    let done = store(&[&refused, &over])
        .acknowledge(&tenant(), &id, &by)
        .await;
    let done = done.unwrap().unwrap();
    assert!(!done.now && done.alert.status == Status::Resolved);
    let missing = mock!(Client::get_item).then_output(|| GetItemOutput::builder().build());
    let done = store(&[&refused, &missing])
        .acknowledge(&tenant(), &id, &by)
        .await;
    assert_eq!(done.unwrap(), None);
}

#[tokio::test]
async fn open_alerts_come_from_their_index_newest_first() {
    let listed = mock!(Client::query)
        .match_requests(|request| {
            let values = request.expression_attribute_values().unwrap();
            request.index_name() == Some("segment")
                && request.scan_index_forward() == Some(false)
                && values[":list"] == text("T#acme#ALERTS#open")
        })
        .then_output(|| {
            let mut last = item(&alert(60), "open");
            last.insert("segment_sk".to_owned(), text("001790000060#x"));
            QueryOutput::builder()
                .items(last.clone())
                .set_last_evaluated_key(Some(last))
                .build()
        });
    let read = mock!(Client::batch_get_item).then_output(|| {
        let found = vec![
            item(&alert(60), "open"),
            item(&alert(90), "open"),
            // The index is behind.
            item(&alert(99), "acknowledged"),
        ];
        BatchGetItemOutput::builder()
            .responses("table", found)
            .build()
    });
    let which = Which {
        status: Some(Status::Open),
        customer: None,
    };
    let page = store(&[&listed, &read])
        .alerts(&tenant(), &which, None, 2)
        .await;
    let page = page.unwrap();
    let raised: Vec<_> = page.entries.iter().map(|alert| alert.raised_at).collect();
    assert_eq!(raised, [at(90), at(60)]);
    let cursor = page.next.unwrap().encode();
    assert!(List::AlertsWith.cursor(&cursor).is_some());
    assert_eq!(List::Alerts.cursor(&cursor), None, "it is of another list");
}

#[tokio::test]
async fn a_customers_alerts_are_read_page_by_page() {
    let page = |after: Option<&'static str>, last: Option<&'static str>| {
        mock!(Client::query)
            .match_requests(move |request| {
                let values = request.expression_attribute_values().unwrap();
                let start = request.exclusive_start_key().map(|key| key["sk"].clone());
                request.index_name().is_none()
                    && request.consistent_read() == Some(true)
                    && values[":pk"] == text("T#acme#C#cus_1")
                    && values[":begins"] == text("ALERT#")
                    && start == after.map(text)
            })
            .then_output(move || {
                let key = last.map(|last| HashMap::from([("sk".to_owned(), text(last))]));
                QueryOutput::builder()
                    .items(item(&alert(60), "resolved"))
                    .set_last_evaluated_key(key)
                    .build()
            })
    };
    let (first, second) = (page(None, Some("ALERT#2")), page(Some("ALERT#2"), None));
    let which = |status| Which {
        status,
        customer: Some(customer()),
    };
    let found = store(&[&first])
        .alerts(&tenant(), &which(None), None, 1)
        .await
        .unwrap();
    assert_eq!(found.entries.len(), 1);
    let cursor = List::AlertsOf.cursor(&found.next.unwrap().encode());
    let rest = store(&[&second]);
    let rest = rest
        .alerts(&tenant(), &which(None), cursor.as_ref(), 1)
        .await
        .unwrap();
    assert_eq!((rest.entries.len(), rest.next), (1, None));
    // Of those with another status nothing is left, after all pages.
    let (first, second) = (page(None, Some("ALERT#2")), page(Some("ALERT#2"), None));
    let open = store(&[&first, &second]);
    let open = open
        .alerts(&tenant(), &which(Some(Status::Open)), None, 1)
        .await
        .unwrap();
    assert_eq!((open.entries, open.next), (vec![], None));
}

#[tokio::test]
async fn a_subscription_that_was_not_there_is_told() {
    for (held, expected) in [(true, true), (false, false)] {
        let removed = mock!(Client::delete_item)
            .match_requests(|request| request.key().unwrap()["pk"] == text("T#acme#SUBSCRIPTIONS"))
            .then_output(move || {
                let item = held.then(|| HashMap::from([("sk".to_owned(), text("as_1"))]));
                DeleteItemOutput::builder().set_attributes(item).build()
            });
        let done = store(&[&removed]).unsubscribe(&tenant(), "as_1").await;
        assert_eq!(done.unwrap(), expected);
    }
}
