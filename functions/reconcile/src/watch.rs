//! A round of the watch: what never came, what is wrong with the endpoint, and which run stands still.

use paygraph_bus::dead_letters::DeadLetters;
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::connection::ConnectionStore;
use paygraph_engine::fetch::Fetch as _;
use paygraph_engine::ports::{Clock, Publisher, Runs, Store, StoreError};
use paygraph_engine::run::{Request, Run, RunError, note_stall};
use paygraph_engine::watch::{Ingest, WatchError, Watcher, Watches};
use paygraph_runtime::secrets::SecretKeeper;
use paygraph_runtime::telemetry::Chain;
use serde::Deserialize;

use crate::jobs::{Jobs, Reconciler};

/// How long a run says nothing until somebody else takes it up, in seconds: longer than a lease.
const STILL: i64 = 240;
/// How long after its last note a run counts as being at work, in seconds: as long as a lease.
const AT_WORK: i64 = 90;
/// How many of the newest runs are looked at.
const NEWEST: usize = 10;

/// A round of the watch is due.
#[derive(Debug, Clone, Deserialize)]
pub struct Round {
    #[serde(rename = "job")]
    _job: Watch,
    /// Whom to watch for; every connected tenant when there is none.
    #[serde(default)]
    tenant: Option<TenantId>,
    /// When it was due, in RFC 3339.
    #[serde(default)]
    now: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Watch {
    #[serde(rename = "watch")]
    Watch,
}

impl<S, C, K, P, J, I, D> Reconciler<S, C, K, P, J, I, D>
where
    S: Store + Runs + Watches + ConnectionStore + Send,
    C: Clock,
    K: SecretKeeper + Send + Sync,
    P: Publisher,
    J: Jobs,
    I: Ingest,
    D: DeadLetters,
{
    /// Watches for each tenant that is meant. Trouble with one keeps no other from its turn; what was
    /// not watched is watched in the next round.
    pub(crate) async fn watch_all(
        &self,
        round: &Round,
        sent: Timestamp,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let now = round
            .now
            .as_deref()
            .and_then(|now| Timestamp::parse(now).ok());
        let now = now.unwrap_or(sent);
        let meant = match &round.tenant {
            Some(tenant) => [tenant.clone()].into(),
            None => self.tenants().await?,
        };
        for tenant in &meant {
            if let Err(error) = self.watch(tenant, now, deadline).await {
                if let WatchError::Stripe(error) = &error {
                    self.heed(tenant, error).await?;
                }
                tracing::error!(code = "not_watched", %tenant, error = %Chain(&error), "Stripe's events were not watched");
            }
            self.wake(tenant, now).await?;
        }
        Ok(())
    }

    async fn watch(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<(), WatchError> {
        let Some(client) = self.client(tenant).await? else {
            return Ok(());
        };
        let connection = self.engine.store.connection(tenant).await?;
        let mut watcher = Watcher {
            engine: &self.engine,
            publisher: &self.publisher,
            ingest: &self.ingest,
            client,
            account: connection.as_ref().map(|held| held.account.clone()),
            endpoint: connection.and_then(|connection| connection.endpoint),
        };
        let mut watched = watcher.watch(tenant, now, deadline).await;
        if let Err(WatchError::Stripe(error)) = &watched
            && error.is_denial()
            && let Some(client) = self.engine.fetch.renewed(tenant, &watcher.client).await?
        {
            // Somebody has corrected the key meanwhile.
            watcher.client = client;
            watched = watcher.watch(tenant, now, deadline).await;
        }
        let watched = watched?;
        tracing::info!(%tenant, events = watched.events, missed = watched.missed, released = watched.released, "Stripe's events were watched");
        Ok(())
    }

    /// Goes on with runs that stand still: whoever did them died. One that nobody could bring on for
    /// half an hour stops. While one of the tenant's runs is at work, the others wait for it.
    async fn wake(&self, tenant: &TenantId, now: Timestamp) -> Result<(), StoreError> {
        let store = &self.engine.store;
        let runs = store.latest(tenant, NEWEST).await?;
        let is_at_work = |run: &Run| !is_over(run) && now < run.noted_at.plus(AT_WORK);
        if runs.iter().any(is_at_work) {
            return Ok(());
        }
        for mut run in runs.into_iter().filter(|run| stands_still(run, now)) {
            match note_stall(store, &mut run, now).await {
                Ok(true) => {
                    let error = run.problem.as_deref().unwrap_or_default();
                    tracing::error!(code = "run_stopped", run = run.id, %tenant, error, "A run made no progress, and stops");
                    continue;
                }
                Ok(false) => {}
                // Somebody is at work after all.
                Err(RunError::Held | RunError::TakenOver) => return Ok(()),
                Err(RunError::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::warn!(code = "run_waits", run = run.id, %tenant, error = %Chain(&error), "A run waits");
                    continue;
                }
            }
            tracing::warn!(code = "run_woken", run = run.id, %tenant, "A run stood still, and goes on");
            let request = Request {
                tenant: Some(tenant.clone()),
                run: Some(run.id.clone()),
                ..Request::new(run.job)
            };
            self.jobs.send(&request, 0).await?;
        }
        Ok(())
    }
}

fn stands_still(run: &Run, now: Timestamp) -> bool {
    let until = run.wait.as_ref().and_then(|wait| wait.until);
    let until = until.max(run.second_look_at).unwrap_or_default();
    let heard = until.max(run.noted_at);
    !is_over(run) && heard.plus(STILL) < now
}

/// Whether nobody goes on with a run by itself.
fn is_over(run: &Run) -> bool {
    run.is_finished() || run.stopped
}
