//! Webhooks that could not be processed: they lie in the ingest queue's dead letters, and are looked
//! at there without being taken away.

use std::future::Future;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use paygraph_bus::batch::Refusal;
use paygraph_domain::id::{Cause, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::ports::Clock;
use paygraph_stripe::event::StripeEvent;
use paygraph_stripe::ingest::{IngestContent, IngestMessage};

use crate::handler::{Table, Target};
use crate::log::Log;
use crate::message::About;
use crate::nats::Publish;
use crate::webhook::{failed, received};

/// How many messages a look shows; SQS gives no more.
const AT_ONCE: i32 = 10;
/// For how long a message that was looked at is hidden from others, and so from the next look, in
/// seconds.
const HIDDEN: i32 = 60;

/// Dead letters that can be looked at.
pub trait Failures {
    /// Some of them, others with each look; none when all were shown.
    fn look(&self) -> impl Future<Output = Result<Vec<String>, Refusal>>;
}

/// A queue of dead letters.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue at a URL.
    #[must_use]
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }
}

impl Failures for Queue {
    async fn look(&self) -> Result<Vec<String>, Refusal> {
        let shown = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(AT_ONCE)
            .visibility_timeout(HIDDEN)
            .send()
            .await
            .map_err(|error| Refusal::Again(format!("SQS: {}", DisplayErrorContext(error))))?;
        let messages = shown.messages.unwrap_or_default().into_iter();
        Ok(messages.filter_map(|message| message.body).collect())
    }
}

/// Which event it was, as far as its message can be read.
struct Failed {
    tenant: TenantId,
    id: Cause,
    event_type: String,
    at: Timestamp,
}

impl Failed {
    /// None for a message that is no event of a known tenant: nobody could subscribe to it.
    fn read(body: &str) -> Option<Self> {
        let message = IngestMessage::parse(body).ok()?;
        let tenant = message.tenant?;
        Some(match message.content {
            IngestContent::Event(raw) => {
                let event = StripeEvent::parse(raw.get()).ok()?;
                Self {
                    tenant,
                    id: event.id,
                    event_type: event.event_type.to_string(),
                    at: event.created,
                }
            }
            IngestContent::Pointer(pointer) => Self {
                tenant,
                id: pointer.id,
                event_type: pointer.event_type,
                at: pointer.created,
            },
        })
    }
}

impl<S: Table, C: Clock, N: Publish, L: Log> Target<S, C, N, L> {
    /// Publishes each webhook that failed, once. Gives how many there are.
    ///
    /// # Errors
    /// [`Refusal`] when the queue, the table or NATS failed; the next look goes on.
    pub async fn failures<F: Failures>(
        &self,
        failures: &F,
        deadline: Deadline,
    ) -> Result<usize, Refusal> {
        let there = self.nats.is_there().await;
        if !there.map_err(crate::handler::again)? {
            return Ok(0);
        }
        let mut seen = 0;
        while deadline.has_time() {
            let bodies = failures.look().await?;
            if bodies.is_empty() {
                break;
            }
            seen += bodies.len();
            for event in bodies.iter().filter_map(|body| Failed::read(body)) {
                self.failure(&event).await?;
            }
        }
        Ok(seen)
    }

    async fn failure(&self, event: &Failed) -> Result<(), Refusal> {
        let about = About {
            id: event.id.as_str(),
            tenant: &event.tenant,
            customer_id: None,
            stripe_customer_id: None,
            occurred_at: event.at,
            cause: event.id.as_str(),
        };
        // Of one that is processed after all, both are published by the same ids as here.
        let passed_on = format!("{}#0", event.id);
        let first = About {
            id: &passed_on,
            ..about
        };
        self.publish(&first, &received(&event.event_type, event.id.as_str()))
            .await?;
        self.tell(&about, &failed(&event.event_type)).await
    }
}
