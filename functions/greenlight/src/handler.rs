//! A batch of the target's queue: each event is told once, as its lines and its messages.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use paygraph_bus::batch::{Refusal, each};
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_bus::incoming::Incoming;
use paygraph_domain::analytics::{Fact, Happened};
use paygraph_engine::analytics::Analytics;
use paygraph_engine::connection::ConnectionStore;
use paygraph_engine::envelope::Envelope;
use paygraph_engine::ports::{Clock, Store, StoreError};
use paygraph_engine::target::{Effect, Effects, once};
use paygraph_runtime::config::GreenlightEntity;
use paygraph_runtime::telemetry::Chain;

use crate::log::Log;
use crate::message::{About, Message};
use crate::nats::{Publish, PublishError};
use crate::told::{Told, tells, told};
use crate::whom::Whom;

/// All that is told of is read from, and kept in, here.
pub trait Table: Store + Effects + Analytics + ConnectionStore {}

impl<S: Store + Effects + Analytics + ConnectionStore> Table for S {}

/// The target over its ports.
#[derive(Debug)]
pub struct Target<S, C, N, L> {
    /// The table.
    pub store: S,
    /// Our clock.
    pub clock: C,
    /// NATS, if there is any.
    pub nats: N,
    /// The log.
    pub log: L,
    /// What stands for a customer.
    pub entity: GreenlightEntity,
}

/// Why something was not told.
#[derive(Debug, thiserror::Error)]
enum TellError {
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("the log did not take a line")]
    Log(#[from] std::io::Error),
}

impl<S: Table, C: Clock, N: Publish, L: Log> Target<S, C, N, L> {
    /// Takes a batch; names the messages that are to be delivered again.
    pub async fn queue<D: DeadLetters>(
        &self,
        batch: &SqsEvent,
        dead_letters: &D,
    ) -> SqsBatchResponse {
        let take = async |event: Incoming| self.take(&event).await;
        each(batch, dead_letters, take).await
    }

    async fn take(&self, event: &Incoming) -> Result<(), Refusal> {
        let detail = &event.detail;
        if let Some(event_type) = event.detail_type.strip_prefix("stripe.") {
            return self.webhook(detail, event_type).await;
        }
        if let Some(happened) = Happened::of(&event.detail_type, &detail.data) {
            let at = detail.occurred_at;
            let fact = Fact { at, happened };
            let kept = self.store.keep_fact(&detail.tenant, &detail.id, &fact);
            kept.await.map_err(again)?;
        }
        if !tells(&event.detail_type) {
            return Ok(());
        }
        let whom = self.whom(detail).await.map_err(again)?;
        for told in told(event, &whom) {
            self.tell(&About::from(detail), &told).await?;
        }
        Ok(())
    }

    /// Tells something once: first on NATS, where a repeat is dropped, then in the log. Only who dies
    /// between the line and the note that it is written lets it be written again.
    pub(crate) async fn tell(&self, about: &About<'_>, told: &Told) -> Result<(), Refusal> {
        let effect = Effect::new("greenlight", format!("{}#{}", about.id, told.action));
        let happen = async || -> Result<(), TellError> {
            if let Some(message) = Message::of(about, told) {
                self.nats.publish(&message).await?;
            }
            if let Some(line) = &told.line {
                self.log.write(&line.to_string())?;
            }
            Ok(())
        };
        let done = once(&self.store, &self.clock, about.tenant, &effect, happen).await;
        done.map(|_| ()).map_err(again)
    }

    /// Whom an event is about, as they are now.
    async fn whom(&self, event: &Envelope) -> Result<Whom, StoreError> {
        let settings = self.store.settings(&event.tenant).await?;
        let contact = match &event.customer_id {
            Some(id) => self.store.contact(&event.tenant, id).await?,
            None => None,
        };
        Ok(Whom::of(event, contact.as_ref(), &settings, self.entity))
    }
}

/// Another delivery may succeed.
pub(crate) fn again(error: impl std::error::Error + 'static) -> Refusal {
    Refusal::Again(Chain(&error).to_string())
}
