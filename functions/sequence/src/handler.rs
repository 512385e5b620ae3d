//! The two inputs: a batch of the target's queue, and the minute.
//!
//! The queue brings events of the bus, the steps among them that are to be sent by e-mail, and what
//! SES tells of e-mails that came back.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use paygraph_bus::batch::{Refusal, each};
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_bus::incoming::Incoming;
use paygraph_bus::schedule::ScheduleEvent;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::email::{EmailError, Emails, Mailer, Post, PostError, Posted};
use paygraph_engine::envelope::Envelope;
use paygraph_engine::ports::{Clock, Publisher, Store, StoreError};
use paygraph_engine::publish::publish;
use paygraph_engine::sequence::{Enrolments, STEP_DUE, Sequencer, Stepped};
use paygraph_engine::target::Old;
use paygraph_runtime::telemetry::Chain;
use serde_json::Value;

use crate::feedback::Feedback;

/// What the function is called with.
#[derive(Debug)]
pub enum Input {
    /// Messages of its queue.
    Queue(SqsEvent),
    /// The minute.
    Minute(ScheduleEvent),
}

impl Input {
    /// Tells one from the other.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(payload: Value) -> Result<Self, serde_json::Error> {
        if payload.get("Records").is_some() {
            serde_json::from_value(payload).map(Self::Queue)
        } else {
            serde_json::from_value(payload).map(Self::Minute)
        }
    }
}

/// The function over its ports.
#[derive(Debug)]
pub struct Target<S, C, P, M, D> {
    /// Enrols and moves on.
    pub sequencer: Sequencer<S, C>,
    /// Sends the e-mails.
    pub post: Post<S, C, M>,
    /// The bus.
    pub publisher: P,
    /// Where messages go that cannot be read.
    pub dead_letters: D,
}

/// Events that were no news, by the reason.
#[derive(Debug, Default)]
struct Counts {
    imported: AtomicUsize,
    past: AtomicUsize,
}

impl Counts {
    fn add(&self, old: Old) {
        let count = match old {
            Old::Imported => &self.imported,
            Old::Past => &self.past,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self) {
        let imported = self.imported.load(Ordering::Relaxed);
        let past = self.past.load(Ordering::Relaxed);
        if imported + past > 0 {
            tracing::info!(
                code = "not_news",
                imported,
                past,
                "Events are history and start no sequence"
            );
        }
    }
}

impl<S, C, P, M, D> Target<S, C, P, M, D>
where
    S: Store + Enrolments + Emails,
    C: Clock,
    P: Publisher,
    M: Mailer,
    D: DeadLetters,
{
    /// Takes a batch; names the messages that are to be delivered again.
    pub async fn queue(&self, mut event: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
        let counts = Counts::default();
        let take = async |event: Incoming| self.take(&event, deadline, &counts).await;
        let mut told = Vec::new();
        event.records.retain_mut(|message| {
            let feedback = message.body.as_deref().and_then(Feedback::parse);
            let is_event = feedback.is_none();
            told.extend(feedback.map(|feedback| (message.message_id.take(), feedback)));
            is_event
        });
        let mut response = each(&event, &self.dead_letters, take).await;
        for (message, feedback) in told {
            if let Err(error) = self.came_back(&feedback).await {
                let reason = Chain(&error).to_string();
                tracing::warn!(
                    code = "given_back",
                    reason,
                    "What SES told goes back to the queue"
                );
                response.add_failure(message.unwrap_or_default());
            }
        }
        counts.tell();
        response
    }

    /// Notes whom not to write to any more.
    async fn came_back(&self, feedback: &Feedback) -> Result<(), StoreError> {
        let Some(tenant) = feedback.tenant() else {
            tracing::warn!(
                code = "email_of_nobody",
                "SES tells of an e-mail without its tenant"
            );
            return Ok(());
        };
        let engine = &self.post.engine;
        let (store, now) = (&engine.store, engine.clock.now());
        for (address, why) in feedback.suppresses() {
            let key = address.key();
            let noted = store.suppress(&tenant, &key, None, why, now).await?;
            tracing::info!(
                reason = why.as_str(),
                noted,
                "An address is written to no more"
            );
        }
        Ok(())
    }

    async fn take(
        &self,
        event: &Incoming,
        deadline: Deadline,
        counts: &Counts,
    ) -> Result<(), Refusal> {
        let (name, detail) = (&event.detail_type, &event.detail);
        if name == STEP_DUE {
            return self.send(detail, deadline, counts).await;
        }
        let heard = self
            .sequencer
            .hear(&self.publisher, name, detail, deadline)
            .await
            .map_err(|error| refusal(&error))?;
        if let Some(old) = heard.old {
            counts.add(old);
        }
        if !heard.enrolled.is_empty() || !heard.left.is_empty() {
            tracing::info!(
                event.id = detail.id,
                enrolled = heard.enrolled.join(","),
                left = heard.left.join(","),
                steps = heard.steps,
                "A contact entered or left sequences"
            );
        }
        Ok(())
    }

    /// Sends a step that is due, if it goes by e-mail.
    async fn send(
        &self,
        step: &Envelope,
        deadline: Deadline,
        counts: &Counts,
    ) -> Result<(), Refusal> {
        match self.post.post(step).await {
            Ok(Posted::NotOurs) => {}
            Ok(Posted::Old(old)) => counts.add(old),
            Ok(Posted::HeldBack(why)) => {
                let reason = why.as_str();
                tracing::info!(event.id = step.id, reason, "An e-mail is not sent");
            }
            Ok(posted @ (Posted::Sent | Posted::Unknown | Posted::Before)) => {
                tracing::info!(event.id = step.id, outcome = ?posted, "An e-mail was handed over");
                return self.contacted(step, deadline).await;
            }
            Err(PostError::Store(error)) => return Err(refusal(&error)),
            Err(PostError::Email(EmailError::Again(reason))) => return Err(Refusal::Again(reason)),
            Err(error) => return Err(Refusal::Never(Chain(&error).to_string())),
        }
        Ok(())
    }

    /// Notes that the contact was written to: other targets may leave them in peace.
    async fn contacted(&self, step: &Envelope, deadline: Deadline) -> Result<(), Refusal> {
        let entry = self.post.contacted(step, deadline).await;
        let entry = entry.map_err(|error| match error.is_retryable() {
            true => Refusal::Again(Chain(&error).to_string()),
            false => Refusal::Never(Chain(&error).to_string()),
        })?;
        let (store, entries) = (&self.post.engine.store, Vec::from_iter(entry));
        let published = publish(store, &self.publisher, &entries).await;
        published.map(|_| ()).map_err(|error| refusal(&error))
    }

    /// Moves on what is due at the minute's own time.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read or written, or some enrolments could not be
    /// moved on; the next minute goes on.
    pub async fn minute(
        &self,
        event: &ScheduleEvent,
        clock: Timestamp,
        deadline: Deadline,
    ) -> Result<Stepped, StoreError> {
        let now = event.instant(clock);
        let stepped = self.sequencer.tick(&self.publisher, now, deadline).await?;
        tracing::info!(
            enrolments = stepped.enrolments,
            steps = stepped.steps,
            failed = stepped.failed,
            unfinished = stepped.unfinished,
            "Sequences went on"
        );
        if stepped.failed > 0 {
            return Err(StoreError {
                context: format!("{} enrolments could not be moved on", stepped.failed),
                retry: true,
                source: None,
            });
        }
        Ok(stepped)
    }
}

/// What no delivery mends goes to the dead letters at once.
fn refusal(error: &StoreError) -> Refusal {
    let reason = Chain(error).to_string();
    if error.retry {
        Refusal::Again(reason)
    } else {
        Refusal::Never(reason)
    }
}
