//! What a CRM has: the exact requests, and what refusals mean.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_smithy_mocks::{Rule, mock};
use paygraph_engine::crm::{Kept, Shown, Shows as _, TURN, Turn};

use crate::common::{at, customer, number, store, tenant, text};

fn refused() -> ConditionalCheckFailedException {
    let meta = ErrorMetadata::builder().code("ConditionalCheckFailedException");
    ConditionalCheckFailedException::builder()
        .meta(meta.build())
        .build()
}

fn shown() -> Shown {
    let kept = Kept {
        digest: u64::MAX,
        record: "rec_1".to_owned(),
        page: Some("https://crm.example/rec_1".to_owned()),
    };
    Shown {
        version: 3,
        records: [
            ("user#u1".to_owned(), None),
            ("workspace#acme".to_owned(), Some(kept)),
        ]
        .into(),
        tasks: Vec::new(),
    }
}

async fn take(rule: &Rule) -> Turn {
    let (tenant, customer) = (tenant(), customer());
    let store = store(&[rule]);
    let turn = store.take_turn(&tenant, &customer, at(0), at(TURN));
    turn.await.unwrap()
}

/// What is written at the end is what is read at the beginning.
#[tokio::test]
async fn n19_a_turn_is_taken_when_nobodys_is_still_good() {
    let json = serde_json::to_string(&shown()).unwrap();
    let free = mock!(Client::update_item)
        .match_requests(|request| {
            let values = request.expression_attribute_values().unwrap();
            let key = request.key().unwrap();
            key["pk"] == text("T#acme#C#cus_1")
                && key["sk"] == text("CRM")
                && values[":now"] == number(at(0).unix())
                && values[":until"] == number(at(TURN).unix())
                && request.condition_expression()
                    == Some("attribute_not_exists(claimed_until) OR claimed_until <= :now")
        })
        .then_output(move || {
            UpdateItemOutput::builder()
                .attributes("claims", number(2))
                .attributes("doc", text(&json))
                .build()
        });
    assert_eq!(take(&free).await, Turn::Ours(2, shown()));
    let first = mock!(Client::update_item).then_output(|| {
        UpdateItemOutput::builder()
            .attributes("claims", number(1))
            .build()
    });
    assert_eq!(take(&first).await, Turn::Ours(1, Shown::default()));
    let held = mock!(Client::update_item)
        .then_error(|| UpdateItemError::ConditionalCheckFailedException(refused()));
    assert_eq!(take(&held).await, Turn::Held);
}

/// Who only looks sees what was noted; nothing, where nothing was yet.
#[tokio::test]
async fn what_a_crm_has_is_read_without_a_turn() {
    let json = serde_json::to_string(&shown()).unwrap();
    for (doc, expected) in [(Some(json), shown()), (None, Shown::default())] {
        let found = mock!(Client::get_item).then_output(move || {
            let mut item = HashMap::from([("claims".to_owned(), number(1))]);
            item.extend(doc.clone().map(|doc| ("doc".to_owned(), text(&doc))));
            GetItemOutput::builder().set_item(Some(item)).build()
        });
        let read = store(&[&found]).shown(&tenant(), &customer()).await;
        assert_eq!(read.unwrap(), expected);
    }
}

/// A note is for whose turn it is; the turn goes on only if it says so.
#[tokio::test]
async fn n19_whose_turn_was_taken_over_notes_nothing() {
    let (tenant, customer, shown) = (tenant(), customer(), shown());
    for until in [None, Some(at(TURN))] {
        let ours = mock!(Client::put_item)
            .match_requests(move |request| {
                let item = request.item().unwrap();
                let values = request.expression_attribute_values().unwrap();
                let goes_on = until.map(|until| number(until.unix()));
                item["sk"] == text("CRM")
                    && item["claims"] == number(2)
                    && item.get("claimed_until") == goes_on.as_ref()
                    && request.condition_expression() == Some("claims = :token")
                    && values[":token"] == number(2)
            })
            .then_output(|| PutItemOutput::builder().build());
        let table = store(&[&ours]);
        let noted = table.note_shown(&tenant, &customer, 2, &shown, until);
        noted.await.unwrap();
        assert_eq!(ours.num_calls(), 1);
    }
    let over = mock!(Client::put_item)
        .then_error(|| PutItemError::ConditionalCheckFailedException(refused()));
    let table = store(&[&over]);
    let noted = table.note_shown(&tenant, &customer, 1, &shown, None);
    noted.await.unwrap();
    assert_eq!(over.num_calls(), 1);
}
