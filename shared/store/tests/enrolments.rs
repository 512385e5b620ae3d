//! Enrolments: the exact requests, and what refusals mean.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsError, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason};
use aws_smithy_mocks::mock;
use paygraph_domain::id::Cause;
use paygraph_domain::sequence::{Enrolment, State};
use paygraph_engine::ports::{Commit, CommitError, LedgerEntry, Store as _};
use paygraph_engine::sequence::{DueEnrolment, Enrolments as _};

use crate::common::{at, customer, store, tenant, text};

fn enrolment(version: u64, state: State) -> Enrolment {
    Enrolment {
        sequence: "dunning".to_owned(),
        n: 1,
        version,
        enrolled_at: at(0),
        event: "evt_1#0".to_owned(),
        taken: Vec::new(),
        moved: 0,
        state,
    }
}

/// A commit of a step with its ledger entry.
fn commit(version: u64, state: State) -> Commit {
    let mut commit = Commit::new(tenant());
    commit.ledger = Some(LedgerEntry {
        tenant: tenant(),
        cause: Cause::parse("sequence:dunning:cus_1:1:first").unwrap(),
        event_type: "sequence".to_owned(),
        at: at(0),
        processed_at: at(0),
        disposition: "applied".to_owned(),
        outbox: Vec::new(),
    });
    commit.put_enrolment(customer(), enrolment(version, state));
    commit
}

/// The step's entry and the enrolment that moves on are one transaction, each with its condition.
#[tokio::test]
async fn a_step_and_its_enrolment_are_one_transaction() {
    let due = at(60);
    let written = mock!(Client::transact_write_items)
        .match_requests(|request| {
            let [ledger, enrolment] = request.transact_items() else {
                return false;
            };
            let (ledger, enrolment) = (ledger.put().unwrap(), enrolment.put().unwrap());
            let item = enrolment.item();
            let shard = item["due_pk"].as_s().unwrap();
            let values = enrolment.expression_attribute_values().unwrap();
            ledger.condition_expression() == Some("attribute_not_exists(pk)")
                && enrolment.condition_expression() == Some("version = :version")
                && values[":version"] == AttributeValue::N("1".to_owned())
                && item["version"] == AttributeValue::N("2".to_owned())
                && item["pk"] == text("T#acme#C#cus_1")
                && item["sk"] == text("ENROL#dunning")
                && shard.starts_with("Q#")
                && item["due_sk"] == text("001790000060#acme#cus_1#dunning")
        })
        .then_output(|| TransactWriteItemsOutput::builder().build());
    let commit = commit(2, State::Running { due });
    store(&[&written]).commit(&commit).await.unwrap();
    assert_eq!(written.num_calls(), 1);
}

/// The first one must not be there yet; one that has ended is in no index.
#[tokio::test]
async fn a_first_enrolment_is_put_where_there_is_none() {
    let written = mock!(Client::transact_write_items)
        .match_requests(|request| {
            let put = request.transact_items()[1].put().unwrap();
            put.condition_expression() == Some("attribute_not_exists(pk)")
                && !put.item().contains_key("due_pk")
        })
        .then_output(|| TransactWriteItemsOutput::builder().build());
    let commit = commit(1, State::Done { at: at(0) });
    store(&[&written]).commit(&commit).await.unwrap();
    assert_eq!(written.num_calls(), 1);
}

async fn refused(codes: [&'static str; 2]) -> CommitError {
    let rule = mock!(Client::transact_write_items).then_error(move || {
        let reasons = codes.map(|code| CancellationReason::builder().code(code).build());
        let canceled = TransactionCanceledException::builder();
        let canceled = canceled.set_cancellation_reasons(Some(reasons.to_vec()));
        TransactWriteItemsError::TransactionCanceledException(canceled.build())
    });
    let commit = commit(2, State::Done { at: at(0) });
    store(&[&rule]).commit(&commit).await.unwrap_err()
}

#[tokio::test]
async fn who_comes_second_hears_whether_the_step_was_sent_or_the_enrolment_moved() {
    let sent = refused(["ConditionalCheckFailed", "None"]).await;
    assert!(matches!(sent, CommitError::Duplicate));
    let moved = refused(["None", "ConditionalCheckFailed"]).await;
    assert!(matches!(moved, CommitError::Conflict));
}

#[tokio::test]
async fn what_is_due_is_read_from_shards_of_its_own() {
    let rule = mock!(Client::query)
        .match_requests(|request| {
            let values = request.expression_attribute_values().unwrap();
            request.index_name() == Some("due")
                && values[":shard"] == text("Q#03")
                && values[":before"] == text("001790000061")
                && request.limit() == Some(7)
        })
        .then_output(|| {
            let due = [("due_sk".to_owned(), text("001790000060#acme#cus_1#dunning"))];
            let odd = [("due_sk".to_owned(), text("001790000060#acme"))];
            QueryOutput::builder()
                .items(HashMap::from(due))
                .items(HashMap::from(odd))
                .build()
        });
    let store = store(&[&rule]);
    let due = store.due_enrolments(3, None, at(60), 7);
    let due = due.await.unwrap();
    // S3: one that cannot be read is counted, and holds up no other.
    assert_eq!((due.unreadable.len(), due.next), (1, None));
    let expected = DueEnrolment {
        at: at(60),
        tenant: tenant(),
        contact: customer(),
        sequence: "dunning".to_owned(),
    };
    assert_eq!(due.entries, [expected]);
}

#[tokio::test]
async fn enrolments_are_read_consistently_under_their_contact() {
    let held = enrolment(1, State::Running { due: at(9) });
    let item = HashMap::from([(
        "doc".to_owned(),
        text(&serde_json::to_string(&held).unwrap()),
    )]);
    let items = item.clone();
    let all = mock!(Client::query)
        .match_requests(|request| {
            let values = request.expression_attribute_values().unwrap();
            request.consistent_read() == Some(true)
                && values[":pk"] == text("T#acme#C#cus_1")
                && values[":begins"] == text("ENROL#")
        })
        .then_output(move || QueryOutput::builder().items(items.clone()).build());
    let single = mock!(Client::get_item)
        .match_requests(|request| {
            request.consistent_read() == Some(true)
                && request.key().unwrap()["sk"] == text("ENROL#dunning")
        })
        .then_output(move || {
            GetItemOutput::builder()
                .set_item(Some(item.clone()))
                .build()
        });
    let store = store(&[&all, &single]);
    let read = store.enrolments(&tenant(), &customer()).await.unwrap();
    let one = store.enrolment(&tenant(), &customer(), "dunning").await;
    assert_eq!((read, one.unwrap()), (vec![held.clone()], Some(held)));
}
