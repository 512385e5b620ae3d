//! The health of the intake: the last event, the backlog, and the messages in the queues.

use lambda_http::{Body, Response};
use paygraph_bus::Queue;
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_store::DynamoStore;
use serde_json::json;

use crate::answer::{ApiError, ok};

/// The queues with the messages to count.
#[derive(Debug, Clone)]
pub struct Queues {
    /// The ingest queue.
    pub ingest: Queue,
    /// The dead letters of the ingest queue.
    pub dead_letters: Queue,
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
        queues.ingest.count_messages(),
        queues.dead_letters.count_messages(),
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
