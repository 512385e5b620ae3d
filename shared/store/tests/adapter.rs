//! What the emulator of the table does not do: throttle, cancel for conflicts, leave keys out,
//! answer in pages. And the exact conditions of a commit.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsError, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::types::error::{
    ConditionalCheckFailedException, ThrottlingException, TransactionCanceledException,
};
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, KeysAndAttributes};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use paygraph_domain::account::CatalogKey;
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, StripeId, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::{Commit, CommitError, ContactWrite, LedgerEntry, Store};
use paygraph_store::DynamoStore;

const PROCESSED: i64 = 1_790_000_000;

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn store(client: Client) -> DynamoStore {
    DynamoStore::new(client, "table", Settings::example().unwrap())
}

fn entry() -> LedgerEntry {
    LedgerEntry {
        tenant: tenant(),
        cause: Cause::parse("evt_1").unwrap(),
        event_type: "customer.updated".to_owned(),
        at: Timestamp::from_unix(1_789_000_000).unwrap(),
        processed_at: Timestamp::from_unix(PROCESSED).unwrap(),
        disposition: "applied".to_owned(),
        outbox: Vec::new(),
    }
}

/// A commit of a ledger entry and a contact that was loaded at version 4.
fn commit() -> Commit {
    let mut contact = Contact::new(CustomerId::parse("cus_1").unwrap());
    contact.version = 5;
    let mut commit = Commit::new(tenant());
    commit.ledger = Some(entry());
    let none = std::collections::BTreeSet::new();
    commit.put_contact(ContactWrite::new(contact, 4, &none, false));
    commit
}

async fn refused(codes: &'static [&'static str]) -> CommitError {
    let rule = mock!(Client::transact_write_items).then_error(move || {
        let reasons = codes
            .iter()
            .map(|code| CancellationReason::builder().code(*code).build());
        TransactWriteItemsError::TransactionCanceledException(
            TransactionCanceledException::builder()
                .set_cancellation_reasons(Some(reasons.collect()))
                .build(),
        )
    });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
    store(client).commit(&commit()).await.unwrap_err()
}

/// D1, D2: the ledger's condition failed: a duplicate, whatever else failed too.
#[tokio::test]
async fn d2_a_refused_ledger_is_a_duplicate() {
    for codes in [
        &["ConditionalCheckFailed", "None"][..],
        &["ConditionalCheckFailed", "ConditionalCheckFailed"],
        &["ConditionalCheckFailed", "TransactionConflict"],
    ] {
        assert!(
            matches!(refused(codes).await, CommitError::Duplicate),
            "{codes:?}"
        );
    }
}

/// D12, N3: a version that has moved, a conflict and throttling all mean: load again.
#[tokio::test]
async fn d12_n3_conflicts_and_throttling_mean_load_again() {
    for codes in [
        &["None", "ConditionalCheckFailed"][..],
        &["None", "TransactionConflict"],
        &["TransactionConflict", "None"],
        &["ThrottlingError", "None"],
        &["None", "ProvisionedThroughputExceeded"],
    ] {
        assert!(
            matches!(refused(codes).await, CommitError::Conflict),
            "{codes:?}"
        );
    }
}

/// A commit that DynamoDB calls wrong is not tried again.
#[tokio::test]
async fn a_commit_that_is_wrong_is_not_tried_again() {
    let error = refused(&["None", "ValidationError"]).await;
    assert!(matches!(error, CommitError::Store(error) if !error.retry));
}

/// What a commit comes to that `DynamoDB` answers with an error of this code.
async fn answered(code: &'static str) -> CommitError {
    let rule = mock!(Client::transact_write_items).then_error(move || {
        let meta = ErrorMetadata::builder().code(code).message("in its words");
        TransactWriteItemsError::generic(meta.build())
    });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
    store(client).commit(&commit()).await.unwrap_err()
}

/// T2, T3: a request that `DynamoDB` calls wrong is refused for good, with its own reason in the text.
#[tokio::test]
async fn t2_t3_a_refused_request_is_permanent_and_carries_the_reason() {
    for code in [
        "ValidationException",
        "ItemCollectionSizeLimitExceededException",
    ] {
        let CommitError::Store(error) = answered(code).await else {
            panic!("{code} is no trouble of the store");
        };
        assert!(!error.retry, "{code}");
        let text = format!("the store failed: a transaction: {code}: in its words");
        assert_eq!(error.to_string(), text);
    }
    let CommitError::Store(error) = answered("InternalServerError").await else {
        panic!("an error of DynamoDB's own is trouble of the store");
    };
    assert!(error.retry);
}

/// T2, T3: an item that is too large, or any other data that `DynamoDB` does not take, cancels the
/// transaction for good; the text has the reasons.
#[tokio::test]
async fn t2_t3_a_transaction_canceled_for_its_data_is_permanent_and_carries_the_reason() {
    for code in ["ValidationError", "ItemCollectionSizeLimitExceeded"] {
        let rule = mock!(Client::transact_write_items).then_error(move || {
            let none = CancellationReason::builder().code("None").build();
            let reason = CancellationReason::builder().code(code);
            let reason = reason.message("Item size has exceeded the maximum allowed size");
            TransactWriteItemsError::TransactionCanceledException(
                TransactionCanceledException::builder()
                    .cancellation_reasons(none)
                    .cancellation_reasons(reason.build())
                    .build(),
            )
        });
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
        let error = store(client).commit(&commit()).await.unwrap_err();
        let CommitError::Store(error) = error else {
            panic!("{code} is no trouble of the store");
        };
        assert!(!error.retry, "{code}");
        let reason = format!("{code}: Item size has exceeded the maximum allowed size");
        assert!(error.to_string().ends_with(&reason), "{error}");
    }
}

/// T2, T3: the same for the ledger alone, which is written without a transaction.
#[tokio::test]
async fn t2_t3_a_refused_ledger_is_permanent_and_carries_the_reason() {
    let rule = mock!(Client::put_item).then_error(|| {
        let meta = ErrorMetadata::builder()
            .code("ValidationException")
            .message("too large");
        PutItemError::generic(meta.build())
    });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
    let mut alone = Commit::new(tenant());
    alone.ledger = Some(entry());
    let CommitError::Store(error) = store(client).commit(&alone).await.unwrap_err() else {
        panic!("a refusal is trouble of the store");
    };
    let text = "the store failed: writing the ledger: ValidationException: too large";
    assert_eq!((error.to_string().as_str(), error.retry), (text, false));
}

/// N3: a throttled write of the ledger alone.
#[tokio::test]
async fn n3_a_throttled_ledger_means_load_again_and_a_known_one_is_a_duplicate() {
    let mut alone = Commit::new(tenant());
    alone.ledger = Some(entry());
    let throttled = mock!(Client::put_item).then_error(|| {
        let meta = ErrorMetadata::builder().code("ThrottlingException");
        PutItemError::ThrottlingException(ThrottlingException::builder().meta(meta.build()).build())
    });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&throttled]);
    assert!(matches!(
        store(client).commit(&alone).await,
        Err(CommitError::Conflict)
    ));
    let known = mock!(Client::put_item).then_error(|| {
        PutItemError::ConditionalCheckFailedException(
            ConditionalCheckFailedException::builder().build(),
        )
    });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&known]);
    assert!(matches!(
        store(client).commit(&alone).await,
        Err(CommitError::Duplicate)
    ));
}

/// D4, D6: marker and effect are one transaction; the marker lives longer than Stripe can resend,
/// and its condition asks for the item itself, so that one past its time still counts.
#[tokio::test]
async fn d4_d6_marker_and_effect_are_one_write_and_the_marker_outlives_stripe() {
    let rule = mock!(Client::transact_write_items)
        .match_requests(|request| {
            let puts: Vec<_> = request
                .transact_items()
                .iter()
                .filter_map(|w| w.put())
                .collect();
            let [ledger, contact] = puts.as_slice() else {
                return false;
            };
            let expires = ledger
                .item()
                .get("expires_at")
                .and_then(|v| v.as_n().ok())
                .cloned();
            ledger.condition_expression() == Some("attribute_not_exists(pk)")
                && expires.unwrap().parse::<i64>().unwrap() >= PROCESSED + 31 * 86_400
                && ledger.item().get("pk") == Some(&AttributeValue::S("T#acme#E#evt_1".to_owned()))
                && contact.condition_expression() == Some("version = :version")
                && contact.item().get("version") == Some(&AttributeValue::N("5".to_owned()))
        })
        .then_output(|| TransactWriteItemsOutput::builder().build());
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
    store(client).commit(&commit()).await.unwrap();
    assert_eq!(rule.num_calls(), 1);
}

fn customer_item(kind: &str) -> std::collections::HashMap<String, AttributeValue> {
    [("sk", format!("STATE#{kind}#x")), ("doc", "{}".to_owned())]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
        .into()
}

/// A working set comes in pages: all of them are read.
#[tokio::test]
async fn every_page_of_a_working_set_is_read() {
    let key = || Some(customer_item("OTHER"));
    let first = mock!(Client::query)
        .match_requests(|request| {
            request.exclusive_start_key().is_none() && request.consistent_read() == Some(true)
        })
        .then_output(move || {
            QueryOutput::builder()
                .items(customer_item("NEW"))
                .set_last_evaluated_key(key())
                .build()
        });
    let second = mock!(Client::query)
        .match_requests(|request| request.exclusive_start_key().is_some())
        .then_output(|| QueryOutput::builder().items(customer_item("NEWER")).build());
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::Sequential, [&first, &second]);
    let customer = StripeCustomerId::parse("cus_1").unwrap();
    // Kinds that this version does not know are left where they are.
    let account = store(client).account(&tenant(), &customer).await.unwrap();
    assert_eq!(account.digest(), 0);
    assert_eq!((first.num_calls(), second.num_calls()), (1, 1));
}

/// Keys that a batch leaves out are asked for again.
#[tokio::test(start_paused = true)]
async fn keys_that_a_batch_leaves_out_are_asked_for_again() {
    let left = || {
        let key = customer_item("PRODUCT");
        KeysAndAttributes::builder().keys(key).build().unwrap()
    };
    let first = mock!(Client::batch_get_item).then_output(move || {
        BatchGetItemOutput::builder()
            .unprocessed_keys("table", left())
            .build()
    });
    let second =
        mock!(Client::batch_get_item).then_output(|| BatchGetItemOutput::builder().build());
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::Sequential, [&first, &second]);
    let keys: BTreeSet<_> = [CatalogKey::Product(StripeId::parse("prod_1").unwrap())].into();
    store(client).catalog(&tenant(), &keys).await.unwrap();
    assert_eq!((first.num_calls(), second.num_calls()), (1, 1));
}

/// S3: an entry that cannot be read is passed over, and the page tells the place behind it, at which
/// the next one begins.
#[tokio::test]
async fn s3_an_unreadable_entry_holds_up_no_other() {
    let item = |sort: &str, doc: String| {
        let pair = |name: &str, value: String| (name.to_owned(), AttributeValue::S(value));
        std::collections::HashMap::from([
            pair("pending_pk", "P#03".to_owned()),
            pair("pending_sk", sort.to_owned()),
            pair("doc", doc),
        ])
    };
    let rule = mock!(Client::query)
        .match_requests(|request| {
            let values = request.expression_attribute_values().unwrap();
            values[":shard"] == AttributeValue::S("P#03".to_owned())
                && values[":after"] == AttributeValue::S("001789999999#acme#evt_0\0".to_owned())
                && values[":before"] == AttributeValue::S("001790000060".to_owned())
                && request.limit() == Some(2)
        })
        .then_output(move || {
            let good = serde_json::to_string(&entry()).unwrap();
            QueryOutput::builder()
                .items(item("001790000000#acme#evt_1", good))
                .items(item("001790000001#acme#evt_2", "{".to_owned()))
                .set_last_evaluated_key(Some(item("001790000001#acme#evt_2", "{}".to_owned())))
                .build()
        });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
    let before = Timestamp::from_unix(PROCESSED + 60).unwrap();
    let store = store(client);
    let page = store.pending(3, Some("001789999999#acme#evt_0"), before, 2);
    let page = page.await.unwrap();
    assert_eq!(page.entries, [entry()]);
    assert_eq!(page.unreadable, ["001790000001#acme#evt_2"]);
    assert_eq!(page.next.as_deref(), Some("001790000001#acme#evt_2"));
}

/// S3: an entry that the bus refuses for good leaves the index of those that wait, and keeps the
/// reason.
#[tokio::test]
async fn s3_an_entry_that_is_set_aside_keeps_the_reason() {
    let rule = mock!(Client::update_item)
        .match_requests(|request| {
            let values = request.expression_attribute_values().unwrap();
            request.update_expression()
                == Some("REMOVE pending_pk, pending_sk SET refused = :reason")
                && values[":reason"] == AttributeValue::S("InvalidArgument: too long".to_owned())
                && request.key().unwrap()["pk"] == AttributeValue::S("T#acme#E#evt_1".to_owned())
        })
        .then_output(|| UpdateItemOutput::builder().build());
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
    let store = store(client);
    let cause = Cause::parse("evt_1").unwrap();
    let tenant = tenant();
    let done = store.set_aside(&tenant, &cause, "InvalidArgument: too long");
    done.await.unwrap();
    assert_eq!(rule.num_calls(), 1);
}
