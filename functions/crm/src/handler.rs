//! A batch of the target's queue: the CRM is shown each contact that an event tells of.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use paygraph_bus::batch::{Refusal, each};
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_bus::incoming::Incoming;
use paygraph_domain::alert::hint::Hint;
use paygraph_engine::crm::{Crm, CrmError, Done, Look, Shows, SyncError, bring};
use paygraph_engine::ports::{Clock, Publisher, Store};
use paygraph_engine::process::Engine;
use paygraph_engine::publish::publish;
use paygraph_engine::target::old;
use paygraph_engine::user::Users;
use paygraph_runtime::secrets::SecretSource;
use paygraph_runtime::telemetry::Chain;
use tokio::time::Instant;

use crate::attio::Attio;

/// What is kept back of an invocation's time, to write down what was written.
const RESERVE: Duration = Duration::from_secs(4);

/// All that is read, and where it is kept what the CRM has.
pub trait Table: Store + Shows + Users {}

impl<S: Store + Shows + Users> Table for S {}

/// The target over its ports.
#[derive(Debug)]
pub struct Target<S, C, P, K> {
    /// The table, and our clock.
    pub engine: Engine<S, C>,
    /// The bus.
    pub publisher: P,
    /// The tenants' Attio.
    pub attio: Attio<K>,
}

impl<S: Table, C: Clock, P: Publisher, K: SecretSource + Sync> Target<S, C, P, K> {
    /// Takes a batch, within the time that is left. Names the messages that are to be delivered
    /// again.
    pub async fn handle<D: DeadLetters>(
        &self,
        event: &SqsEvent,
        dead_letters: &D,
        left: Duration,
    ) -> SqsBatchResponse {
        let until = Instant::now() + left.saturating_sub(RESERVE);
        let take = async |event: Incoming| self.take(&event, until).await;
        each(event, dead_letters, take).await
    }

    /// An event of a contact. Its source and age do not matter to what is written, since that is the
    /// state; but what is past makes no task.
    async fn take(&self, event: &Incoming, until: Instant) -> Result<(), Refusal> {
        let detail = &event.detail;
        let Some(contact) = &detail.customer_id else {
            return Ok(());
        };
        let Some(crm) = self.attio.of(&detail.tenant).await.map_err(refused)? else {
            return Ok(());
        };
        let settings = self.engine.store.settings(&detail.tenant).await;
        let settings = settings.map_err(|error| Refusal::Again(Chain(&error).to_string()))?;
        let is_old = old(detail, self.engine.clock.now(), settings.news_hours).is_some();
        let hint = Hint {
            name: &event.detail_type,
            data: &detail.data,
            at: detail.occurred_at,
        };
        let look = Look {
            tenant: &detail.tenant,
            contact,
            news: (!is_old).then_some(hint),
            anew: false,
            written: &BTreeSet::new(),
            until,
        };
        let done = show(&self.engine, &self.publisher, &crm, &look).await;
        let done = done.map_err(|error| refusal(&error))?;
        if done.written + done.tasks > 0 {
            tracing::info!(
                code = "crm_written", tenant = %detail.tenant, event.id = detail.id,
                records = done.written, tasks = done.tasks,
                "The CRM shows what changed"
            );
        }
        Ok(())
    }
}

/// Shows the CRM a contact, and whoever has taken something over from it; and publishes what the CRM
/// told of it.
///
/// # Errors
/// [`SyncError`].
pub async fn show<S: Table, C: Clock, P: Publisher, K: Crm>(
    engine: &Engine<S, C>,
    publisher: &P,
    crm: &K,
    look: &Look<'_>,
) -> Result<Done, SyncError> {
    let mut done = bring(engine, crm, look).await?;
    let anew = Look {
        news: None,
        anew: true,
        ..*look
    };
    let moved = std::mem::take(&mut done.moved);
    for contact in &moved {
        done.add(bring(engine, crm, &Look { contact, ..anew }).await?);
    }
    if !moved.is_empty() {
        // Only now may it be forgotten that they had something of this one's.
        let written = &moved;
        done.add(bring(engine, crm, &Look { written, ..*look }).await?);
    }
    publish(&engine.store, publisher, &done.entries).await?;
    Ok(done)
}

fn refusal(error: &SyncError) -> Refusal {
    let reason = Chain(error).to_string();
    match error {
        SyncError::Crm(CrmError::Never(_)) => Refusal::Never(reason),
        SyncError::Contact(error) if !error.is_retryable() => Refusal::Never(reason),
        SyncError::Crm(CrmError::Again(_))
        | SyncError::Held
        | SyncError::Contact(_)
        | SyncError::Store(_) => Refusal::Again(reason),
    }
}

fn refused(error: CrmError) -> Refusal {
    refusal(&error.into())
}
