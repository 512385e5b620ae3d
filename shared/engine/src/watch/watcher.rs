//! Looks at Stripe's events, and at the endpoint that they are sent to.

use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, StripeId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_stripe::client::{Client, ClientError, Created, List};
use paygraph_stripe::event::StripeEvent;
use paygraph_stripe::event_types::REQUIRED;
use paygraph_stripe::ingest::read_from_stripe;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Ingest, Reasons, Watch, Watched, Watches, endpoint};
use crate::backoff::Deadline;
use crate::envelope::Told;
use crate::fetch::Fetch;
use crate::ports::{Clock, CommitError, Publisher, Store, StoreError};
use crate::process::{Engine, Origin, ProcessError, Processed};
use crate::publish::publish;

/// How old an event must be before it is missed, in seconds: Stripe's list lags, and a delivery may
/// be on its way.
const LAG: i64 = 300;
/// How far two watches overlap, in seconds.
const OVERLAP: i64 = 60;
/// How much time is looked at between two notes, in seconds.
const WINDOW: i64 = 3_600;
/// How far back Stripe's events reach, in seconds.
pub(super) const KEPT: i64 = 30 * 86_400;
/// So many events that never came are an alarm.
const ALARM: usize = 3;
/// How many events a page has.
const PAGE: u8 = 100;

/// Why there was no watch.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Stripe refuses, or does not answer.
    #[error("Stripe's events could not be listed")]
    Stripe(#[from] ClientError),
    /// The store or the queue failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else watches.
    #[error("somebody else watches")]
    Conflict,
}

impl From<CommitError> for WatchError {
    /// Of a note.
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => error.into(),
            CommitError::Conflict | CommitError::Duplicate => Self::Conflict,
        }
    }
}

/// Watches for one tenant.
#[derive(Debug)]
pub struct Watcher<'a, S, C, F, P, I> {
    /// Where it is noted.
    pub engine: &'a Engine<S, C, F>,
    /// Where trouble is told.
    pub publisher: &'a P,
    /// Where missed events go.
    pub ingest: &'a I,
    /// Whom to ask.
    pub client: Client,
    /// The webhook endpoint that was made for the tenant, where that is known.
    pub endpoint: Option<String>,
    /// The tenant's Stripe account, where that is known.
    pub account: Option<StripeId>,
}

impl<S, C, F, P, I> Watcher<'_, S, C, F, P, I>
where
    S: Store + Watches,
    C: Clock,
    F: Fetch,
    P: Publisher,
    I: Ingest,
{
    /// Looks at what Stripe has sent since the last watch, and at the endpoint.
    ///
    /// # Errors
    /// [`WatchError`]; what was noted stays noted, and the next watch goes on.
    pub async fn watch(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Watched, WatchError> {
        let mut watch = match self.engine.store.watch(tenant).await? {
            Some(watch) => watch,
            None => {
                // What was before nobody had to send us.
                let mut first = Watch {
                    watched_to: now,
                    ..Watch::default()
                };
                self.note(tenant, &mut first).await?;
                first
            }
        };
        let mut watched = Watched {
            released: self.release(tenant, now).await?,
            ..Watched::default()
        };
        let to = now.plus(-LAG);
        let mut came = false;
        while watch.watched_to < to && deadline.has_time() {
            let from = watch.watched_to.max(now.plus(-KEPT));
            let before = from.plus(WINDOW).min(to);
            let missed = watched.missed;
            let listed = self.window(tenant, from, before, &mut watched).await?;
            watch.missed += watched.missed - missed;
            came |= listed > 0;
            watch.usual.count(from, before, listed);
            watch.watched_to = before;
            self.note(tenant, &mut watch).await?;
        }
        if came && watched.missed == 0 && watch.missed > 0 {
            watch.missed = 0;
            self.note(tenant, &mut watch).await?;
        }
        let mut reasons = endpoint::reasons(&self.client, tenant, self.endpoint.as_deref()).await?;
        if watch.missed >= ALARM {
            let told = format!("{} events were not delivered", watch.missed);
            reasons.insert("missed_deliveries".to_owned(), told);
        }
        if watch.usual.is_silent(to) {
            let told = "no event for far longer than usual".to_owned();
            reasons.insert("silence".to_owned(), told);
        }
        self.settle(tenant, now, &mut watch, &reasons).await?;
        watched.reasons = reasons;
        Ok(watched)
    }

    /// Takes in what never came of a part of time. Gives how many events Stripe has of it.
    async fn window(
        &self,
        tenant: &TenantId,
        from: Timestamp,
        before: Timestamp,
        watched: &mut Watched,
    ) -> Result<u64, WatchError> {
        let (mut after, mut listed) = (None::<String>, 0);
        loop {
            let list = List {
                limit: PAGE,
                starting_after: after.as_deref(),
                created: Some(Created::between(from.plus(-OVERLAP), before)),
                ..List::default()
            };
            let page = self.client.page("/events", &list).await?.value;
            let events = page.data.iter();
            let events: Vec<_> = events.filter_map(|event| needed(event)).collect();
            let causes: Vec<_> = events.iter().map(|(event, _)| event.id.clone()).collect();
            let unknown = self.engine.store.unknown(tenant, &causes).await?;
            for (event, raw) in &events {
                if event.created >= from {
                    listed += 1;
                }
                if unknown.contains(&event.id) {
                    self.take_in(tenant, event, raw).await?;
                    watched.missed += 1;
                }
            }
            watched.events += events.len();
            after = page.data.last().and_then(|last| id(last));
            if !page.has_more || after.is_none() {
                return Ok(listed);
            }
        }
    }

    async fn take_in(
        &self,
        tenant: &TenantId,
        event: &StripeEvent<'_>,
        raw: &RawValue,
    ) -> Result<(), StoreError> {
        let now = self.engine.clock.now();
        tracing::warn!(code = "missed", event.id = %event.id, event.type_ = %event.event_type, %tenant, "An event never came, and is taken in");
        match read_from_stripe(tenant, raw, now) {
            Ok((_, body)) => self.ingest.ingest(&body).await,
            // It was read as an event just now.
            Err(error) => Err(StoreError {
                context: "writing an event".to_owned(),
                retry: false,
                source: Some(error.into()),
            }),
        }
    }

    async fn note(&self, tenant: &TenantId, watch: &mut Watch) -> Result<(), WatchError> {
        self.engine.store.note_watch(tenant, watch).await?;
        watch.rev += 1;
        Ok(())
    }

    /// Tells what has become wrong, or right again.
    async fn settle(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        watch: &mut Watch,
        reasons: &Reasons,
    ) -> Result<(), WatchError> {
        if watch.reasons == *reasons {
            return Ok(());
        }
        let since = watch.since.unwrap_or(now);
        let told = |name: &str, reasons: &Reasons| {
            let reasons: Vec<_> = reasons.values().collect();
            let data = json!({ "endpoint": self.endpoint, "reasons": reasons, "since": since.to_string() });
            (name.to_owned(), data, None)
        };
        let is_new = |kind: &String| !watch.reasons.contains_key(kind);
        let news = if reasons.is_empty() {
            tracing::info!(code = "endpoint_recovered", %tenant, "Stripe's events reach us again");
            Some(told("webhook_endpoint_recovered", &watch.reasons))
        } else if reasons.keys().any(is_new) {
            let words: Vec<_> = reasons.values().map(String::as_str).collect();
            tracing::error!(code = "endpoint_unhealthy", %tenant, reasons = words.join("; "), "Stripe's events do not reach us as they should");
            Some(told("webhook_endpoint_unhealthy", reasons))
        } else {
            None
        };
        if let Some(news) = news {
            // Told first: whoever dies in between tells it again, under the same id.
            self.tell(tenant, now, watch.rev, news).await?;
        }
        watch.since = (!reasons.is_empty()).then_some(since);
        watch.reasons.clone_from(reasons);
        self.note(tenant, watch).await
    }

    async fn tell(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        rev: u64,
        news: Told,
    ) -> Result<(), StoreError> {
        let unusable = |error: Box<dyn std::error::Error + Send + Sync>| StoreError {
            context: "telling what a watch found".to_owned(),
            retry: true,
            source: Some(error),
        };
        let cause = Cause::parse(format!("watch:{rev}")).map_err(|error| unusable(error.into()))?;
        let origin = Origin {
            tenant,
            cause,
            event_type: "watch".to_owned(),
            at: now,
            source: Source::Tick,
            is_message: true,
            told: vec![news],
            deadline: Deadline::after(std::time::Duration::from_secs(30)),
        };
        let done = match self.engine.tell(&origin, None).await {
            Ok(done) => Processed::alone(done),
            Err(ProcessError::Store(error)) => return Err(error),
            Err(error) => return Err(unusable(error.into())),
        };
        publish(&self.engine.store, self.publisher, &done.into_entries()).await?;
        Ok(())
    }
}

/// An event that an endpoint of ours must be sent.
fn needed(raw: &RawValue) -> Option<(StripeEvent<'_>, &RawValue)> {
    let event = StripeEvent::parse(raw.get()).ok()?;
    REQUIRED
        .contains(&event.event_type.as_ref())
        .then_some((event, raw))
}

fn id(raw: &RawValue) -> Option<String> {
    let event = StripeEvent::parse(raw.get()).ok()?;
    Some(event.id.to_string())
}
