//! Users: the exact requests, and what a refusal means.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_smithy_mocks::mock;
use paygraph_domain::user::User;
use paygraph_engine::ports::CommitError;
use paygraph_engine::user::Users as _;
use std::collections::HashMap;

use crate::common::{number, store, tenant, text};

fn user(version: u64) -> User {
    User {
        version,
        name: Some("Jo".to_owned()),
        ..User::new("u1")
    }
}

#[tokio::test]
async fn a_user_is_written_over_the_version_before() {
    for (version, condition) in [(1, "attribute_not_exists(pk)"), (3, "version = :version")] {
        let put = mock!(Client::put_item)
            .match_requests(move |request| {
                let item = request.item().unwrap();
                let before = request.expression_attribute_values();
                let before = before.map(|values| values[":version"].clone());
                item["pk"] == text("T#acme#U#u1")
                    && item["sk"] == text("USER")
                    && item["version"].as_n().unwrap() == &version.to_string()
                    && request.condition_expression() == Some(condition)
                    && before == (version == 3).then(|| number(2))
            })
            .then_output(|| PutItemOutput::builder().build());
        store(&[&put])
            .put_user(&tenant(), &user(version))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_user_that_somebody_else_wrote_is_a_conflict() {
    let refused = mock!(Client::put_item).then_error(|| {
        let meta = ErrorMetadata::builder().code("ConditionalCheckFailedException");
        let refused = ConditionalCheckFailedException::builder().meta(meta.build());
        PutItemError::ConditionalCheckFailedException(refused.build())
    });
    let written = store(&[&refused]).put_user(&tenant(), &user(2)).await;
    assert!(matches!(written, Err(CommitError::Conflict)));
}

#[tokio::test]
async fn a_user_is_read_as_it_was_written() {
    let document = serde_json::to_string(&user(4)).unwrap();
    let get = mock!(Client::get_item)
        .match_requests(|request| request.key().unwrap()["pk"] == text("T#acme#U#u1"))
        .then_output(move || {
            let item = HashMap::from([("doc".to_owned(), text(&document))]);
            GetItemOutput::builder().set_item(Some(item)).build()
        });
    let read = store(&[&get]).user(&tenant(), "u1").await.unwrap();
    assert_eq!(read, Some(user(4)));
}
