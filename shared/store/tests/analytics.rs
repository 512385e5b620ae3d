//! Facts and days: the exact requests, and what refusals mean.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_smithy_mocks::mock;
use paygraph_domain::analytics::{Day, Fact, Happened};
use paygraph_engine::analytics::{Analytics as _, Census};
use paygraph_engine::ports::CommitError;

use crate::common::{at, number, store, tenant, text};

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// Its place follows from its event alone, so that a repeat is the same item again.
#[tokio::test]
async fn a_fact_stands_in_its_month_under_its_event() {
    let put = mock!(Client::put_item)
        .match_requests(|request| {
            let item = request.item().unwrap();
            item["pk"] == text("T#acme#FACTS#2026-09-01")
                && item["sk"] == text("001790000000#evt_1#2")
                && item["expires_at"] == number(at(100 * 86_400).unix())
                && item["doc"] == text(r#"{"at":1790000000,"happened":"canceled"}"#)
        })
        .then_output(|| PutItemOutput::builder().build());
    let fact = Fact {
        at: at(0),
        happened: Happened::Canceled,
    };
    let kept = store(&[&put]).keep_fact(&tenant(), "evt_1#2", &fact).await;
    kept.unwrap();
}

/// All pages of the days that are asked for, and nothing of the day after them.
#[tokio::test]
async fn facts_are_read_page_by_page() {
    let page = |start: Option<&'static str>| {
        let next = start.is_none().then(|| text("001790000000#evt_1#2"));
        mock!(Client::query)
            .match_requests(move |request| {
                let values = request.expression_attribute_values().unwrap();
                let starts = request.exclusive_start_key().map(|key| key["sk"].clone());
                values[":pk"] == text("T#acme#FACTS#2026-09-01")
                    && values[":from"] == text("001788220800")
                    && values[":to"] == text("001790035200")
                    && starts == start.map(text)
            })
            .then_output(move || {
                let doc = text(r#"{"at":1790000000,"happened":{"paid":{"usd":5800}}}"#);
                let item = [("doc".to_owned(), doc)].into();
                let next = next.clone().map(|sk| [("sk".to_owned(), sk)].into());
                let answer = QueryOutput::builder().items(item);
                answer.set_last_evaluated_key(next).build()
            })
    };
    let (first, second) = (page(None), page(Some("001790000000#evt_1#2")));
    let store = store(&[&first, &second]);
    let mut seen = Vec::new();
    let mut see = |fact: Fact| seen.push(fact.at);
    let days = (day("2026-09-01"), day("2026-09-21"));
    store.facts(&tenant(), days, &mut see).await.unwrap();
    assert_eq!(seen, [at(0), at(0)]);
}

#[tokio::test]
async fn a_day_is_written_over_the_one_that_was_read_only() {
    let census = Census {
        rev: 3,
        ..Census::new(day("2026-09-20"))
    };
    let put = mock!(Client::put_item)
        .match_requests(|request| {
            let item = request.item().unwrap();
            let held = &request.expression_attribute_values().unwrap()[":rev"];
            item["pk"] == text("T#acme#DAYS")
                && item["sk"] == text("2026-09-20")
                && item["rev"] == number(4)
                && item["expires_at"] == number(at(400 * 86_400).unix())
                && request.condition_expression() == Some("rev = :rev")
                && *held == number(3)
        })
        .then_output(|| PutItemOutput::builder().build());
    let noted = store(&[&put]).note_census(&tenant(), &census, at(0)).await;
    noted.unwrap();
    let refused = mock!(Client::put_item)
        .match_requests(|request| {
            request.condition_expression() == Some("attribute_not_exists(pk)")
        })
        .then_error(|| {
            let meta = ErrorMetadata::builder().code("ConditionalCheckFailedException");
            let refused = ConditionalCheckFailedException::builder().meta(meta.build());
            PutItemError::ConditionalCheckFailedException(refused.build())
        });
    let first = Census::new(day("2026-09-20"));
    let noted = store(&[&refused])
        .note_census(&tenant(), &first, at(0))
        .await;
    assert!(matches!(noted, Err(CommitError::Conflict)));
}
