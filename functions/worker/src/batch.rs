//! A batch: read, group by customer, process, publish together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures::future::join_all;
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_engine::Deadline;
use paygraph_engine::connection::Accounts;
use paygraph_engine::fetch::Fetch;
use paygraph_engine::ports::{Clock, LedgerEntry, ParkReason, Publisher, Store};
use paygraph_engine::process::{Done, Engine, ProcessError, Processed};
use paygraph_engine::product::EVENT_TYPE;
use paygraph_engine::publish::publish;
use paygraph_engine::user::Users;
use paygraph_runtime::telemetry::Chain;
use paygraph_store::DynamoStore;
use paygraph_stripe::event::StripeEvent;
use paygraph_stripe::ingest::IngestContent;

use crate::message::{Message, Read, Record, read};

/// How often the last processed event is noted, in seconds.
const BEAT_SECONDS: i64 = 5;

/// Notes now and then which event was processed last.
pub trait Pulse: Sync {
    /// Notes it. Trouble is logged, not returned: it is only for a look at the health.
    fn beat(&self, last: &LedgerEntry) -> impl Future<Output = ()> + Send;
}

impl Pulse for DynamoStore {
    async fn beat(&self, last: &LedgerEntry) {
        let beat = Self::beat(self, &last.tenant, &last.cause, last.at, last.processed_at).await;
        if let Err(error) = beat {
            tracing::warn!(code = "no_beat", error = %Chain(&error), "The last event could not be noted");
        }
    }
}

/// The worker over its ports.
#[derive(Debug)]
pub struct Worker<S, C, F, P, D, H> {
    /// The one path of every change.
    pub engine: Engine<S, C, F>,
    /// The bus.
    pub publisher: P,
    /// Where unreadable messages go.
    pub dead_letters: D,
    /// Where the last event is noted.
    pub pulse: H,
    /// The tenant under which events of accounts that nobody has connected wait.
    pub unconnected: TenantId,
    /// When the last event was last noted.
    pub last_beat: AtomicI64,
}

/// What became of a record.
enum Fate {
    /// It is done, but for publishing.
    Done(Vec<LedgerEntry>),
    /// It goes back to the queue.
    Again,
    /// No attempt will help.
    Dead(String),
}

impl<S: Store + Users, C: Clock, F: Fetch + Accounts, P: Publisher, D: DeadLetters, H: Pulse>
    Worker<S, C, F, P, D, H>
{
    /// Processes a batch and names the messages that are to be delivered again.
    pub async fn handle(&self, event: &SqsEvent, time_left: Duration) -> SqsBatchResponse {
        let deadline = Deadline::after(time_left);
        let mut groups: BTreeMap<String, Vec<Record<'_>>> = BTreeMap::new();
        for (place, message) in event.records.iter().enumerate() {
            let record = read(place, message);
            let group = match &record.read {
                Ok(message) => message.group().to_owned(),
                Err(_) => format!("unreadable#{place}"),
            };
            groups.entry(group).or_default().push(record);
        }
        let work = groups.into_values().map(|mut records| async move {
            records.sort_by_key(|record| record.read.as_ref().ok().and_then(Read::created));
            let mut fates = Vec::with_capacity(records.len());
            for record in records {
                fates.push((record.place, self.record(&record, deadline).await));
            }
            fates
        });
        let fates: Vec<_> = join_all(work).await.into_iter().flatten().collect();
        self.publish(event, fates).await
    }

    async fn record(&self, record: &Record<'_>, deadline: Deadline) -> Fate {
        let fate = match &record.read {
            Ok(Read::Stripe(message)) => match self.message(message, deadline).await {
                Ok(processed) => {
                    told(&processed);
                    Fate::Done(processed.into_entries())
                }
                Err(error) => failed(&error, error.is_retryable()),
            },
            Ok(Read::Product(batch)) => match batch.process(&self.engine, deadline).await {
                Ok(entries) => Fate::Done(entries),
                Err(error) => failed(&error, error.is_retryable()),
            },
            Err(reason) => Fate::Dead(reason.clone()),
        };
        match fate {
            Fate::Dead(reason) => {
                tracing::error!(
                    code = "poison",
                    reason,
                    bytes = record.body.len(),
                    "A message cannot be processed and goes to the dead letters"
                );
                if self.dead_letters.bury(record.body, &reason).await {
                    Fate::Dead(reason)
                } else {
                    Fate::Again
                }
            }
            Fate::Done(_) | Fate::Again => fate,
        }
    }

    async fn message(
        &self,
        message: &Message<'_>,
        deadline: Deadline,
    ) -> Result<Processed, ProcessError> {
        let ingest = &message.ingest;
        let owner = match (&ingest.tenant, &ingest.account) {
            // The webhook may not have heard yet that somebody has connected it.
            (None, Some(account)) => self.engine.fetch.owner(account).await?,
            (Some(_), _) | (None, None) => None,
        };
        let tenant = ingest.tenant.as_ref().or(owner.as_ref());
        if let (Some(told), Some(tenant), Some(account)) =
            (message.deauthorized, tenant, &ingest.account)
        {
            let fetch = &self.engine.fetch;
            fetch.deauthorized(tenant, account, told).await?;
        }
        let parked = |done: Done| Processed {
            done,
            released: Vec::new(),
        };
        match (tenant, &ingest.content) {
            (Some(tenant), IngestContent::Event(event)) => {
                self.engine
                    .process(tenant, event.get(), Source::Webhook, deadline)
                    .await
            }
            (Some(tenant), IngestContent::Pointer(pointer)) => {
                let cause = pointer.id.clone();
                if let Some(event) = self.engine.fetch.event(tenant, &cause).await? {
                    let event = event.as_str();
                    let processed = self
                        .engine
                        .process(tenant, event, Source::Webhook, deadline);
                    return processed.await;
                }
                self.engine
                    .park(tenant, cause, ParkReason::TooLarge, "")
                    .await
                    .map(parked)
            }
            (None, content) => {
                let account = ingest.account.as_ref().map(ToString::to_string);
                let reason = ParkReason::UnknownAccount(account.unwrap_or_default());
                let (cause, text) = match content {
                    IngestContent::Event(event) => {
                        (StripeEvent::parse(event.get())?.id, event.get())
                    }
                    IngestContent::Pointer(pointer) => (pointer.id.clone(), ""),
                };
                self.engine
                    .park(&self.unconnected, cause, reason, text)
                    .await
                    .map(parked)
            }
        }
    }

    /// Publishes what the batch committed and says which messages are to come again.
    async fn publish(&self, event: &SqsEvent, fates: Vec<(usize, Fate)>) -> SqsBatchResponse {
        let mut again = Vec::new();
        let (mut places, mut entries) = (Vec::new(), Vec::new());
        for (place, fate) in fates {
            match fate {
                Fate::Done(done) => {
                    places.extend(std::iter::repeat_n(place, done.len()));
                    entries.extend(done);
                }
                Fate::Again => again.push(place),
                Fate::Dead(_) => {}
            }
        }
        match publish(&self.engine.store, &self.publisher, &entries).await {
            Ok(waiting) => again.extend(waiting.iter().filter_map(|entry| places.get(*entry))),
            Err(error) => {
                // What was published but not noted is published again, under the same ids.
                tracing::warn!(code = "not_noted", error = %Chain(&error), "Publications could not be noted");
                again.extend(places);
            }
        }
        self.beat(&entries).await;
        again.sort_unstable();
        again.dedup();
        let mut response = SqsBatchResponse::default();
        for place in again {
            let id = event
                .records
                .get(place)
                .and_then(|record| record.message_id.clone());
            response.add_failure(id.unwrap_or_default());
        }
        response
    }

    async fn beat(&self, entries: &[LedgerEntry]) {
        let now = self.engine.clock.now().unix();
        let last = self.last_beat.load(Ordering::Relaxed);
        // Product events say nothing of how Stripe's come in.
        let events = entries.iter();
        let events = events.filter(|entry| !entry.event_type.starts_with(EVENT_TYPE));
        if let Some(newest) = events.max_by_key(|entry| entry.at)
            && now.saturating_sub(last) >= BEAT_SECONDS
        {
            self.last_beat.store(now, Ordering::Relaxed);
            self.pulse.beat(newest).await;
        }
    }
}

/// What becomes of a message that failed.
fn failed(error: &(dyn std::error::Error + 'static), is_retryable: bool) -> Fate {
    if !is_retryable {
        return Fate::Dead(Chain(error).to_string());
    }
    tracing::warn!(code = "given_back", error = %Chain(error), "A message goes back to the queue");
    Fate::Again
}

fn told(processed: &Processed) {
    match &processed.done {
        Done::Committed(entry) => tracing::info!(
            event.id = %entry.cause,
            event.type_ = entry.event_type,
            tenant = %entry.tenant,
            disposition = entry.disposition,
            events = entry.outbox.len(),
            "An event was processed"
        ),
        Done::Duplicate(entry) => tracing::info!(
            event.id = %entry.cause,
            tenant = %entry.tenant,
            unpublished = entry.outbox.len(),
            "An event came again"
        ),
        Done::Parked(reason) => {
            tracing::warn!(code = "parked", place = reason.place(), "An event waits");
        }
        Done::Ignored => tracing::info!(
            code = "test_event",
            "A test event came to a live deployment and was ignored"
        ),
        // What came by a webhook is always noted.
        Done::Unchanged => {}
    }
}
