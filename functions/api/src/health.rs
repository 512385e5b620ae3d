//! How the intake is doing: the last event, the backlog, what waits and what is dead.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use lambda_http::{Body, Response};
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_store::DynamoStore;
use serde_json::json;

use crate::answer::{ApiError, ok};

/// The queues whose depth is shown.
#[derive(Debug, Clone)]
pub struct Queues {
    /// The client.
    pub client: Client,
    /// The ingest queue.
    pub ingest: String,
    /// Its dead letters.
    pub dead_letters: String,
}

impl Queues {
    /// How many messages are in a queue, about.
    async fn depth(&self, url: &str) -> Result<i64, ApiError> {
        let wanted = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let asked = self.client.get_queue_attributes().queue_url(url);
        let answer = asked
            .set_attribute_names(Some(wanted.to_vec()))
            .send()
            .await;
        let answer = answer.map_err(|error| ApiError::Unavailable(Box::new(error)))?;
        let attributes = answer.attributes.unwrap_or_default();
        let count = |name| {
            attributes
                .get(name)
                .and_then(|n| n.parse::<i64>().ok())
                .unwrap_or(0)
        };
        Ok(wanted.iter().map(count).sum())
    }
}

/// `GET /api/stripe/health`.
pub async fn health(
    store: &DynamoStore,
    queues: &Queues,
    tenant: &TenantId,
    now: Timestamp,
) -> Result<Response<Body>, ApiError> {
    let (last, parked, backlog, dead) = tokio::join!(
        store.heartbeat(tenant),
        store.count_parked(tenant),
        queues.depth(&queues.ingest),
        queues.depth(&queues.dead_letters),
    );
    let (last, parked, backlog, dead) = (last?, parked?, backlog?, dead?);
    let age = last.processed_at.map(|at| (now.unix() - at.unix()).max(0));
    let status = match (dead, age) {
        (1.., _) => "failing",
        (_, None) => "no_events_yet",
        (_, Some(_)) => "ok",
    };
    ok(&json!({
        "status": status,
        "last_event": {
            "id": last.cause,
            "created": last.created.map(|at| at.to_string()),
            "processed_at": last.processed_at.map(|at| at.to_string()),
            "age_seconds": age,
        },
        "backlog": backlog,
        "dead_letters": dead,
        "parked": parked,
    }))
}
