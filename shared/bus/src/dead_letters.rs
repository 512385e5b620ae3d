//! Where messages go that no attempt will make readable.

use std::future::Future;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageAttributeValue;

/// The most characters of a reason.
const MAX_REASON: usize = 1_000;

/// A place for dead letters.
pub trait DeadLetters: Sync {
    /// Puts a message there, with its reason. Tells whether that worked.
    fn bury(&self, body: &str, reason: &str) -> impl Future<Output = bool> + Send;
}

/// A dead-letter queue.
#[derive(Debug, Clone)]
pub struct DeadLetterQueue {
    client: Client,
    url: String,
}

impl DeadLetterQueue {
    /// The queue at a URL.
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }
}

impl DeadLetters for DeadLetterQueue {
    async fn bury(&self, body: &str, reason: &str) -> bool {
        let reason: String = reason.chars().take(MAX_REASON).collect();
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(reason)
            .build();
        let Ok(attribute) = attribute else {
            return false;
        };
        let sent = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .message_attributes("reason", attribute)
            .send()
            .await;
        if let Err(error) = &sent {
            let error = aws_sdk_sqs::error::DisplayErrorContext(error);
            tracing::error!(code = "dlq_refused", %error, "The dead-letter queue refused a message");
        }
        sent.is_ok()
    }
}
