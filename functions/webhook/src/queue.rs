//! The ingest queue, as this function needs it.

use std::error::Error;
use std::future::Future;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

/// Why a message is not in the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue does not take this message, and will not: its size or a character.
    #[error("the queue refused the message")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// The queue did not answer, or not now.
    #[error("the queue is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

/// Where verified events go.
pub trait IngestQueue {
    /// Puts a message into the queue: it is there once this is `Ok`.
    fn send(&self, body: String) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// The queue in SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The queue at this URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }
}

impl IngestQueue for SqsQueue {
    async fn send(&self, body: String) -> Result<(), QueueError> {
        match self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_about_the_message(&error) => Err(QueueError::Refused(error.into())),
            Err(error) => Err(QueueError::Unavailable(error.into())),
        }
    }
}

/// The errors with which SQS says that it does not take such a message
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>).
fn is_about_the_message<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    let about = [
        "InvalidMessageContents",
        "InvalidParameterValue",
        "MessageTooLong",
    ];
    error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .is_some_and(|code| about.iter().any(|name| code.ends_with(name)))
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
