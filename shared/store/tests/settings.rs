//! A tenant's own settings: read, kept for a while, and changed only where nobody else did.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_engine::ports::Store;
use paygraph_store::DynamoStore;
use paygraph_store::settings::ChangeError;

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A store whose table answers by these rules, whichever fits.
fn store(rules: &[&Rule]) -> DynamoStore {
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, rules);
    DynamoStore::new(client, "table", Settings::example().unwrap())
}

fn own() -> Settings {
    let mut settings = Settings::example().unwrap();
    settings.mrr.past_due_counts = false;
    settings
}

fn document() -> String {
    serde_json::to_string(&own()).unwrap()
}

fn key() -> HashMap<String, AttributeValue> {
    [("pk", "T#acme"), ("sk", "SETTINGS")]
        .map(|(name, value)| (name.to_owned(), text(value)))
        .into()
}

fn item(schema: u32) -> HashMap<String, AttributeValue> {
    let mut item = key();
    item.insert("doc".to_owned(), text(document()));
    item.insert("schema".to_owned(), AttributeValue::N(schema.to_string()));
    item
}

fn standing(schema: u32) -> Rule {
    mock!(Client::get_item)
        .match_requests(|request| {
            request.key() == Some(&key()) && request.consistent_read() == Some(true)
        })
        .then_output(move || {
            GetItemOutput::builder()
                .set_item(Some(item(schema)))
                .build()
        })
}

fn none() -> Rule {
    mock!(Client::get_item).then_output(|| GetItemOutput::builder().build())
}

#[tokio::test(start_paused = true)]
async fn a_tenants_own_settings_hold_and_are_asked_for_once_a_minute() {
    let rule = standing(1);
    let store = store(&[&rule]);
    for (wait, calls) in [(0, 1), (59, 1), (2, 2)] {
        tokio::time::advance(Duration::from_secs(wait)).await;
        assert_eq!(*store.settings(&tenant()).await.unwrap(), own());
        assert_eq!(rule.num_calls(), calls);
    }
}

#[tokio::test]
async fn a_tenant_without_settings_has_those_of_the_example() {
    let rule = none();
    let store = store(&[&rule]);
    let settings = store.settings(&tenant()).await.unwrap();
    assert_eq!(*settings, Settings::example().unwrap());
    assert_eq!(store.own_settings(&tenant()).await.unwrap(), None);
}

#[tokio::test]
async fn the_first_settings_are_put_where_there_are_none() {
    let put = mock!(Client::put_item)
        .match_requests(|request| {
            request.item() == Some(&item(1))
                && request.condition_expression() == Some("attribute_not_exists(pk)")
        })
        .then_output(|| PutItemOutput::builder().build());
    let store = store(&[&put]);
    store.put_settings(&tenant(), &own(), None).await.unwrap();
    assert_eq!(put.num_calls(), 1);
}

#[tokio::test]
async fn later_ones_replace_what_was_read_and_are_seen_at_once() {
    let get = standing(1);
    let put = mock!(Client::put_item)
        .match_requests(|request| {
            let values = request.expression_attribute_values();
            request.condition_expression() == Some("doc = :doc")
                && values.and_then(|values| values.get(":doc")) == Some(&text(document()))
        })
        .then_output(|| PutItemOutput::builder().build());
    let store = store(&[&get, &put]);
    store.settings(&tenant()).await.unwrap();
    let before = store.own_settings(&tenant()).await.unwrap().unwrap();
    let next = Settings::example().unwrap();
    store
        .put_settings(&tenant(), &next, Some(&before))
        .await
        .unwrap();
    store.settings(&tenant()).await.unwrap();
    assert_eq!((put.num_calls(), get.num_calls()), (1, 3));
}

#[tokio::test]
async fn a_reset_takes_away_what_was_read() {
    let get = standing(1);
    let delete = mock!(Client::delete_item)
        .match_requests(|request| {
            let values = request.expression_attribute_values();
            request.key() == Some(&key())
                && request.condition_expression() == Some("doc = :doc")
                && values.and_then(|values| values.get(":doc")) == Some(&text(document()))
        })
        .then_output(|| DeleteItemOutput::builder().build());
    let store = store(&[&get, &delete]);
    let before = store.own_settings(&tenant()).await.unwrap().unwrap();
    store.remove_settings(&tenant(), &before).await.unwrap();
    assert_eq!(delete.num_calls(), 1);
}

#[tokio::test]
async fn what_somebody_else_changed_or_a_newer_version_wrote_is_left_alone() {
    let refused = mock!(Client::put_item).then_error(|| {
        let meta = aws_sdk_dynamodb::error::ErrorMetadata::builder()
            .code("ConditionalCheckFailedException")
            .build();
        PutItemError::ConditionalCheckFailedException(
            ConditionalCheckFailedException::builder()
                .meta(meta)
                .build(),
        )
    });
    let moved = store(&[&refused])
        .put_settings(&tenant(), &own(), None)
        .await;
    assert!(matches!(moved, Err(ChangeError::Moved)), "{moved:?}");
    let newer = store(&[&standing(2)]).own_settings(&tenant()).await;
    assert!(matches!(newer, Err(ChangeError::Newer(2))), "{newer:?}");
}
