//! Connections: an account is one tenant's, a change replaces what was read, a nonce is used once.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsError, TransactWriteItemsInput, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::types::error::{
    ConditionalCheckFailedException, TransactionCanceledException,
};
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason};
use aws_smithy_mocks::{Rule, mock};
use paygraph_domain::id::StripeId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::connection::{By, ClaimError, Connection, ConnectionStore as _, Status};

use crate::common::{store, tenant, text};

fn connection(rev: u64, status: Status) -> Connection {
    Connection {
        account: StripeId::parse("acct_1").unwrap(),
        name: None,
        livemode: false,
        by: By::Oauth,
        since: Timestamp::from_unix(1_790_000_000).unwrap(),
        endpoint: None,
        status,
        rev,
    }
}

const FREE: &str = "attribute_not_exists(pk) OR tenant = :tenant";

/// The first write takes the account, the second puts the connection.
fn takes(request: &TransactWriteItemsInput, condition: &str) -> bool {
    let [claim, connection] = request.transact_items() else {
        return false;
    };
    let claim = claim.put().unwrap();
    let item = claim.item();
    let connection = connection.put().unwrap();
    (&item["pk"], &item["sk"], &item["tenant"], &item["by"])
        == (
            &text("ACCOUNTS"),
            &text("acct_1"),
            &text("acme"),
            &text("oauth"),
        )
        && claim.condition_expression() == Some(FREE)
        && connection.item()["sk"] == text("CONNECTION")
        && connection.condition_expression() == Some(condition)
}

/// Putting a connection does this write, once.
async fn puts(write: &Rule, rev: u64, status: Status) {
    let put = connection(rev, status);
    let store = store(&[write]);
    store.put_connection(&tenant(), &put).await.unwrap();
    assert_eq!(write.num_calls(), 1);
}

#[tokio::test]
async fn a_first_connection_takes_its_account() {
    let write = mock!(Client::transact_write_items)
        .match_requests(|request| takes(request, "attribute_not_exists(pk)"))
        .then_output(|| TransactWriteItemsOutput::builder().build());
    puts(&write, 0, Status::Connected).await;
}

#[tokio::test]
async fn a_later_one_replaces_what_was_read() {
    let write = mock!(Client::transact_write_items)
        .match_requests(|request| {
            let [_, connection] = request.transact_items() else {
                return false;
            };
            let put = connection.put().unwrap();
            takes(request, "rev = :rev")
                && put.expression_attribute_values().unwrap()[":rev"]
                    == AttributeValue::N("3".to_owned())
                && put.item()["rev"] == AttributeValue::N("4".to_owned())
        })
        .then_output(|| TransactWriteItemsOutput::builder().build());
    let reason = "the key was revoked".to_owned();
    puts(&write, 3, Status::Paused { reason }).await;
}

#[tokio::test]
async fn what_is_disconnected_frees_its_account() {
    let write = mock!(Client::transact_write_items)
        .match_requests(|request| {
            let delete = request.transact_items()[0].delete().unwrap();
            delete.key()["sk"] == text("acct_1") && delete.condition_expression() == Some(FREE)
        })
        .then_output(|| TransactWriteItemsOutput::builder().build());
    puts(&write, 3, Status::Disconnected).await;
}

#[tokio::test]
async fn refusals_say_whether_the_account_or_the_connection_was_changed() {
    for (codes, taken) in [
        (["ConditionalCheckFailed", "None"], true),
        (["None", "ConditionalCheckFailed"], false),
        (["None", "TransactionConflict"], false),
    ] {
        let write = mock!(Client::transact_write_items).then_error(move || {
            let reasons = codes.map(|code| CancellationReason::builder().code(code).build());
            let canceled = TransactionCanceledException::builder();
            let canceled = canceled.set_cancellation_reasons(Some(reasons.to_vec()));
            TransactWriteItemsError::TransactionCanceledException(canceled.build())
        });
        let put = connection(1, Status::Connected);
        let refused = store(&[&write]).put_connection(&tenant(), &put).await;
        match refused {
            Err(ClaimError::Taken) => assert!(taken, "{codes:?}"),
            Err(ClaimError::Moved) => assert!(!taken, "{codes:?}"),
            other => panic!("{codes:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_nonce_is_used_once_and_forgotten_later() {
    let put = mock!(Client::put_item)
        .match_requests(|request| {
            let item = request.item().unwrap();
            item["pk"] == text("T#acme#ONCE#n1")
                && item["expires_at"] == AttributeValue::N("1790086400".to_owned())
                && request.condition_expression() == Some("attribute_not_exists(pk)")
        })
        .then_output(|| PutItemOutput::builder().build());
    let at = Timestamp::from_unix(1_790_000_000).unwrap();
    assert!(store(&[&put]).spend(&tenant(), "n1", at).await.unwrap());
    let again = mock!(Client::put_item).then_error(|| {
        let meta = aws_sdk_dynamodb::error::ErrorMetadata::builder();
        let meta = meta.code("ConditionalCheckFailedException").build();
        let refused = ConditionalCheckFailedException::builder().meta(meta);
        PutItemError::ConditionalCheckFailedException(refused.build())
    });
    assert!(!store(&[&again]).spend(&tenant(), "n1", at).await.unwrap());
}

fn claim(account: &str, by: &str) -> HashMap<String, AttributeValue> {
    [
        ("pk", "ACCOUNTS"),
        ("sk", account),
        ("tenant", "acme"),
        ("by", by),
    ]
    .map(|(name, value)| (name.to_owned(), text(value)))
    .into()
}

#[tokio::test]
async fn it_is_known_whose_an_account_is() {
    let get = mock!(Client::get_item)
        .match_requests(|request| request.consistent_read() == Some(true))
        .then_output(|| {
            let item = claim("acct_1", "oauth");
            GetItemOutput::builder().set_item(Some(item)).build()
        });
    let query = mock!(Client::query)
        .match_requests(|request| request.consistent_read() == Some(true))
        .then_output(|| {
            let items = vec![claim("acct_1", "oauth"), claim("acct_2", "restricted_key")];
            QueryOutput::builder().set_items(Some(items)).build()
        });
    let store = store(&[&get, &query]);
    let account = StripeId::parse("acct_1").unwrap();
    assert_eq!(store.owner(&account).await.unwrap(), Some(tenant()));
    let accounts = store.platform_accounts().await.unwrap();
    assert_eq!(
        accounts,
        [(account, tenant())].into(),
        "only the platform's"
    );
}
