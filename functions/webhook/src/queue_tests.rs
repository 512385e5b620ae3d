use aws_sdk_sqs::error::ErrorMetadata;
use aws_sdk_sqs::operation::send_message::{SendMessageError, SendMessageOutput};
use aws_sdk_sqs::types::error::{QueueDoesNotExist, RequestThrottled};
use aws_smithy_mocks::{Rule, mock, mock_client};

use super::*;

const URL: &str = "https://sqs.eu-west-1.amazonaws.com/1/ingest";

async fn send(rule: &Rule) -> Result<(), QueueError> {
    let client = mock_client!(aws_sdk_sqs, [rule]);
    SqsQueue::new(client, URL)
        .send("{\"version\":1}".to_owned())
        .await
}

fn failing(error: impl Fn() -> SendMessageError + Send + Sync + 'static) -> Rule {
    mock!(Client::send_message).then_error(error)
}

#[tokio::test]
async fn one_message_goes_to_the_queue() {
    let rule = mock!(Client::send_message)
        .match_requests(|input| {
            input.queue_url() == Some(URL) && input.message_body() == Some("{\"version\":1}")
        })
        .then_output(|| SendMessageOutput::builder().message_id("1").build());
    send(&rule).await.unwrap();
    assert_eq!(rule.num_calls(), 1);
}

#[tokio::test]
async fn p7_a_message_that_the_queue_does_not_take_is_told_apart() {
    for code in [
        "InvalidParameterValue",
        "com.amazonaws.sqs#InvalidMessageContents",
    ] {
        let rule =
            failing(move || SendMessageError::generic(ErrorMetadata::builder().code(code).build()));
        assert!(
            matches!(send(&rule).await, Err(QueueError::Refused(_))),
            "{code}"
        );
    }
}

#[tokio::test]
async fn p9_a_queue_that_does_not_answer_is_not_available() {
    for rule in [
        failing(|| SendMessageError::QueueDoesNotExist(QueueDoesNotExist::builder().build())),
        failing(|| SendMessageError::RequestThrottled(RequestThrottled::builder().build())),
    ] {
        assert!(matches!(send(&rule).await, Err(QueueError::Unavailable(_))));
    }
}
