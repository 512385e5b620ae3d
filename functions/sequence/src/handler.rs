//! The two inputs: a batch of the target's queue, and the minute.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use paygraph_bus::batch::{Refusal, each};
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_bus::incoming::Incoming;
use paygraph_bus::schedule::ScheduleEvent;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::ports::{Clock, Publisher, Store, StoreError};
use paygraph_engine::sequence::{Enrolments, STEP_DUE, Sequencer, Stepped};
use paygraph_engine::target::Old;
use paygraph_runtime::telemetry::Chain;
use serde_json::Value;

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
pub struct Target<S, C, P, D> {
    /// Enrols and moves on.
    pub sequencer: Sequencer<S, C>,
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

impl<S: Store + Enrolments, C: Clock, P: Publisher, D: DeadLetters> Target<S, C, P, D> {
    /// Takes a batch; names the messages that are to be delivered again.
    pub async fn queue(&self, event: &SqsEvent, deadline: Deadline) -> SqsBatchResponse {
        let counts = Counts::default();
        let take = async |event: Incoming| self.take(&event, deadline, &counts).await;
        let response = each(event, &self.dead_letters, take).await;
        counts.tell();
        response
    }

    async fn take(
        &self,
        event: &Incoming,
        deadline: Deadline,
        counts: &Counts,
    ) -> Result<(), Refusal> {
        if event.detail_type == STEP_DUE {
            return Ok(());
        }
        let (name, detail) = (&event.detail_type, &event.detail);
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
