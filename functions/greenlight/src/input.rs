//! What the function is called with: a batch of its queue, or the schedule.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use paygraph_bus::batch::Refusal;
use paygraph_bus::schedule::ScheduleEvent;
use paygraph_domain::analytics::Day;
use paygraph_domain::id::TenantId;
use paygraph_engine::Deadline;
use paygraph_engine::ports::Clock;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::daily::Daily;
use crate::failed::Failures;
use crate::handler::{Table, Target, again};
use crate::log::Log;
use crate::nats::Publish;

/// What the function is called with.
#[derive(Debug)]
pub enum Input {
    /// Messages of its queue.
    Queue(SqsEvent),
    /// The schedule.
    Schedule(Schedule),
}

/// The schedule's event.
#[derive(Debug, Clone, Deserialize)]
pub struct Schedule {
    /// When it was due, in RFC 3339: what is told is the day before.
    pub time: Option<String>,
    /// For one tenant only: for a call by hand.
    pub tenant: Option<TenantId>,
}

/// What the function answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To its queue.
    Queue(SqsBatchResponse),
    /// To the schedule.
    Schedule(Report),
}

/// What a go of the schedule did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The day.
    pub day: Day,
    /// The tenants whose figures of it are told.
    pub told: usize,
    /// The tenants with whom the next go goes on.
    pub unfinished: usize,
    /// Webhooks that lie in the dead letters.
    pub failed_webhooks: usize,
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
            serde_json::from_value(payload).map(Self::Schedule)
        }
    }
}

impl<S: Table, C: Clock, N: Publish, L: Log> Target<S, C, N, L> {
    /// Tells the figures of the day before, and of webhooks that failed. `platform` is whose the
    /// platform's own account is.
    ///
    /// # Errors
    /// [`Refusal`] with what failed first; nothing else is held up by it.
    pub async fn schedule<F: Failures>(
        &self,
        schedule: Schedule,
        platform: &TenantId,
        failures: &F,
        deadline: Deadline,
    ) -> Result<Report, Refusal> {
        let event = ScheduleEvent {
            time: schedule.time,
        };
        let mut report = Report {
            day: Day::over_at(event.instant(self.clock.now())),
            told: 0,
            unfinished: 0,
            failed_webhooks: 0,
        };
        let tenants = match schedule.tenant {
            Some(tenant) => [tenant].into(),
            None => {
                let mut tenants = self.store.tenants().await.map_err(again)?;
                tenants.insert(platform.clone());
                tenants
            }
        };
        let mut refused = None;
        for tenant in &tenants {
            match self.daily(tenant, report.day, deadline).await {
                Ok(Daily::Told) => report.told += 1,
                Ok(Daily::Unfinished) => report.unfinished += 1,
                Err(refusal) => {
                    tracing::error!(code = "day_failed", %tenant, day = %report.day, reason = %refusal, "The figures of a day could not be told");
                    refused = refused.or(Some(refusal));
                }
            }
        }
        report.failed_webhooks = self.failures(failures, deadline).await?;
        refused.map_or(Ok(report), Err)
    }
}
