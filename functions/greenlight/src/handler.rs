//! A batch of the target's queue: each message has its own result.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use paygraph_bus::incoming::Incoming;
use paygraph_engine::ports::{Store, StoreError};
use paygraph_runtime::config::GreenlightEntity;
use paygraph_runtime::telemetry::Chain;

use crate::line::{Line, Subject, has_line, lines};

/// The lines of a batch, and the messages that are to be delivered again.
///
/// A message that is no event of ours goes back as well, and so in the end to the dead letters.
pub async fn handle<S: Store>(
    store: &S,
    entity: GreenlightEntity,
    event: &SqsEvent,
) -> (Vec<Line>, SqsBatchResponse) {
    let mut written = Vec::new();
    let mut response = SqsBatchResponse::default();
    for message in &event.records {
        match record(store, entity, message.body.as_deref().unwrap_or_default()).await {
            Ok(lines) => written.extend(lines),
            Err(reason) => {
                tracing::warn!(code = "given_back", reason, "An event could not be written");
                response.add_failure(message.message_id.clone().unwrap_or_default());
            }
        }
    }
    (written, response)
}

async fn record<S: Store>(
    store: &S,
    entity: GreenlightEntity,
    body: &str,
) -> Result<Vec<Line>, String> {
    let event = Incoming::parse(body).map_err(|error| Chain(&error).to_string())?;
    if !has_line(&event.detail_type) {
        return Ok(Vec::new());
    }
    let (name, tier) = subject(store, entity, &event)
        .await
        .map_err(|error| Chain(&error).to_string())?;
    Ok(lines(
        &event,
        Subject {
            entity: &name,
            tier: &tier,
        },
    ))
}

/// What stands for the customer, and the tier, as they are now.
async fn subject<S: Store>(
    store: &S,
    entity: GreenlightEntity,
    event: &Incoming,
) -> Result<(String, String), StoreError> {
    let tenant = &event.detail.tenant;
    let settings = store.settings(tenant).await?;
    let Some(id) = &event.detail.customer_id else {
        return Ok(("unknown".to_owned(), settings.default_tier.clone()));
    };
    let contact = store.contact(tenant, id).await?;
    let tier = contact
        .as_ref()
        .map(|contact| contact.billing(&settings).tier);
    let email = match entity {
        GreenlightEntity::Email => contact.as_ref().and_then(|contact| contact.email()),
        GreenlightEntity::CustomerId => None,
    };
    let name = email.unwrap_or(id.as_str()).to_owned();
    Ok((name, tier.unwrap_or_else(|| settings.default_tier.clone())))
}
