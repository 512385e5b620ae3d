//! Sends to a queue of SQS, and counts its messages.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use paygraph_domain::id::TenantId;
use paygraph_engine::connection::StartImport;
use paygraph_engine::ports::StoreError;
use paygraph_engine::run::{Job, Request};
use paygraph_engine::watch::Ingest;

/// The longest that SQS holds a message back, in seconds.
pub const LONGEST_DELAY: i64 = 900;

/// A queue to send to.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue at a URL.
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }

    /// Sends a message that is received after `delay` seconds at the earliest, and at most
    /// [`LONGEST_DELAY`].
    ///
    /// # Errors
    /// [`StoreError`] when the queue does not take it.
    pub async fn send(&self, body: &str, delay: i64) -> Result<(), StoreError> {
        let delay = i32::try_from(delay.clamp(0, LONGEST_DELAY)).unwrap_or(0);
        let sent = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .delay_seconds(delay)
            .send()
            .await;
        sent.map(|_| ()).map_err(|error| StoreError {
            context: "sending to a queue".to_owned(),
            retry: true,
            source: Some(error.into()),
        })
    }

    /// Counts the messages of the queue, with those that a consumer has received. SQS gives both
    /// numbers approximately.
    ///
    /// # Errors
    /// [`StoreError`] when SQS does not answer.
    pub async fn count_messages(&self) -> Result<u64, StoreError> {
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let asked = self.client.get_queue_attributes().queue_url(&self.url);
        let asked = asked.set_attribute_names(Some(counts.to_vec()));
        let response = asked.send().await.map_err(|error| StoreError {
            context: "counting the messages of a queue".to_owned(),
            retry: true,
            source: Some(error.into()),
        })?;
        let attributes = response.attributes.unwrap_or_default();
        let count = |name| attributes.get(name)?.parse::<u64>().ok();
        Ok(counts.iter().filter_map(count).sum())
    }
}

impl Queue {
    /// Asks for a run, which begins after `delay` seconds.
    ///
    /// # Errors
    /// [`StoreError`] when the queue does not take it.
    pub async fn ask(&self, request: &Request, delay: i64) -> Result<(), StoreError> {
        let body = serde_json::to_string(request).map_err(|error| StoreError {
            context: "writing a request".to_owned(),
            retry: false,
            source: Some(error.into()),
        })?;
        self.send(&body, delay).await
    }
}

impl StartImport for Queue {
    async fn start(&self, tenant: &TenantId) -> bool {
        let request = Request {
            tenant: Some(tenant.clone()),
            ..Request::new(Job::Backfill)
        };
        let asked = self.ask(&request, 0).await;
        if let Err(error) = &asked {
            let error: &dyn std::error::Error = error;
            tracing::error!(code = "import_not_started", %tenant, error, "An import was not begun");
        }
        asked.is_ok()
    }
}

impl Ingest for Queue {
    async fn ingest(&self, body: &str) -> Result<(), StoreError> {
        self.send(body, 0).await
    }
}
