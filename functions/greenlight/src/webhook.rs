//! Webhooks on NATS: that one was received and processed, by the event that Stripe's own is passed on
//! as. (Its line is in the webhook's log, since only there it is known of one that is refused.)

use paygraph_bus::batch::Refusal;
use paygraph_domain::fact::Source;
use paygraph_engine::envelope::Envelope;
use paygraph_engine::ports::Clock;

use crate::handler::{Table, Target, again};
use crate::log::Log;
use crate::message::{About, Message};
use crate::nats::Publish;
use crate::state::{IMPULSE, step_of};
use crate::subject::of_webhook;
use crate::told::Told;

/// A webhook of a type was received; `id` is Stripe's of the event.
#[must_use]
pub fn received(event_type: &str, id: &str) -> Told {
    let message = format!("Stripe webhook: {id}");
    Told {
        subject: Some(of_webhook("received", event_type)),
        step: Some(IMPULSE),
        ..Told::line(
            "⚡📥💳👉".to_owned(),
            "webhook_received",
            event_type,
            message,
        )
    }
}

/// It was processed.
#[must_use]
pub fn processed(event_type: &str) -> Told {
    Told {
        subject: Some(of_webhook("processed", event_type)),
        step: step_of(event_type),
        ..Told::silent("webhook_processed")
    }
}

/// It could not be.
#[must_use]
pub fn failed(event_type: &str) -> Told {
    Told {
        subject: Some(of_webhook("failed", event_type)),
        ..Told::silent("webhook_failed")
    }
}

impl<S: Table, C: Clock, N: Publish, L: Log> Target<S, C, N, L> {
    /// Publishes that a webhook was received and processed. No claim is worth it: repeats are dropped
    /// by their ids.
    pub(crate) async fn webhook(&self, event: &Envelope, event_type: &str) -> Result<(), Refusal> {
        if event.source != Source::Webhook {
            return Ok(());
        }
        let received = received(event_type, event.cause.as_str());
        self.publish(&About::from(event), &received).await?;
        self.publish(&About::from(event), &processed(event_type))
            .await
    }

    /// Publishes without a line.
    pub(crate) async fn publish(&self, about: &About<'_>, told: &Told) -> Result<(), Refusal> {
        match Message::of(about, told) {
            Some(message) => self.nats.publish(&message).await.map_err(again),
            None => Ok(()),
        }
    }
}
