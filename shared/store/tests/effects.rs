//! Claims: the exact requests, and what refusals mean.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_smithy_mocks::{Rule, mock};
use paygraph_engine::target::{Claim, Effect, Effects as _, LEASE};

use crate::common::{at, number, store, tenant};

async fn claim(rules: &[&Rule]) -> Claim {
    let (tenant, effect) = (tenant(), Effect::new("alert", "evt_1#0"));
    let claim = store(rules).claim(&tenant, &effect, at(0), at(LEASE)).await;
    claim.unwrap()
}

#[tokio::test]
async fn a_claim_holds_until_its_lease_is_over() {
    let free = mock!(Client::update_item)
        .match_requests(|request| {
            let values = request.expression_attribute_values().unwrap();
            let condition = request.condition_expression().unwrap();
            request.key().unwrap()["pk"].as_s().unwrap() == "T#acme#X#alert#evt_1#0"
                && values[":now"] == number(at(0).unix())
                && values[":until"] == number(at(LEASE).unix())
                && condition.contains("attribute_not_exists(done_at)")
                && condition.contains("claimed_until <= :now")
        })
        .then_output(|| {
            let item = HashMap::from([("claims".to_owned(), number(2))]);
            UpdateItemOutput::builder()
                .set_attributes(Some(item))
                .build()
        });
    assert_eq!(claim(&[&free]).await, Claim::Ours(2));
}

#[tokio::test]
async fn a_refused_claim_is_held_or_done() {
    for (attribute, expected) in [("claimed_until", Claim::Held), ("done_at", Claim::Done)] {
        let refused = mock!(Client::update_item).then_error(|| {
            let meta = ErrorMetadata::builder().code("ConditionalCheckFailedException");
            let refused = ConditionalCheckFailedException::builder().meta(meta.build());
            UpdateItemError::ConditionalCheckFailedException(refused.build())
        });
        let held = mock!(Client::get_item).then_output(move || {
            let item = HashMap::from([(attribute.to_owned(), number(1))]);
            GetItemOutput::builder().set_item(Some(item)).build()
        });
        assert_eq!(claim(&[&refused, &held]).await, expected);
    }
}

#[tokio::test]
async fn what_was_taken_over_is_not_noted_by_who_had_it_before() {
    let over = mock!(Client::update_item)
        .match_requests(|request| request.condition_expression() == Some("claims = :token"))
        .then_error(|| {
            let meta = ErrorMetadata::builder().code("ConditionalCheckFailedException");
            let refused = ConditionalCheckFailedException::builder().meta(meta.build());
            UpdateItemError::ConditionalCheckFailedException(refused.build())
        });
    let (tenant, effect) = (tenant(), Effect::new("alert", "x"));
    let store = store(&[&over]);
    store.done(&tenant, &effect, 1, at(0)).await.unwrap();
    assert_eq!(over.num_calls(), 1);
}
