//! A batch of the target's queue: what stands is judged anew for each event, and told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use paygraph_bus::batch::{Refusal, each};
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_bus::incoming::Incoming;
use paygraph_domain::alert::hint::Hint;
use paygraph_domain::alert::plan::Held;
use paygraph_domain::alert::{Kind, of_contacts, reason};
use paygraph_domain::id::CustomerId;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::alert::{AlertBursts, Alerts, Judgement, Settled, Settling, Whose, settle};
use paygraph_engine::crm::Shows;
use paygraph_engine::ports::{Clock, Runs, Store, StoreError};
use paygraph_engine::target::{Effects, Old, old};
use paygraph_engine::watch::Watches;
use paygraph_runtime::telemetry::Chain;
use tokio::time::Instant;

use crate::tell::Tell;
use crate::turns::Turns;

/// What is kept back of an invocation's time, to write down what was sent.
const RESERVE: Duration = Duration::from_secs(4);

/// All that alerts are kept in and follow from.
pub trait Table: Store + AlertBursts + Alerts + Effects + Runs + Shows + Watches {}

impl<S: Store + AlertBursts + Alerts + Effects + Runs + Shows + Watches> Table for S {}

/// The target over its ports.
#[derive(Debug)]
pub struct Target<S, C, A, B> {
    pub(crate) store: S,
    pub(crate) clock: C,
    pub(crate) slack: A,
    pub(crate) sns: B,
    pub(crate) turns: Turns,
    /// Turns of who sends a digest. (Who holds a turn of the others may send one.)
    pub(crate) digest_turns: Turns,
}

impl<S, C, A, B> Target<S, C, A, B> {
    /// The target: where everything is kept, our clock, the tenants' Slack, the deployment's topic.
    pub fn new(store: S, clock: C, slack: A, sns: B) -> Self {
        Self {
            store,
            clock,
            slack,
            sns,
            turns: Turns::default(),
            digest_turns: Turns::default(),
        }
    }
}

/// An event with what it is judged by.
#[derive(Clone)]
pub(crate) struct Taking<'a> {
    pub event: &'a Incoming,
    pub settings: Arc<Settings>,
    pub now: Timestamp,
    /// Whether it is news: else it may only show that something is over.
    pub is_news: bool,
    pub deadline: Deadline,
    /// Until when somebody may be told.
    pub until: Instant,
}

impl<'a> Taking<'a> {
    pub(crate) fn hint(&self) -> Hint<'a> {
        Hint {
            name: &self.event.detail_type,
            data: &self.event.detail.data,
            at: self.event.detail.occurred_at,
        }
    }

    /// The kinds that may be raised because of it.
    pub(crate) fn news(&self) -> BTreeSet<Kind> {
        if self.is_news {
            return self.hint().may_raise();
        }
        BTreeSet::new()
    }

    pub(crate) fn settling(&self, whose: Whose) -> Settling<'a> {
        Settling {
            tenant: &self.event.detail.tenant,
            whose,
            settings: self.settings.clone(),
            now: self.now,
            deadline: self.deadline,
        }
    }
}

impl<S: Table, C: Clock, A: Tell, B: Tell> Target<S, C, A, B> {
    /// Takes a batch, within the time that is left. Names the messages that are to be delivered
    /// again.
    pub async fn handle<D: DeadLetters>(
        &self,
        event: &SqsEvent,
        dead_letters: &D,
        left: Duration,
    ) -> SqsBatchResponse {
        let deadline = Deadline::after(left);
        let until = Instant::now() + left.saturating_sub(RESERVE);
        let take = async |event: Incoming| self.take(&event, deadline, until).await;
        each(event, dead_letters, take).await
    }

    async fn take(
        &self,
        event: &Incoming,
        deadline: Deadline,
        until: Instant,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        let settings = self.store.settings(&event.detail.tenant).await;
        let settings = settings.map_err(again)?;
        let is_old = old(&event.detail, now, settings.news_hours);
        if let Some(why) = is_old {
            let tenant = &event.detail.tenant;
            tracing::info!(code = "not_news", why = why.as_str(), event.id = event.detail.id, %tenant, "An event is no news");
        }
        if is_old == Some(Old::Imported) {
            return Ok(());
        }
        let taking = Taking {
            event,
            settings,
            now,
            is_news: is_old.is_none(),
            deadline,
            until,
        };
        match (event.detail_type.as_str(), &event.detail.customer_id) {
            ("drift_detected" | "drift_healed" | "run_completed", _) => self.drift(&taking).await,
            ("webhook_endpoint_unhealthy" | "webhook_endpoint_recovered", _) => {
                self.endpoint(&taking).await
            }
            (_, Some(customer)) => self.contact(&taking, customer).await,
            (_, None) => Ok(()),
        }
    }

    /// An event of a contact: all that stands is judged, and of what is news somebody is told.
    async fn contact(&self, taking: &Taking<'_>, customer: &CustomerId) -> Result<(), Refusal> {
        let settling = taking.settling(Whose::Contact(customer.clone()));
        let judge = async |held: &[Held]| self.judge(taking, customer, held).await;
        let settled = self.settled(taking, &settling, judge).await?;
        self.send(taking, &settling, &settled).await
    }

    /// What there is about a contact as it is now. One that is gone, merged into another, has
    /// nothing.
    async fn judge(
        &self,
        taking: &Taking<'_>,
        customer: &CustomerId,
        held: &[Held],
    ) -> Result<Judgement, StoreError> {
        let tenant = &taking.event.detail.tenant;
        let contact = self.store.contact(tenant, customer).await?;
        let reasons = contact.as_ref().map(|contact| {
            let (settings, hint) = (&taking.settings, taking.hint());
            reason::of_contact(contact, settings, hint, held, taking.now)
        });
        Ok(Judgement {
            contact,
            reasons: reasons.unwrap_or_default(),
            judged: of_contacts(),
            may_raise: taking.news(),
        })
    }

    /// Writes what a judgement comes to, and logs it.
    pub(crate) async fn settled(
        &self,
        taking: &Taking<'_>,
        settling: &Settling<'_>,
        judge: impl AsyncFn(&[Held]) -> Result<Judgement, StoreError>,
    ) -> Result<Settled, Refusal> {
        let settled = settle(&self.store, settling, judge).await.map_err(again)?;
        if settled.raised + settled.resolved > 0 {
            let detail = &taking.event.detail;
            let seconds = taking.now.unix() - detail.occurred_at.unix();
            tracing::info!(
                code = "alerts_changed", tenant = %detail.tenant, event.id = detail.id,
                raised = settled.raised, resolved = settled.resolved, seconds_after = seconds,
                "Alerts were raised or resolved"
            );
        }
        Ok(settled)
    }
}

/// Another delivery may succeed.
pub(crate) fn again(error: impl std::error::Error + 'static) -> Refusal {
    Refusal::Again(Chain(&error).to_string())
}
