//! A batch of a target's queue: each message has its own result.

use std::collections::BTreeMap;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures::future::join_all;
use paygraph_runtime::telemetry::Chain;

use crate::dead_letters::DeadLetters;
use crate::incoming::Incoming;

/// Why an event could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another delivery may succeed.
    #[error("{0}")]
    Again(String),
    /// No delivery will: it goes to the dead letters, with this reason.
    #[error("{0}")]
    Never(String),
}

/// Takes each event of a batch: those of one contact one after the other, those of different ones
/// side by side. Names the messages that are to be delivered again.
pub async fn each<D: DeadLetters>(
    event: &SqsEvent,
    dead_letters: &D,
    take: impl AsyncFn(Incoming) -> Result<(), Refusal>,
) -> SqsBatchResponse {
    let mut groups: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (place, message) in event.records.iter().enumerate() {
        let body = message.body.as_deref().unwrap_or_default();
        let read = Incoming::parse(body);
        let group = match &read {
            Ok(Incoming { detail, .. }) => match &detail.customer_id {
                Some(customer) => format!("{}#{customer}", detail.tenant),
                None => format!("{}##{place}", detail.tenant),
            },
            Err(_) => format!("##{place}"),
        };
        let id = message.message_id.clone().unwrap_or_default();
        groups.entry(group).or_default().push((id, body, read));
    }
    let work = groups.into_values().map(async |messages| {
        let mut again = Vec::new();
        for (id, body, read) in messages {
            let taken = match read {
                Ok(event) => take(event).await,
                Err(error) => Err(Refusal::Never(Chain(&error).to_string())),
            };
            if !settled(taken, body, dead_letters).await {
                again.push(id);
            }
        }
        again
    });
    let mut response = SqsBatchResponse::default();
    for id in join_all(work).await.into_iter().flatten() {
        response.add_failure(id);
    }
    response
}

/// Whether a message is done with.
async fn settled<D: DeadLetters>(taken: Result<(), Refusal>, body: &str, dead_letters: &D) -> bool {
    match taken {
        Ok(()) => true,
        Err(Refusal::Again(reason)) => {
            tracing::warn!(
                code = "given_back",
                reason,
                "An event goes back to the queue"
            );
            false
        }
        Err(Refusal::Never(reason)) => {
            let bytes = body.len();
            tracing::error!(
                code = "poison",
                reason,
                bytes,
                "An event cannot be taken and goes to the dead letters"
            );
            dead_letters.bury(body, &reason).await
        }
    }
}
