//! One message of the jobs queue after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use paygraph_bus::Queue;
use paygraph_bus::dead_letters::DeadLetters;
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::connect::Connected;
use paygraph_engine::connection::{ConnectionStore, Status};
use paygraph_engine::ports::{Clock, Publisher, Runs, Store, StoreError};
use paygraph_engine::process::Engine;
use paygraph_engine::run::{Left, Request, Run, RunError, Runner, stop};
use paygraph_engine::watch::{Ingest, Watches};
use paygraph_runtime::secrets::SecretKeeper;
use paygraph_runtime::telemetry::Chain;
use paygraph_stripe::client::{Client, ClientError};
use serde::Deserialize;

use crate::watch::Round;

/// How long before its time is up the function hands itself on: what was read must be committed.
const RESERVE: Duration = Duration::from_secs(45);
/// How long Stripe's answer is waited for: a run waits out what a message does not.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a run waits while another one of the tenant's is at work, in seconds.
const HELD: i64 = 15;
/// How long a run waits after trouble, in seconds; twice as long each time.
const PAUSE: i64 = 15;
/// The longest such pause is this many times doubled: 4 minutes, so that there are several attempts
/// before a run without progress stops.
const DOUBLED: u32 = 4;

/// A message of the queue.
#[derive(Deserialize)]
#[serde(untagged)]
enum Asked {
    Watch(Round),
    Run(Box<Request>),
}

/// Where a run hands itself on.
pub trait Jobs: Sync {
    /// Sends a request that is received after so many seconds.
    fn send(
        &self,
        request: &Request,
        delay: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Jobs for Queue {
    async fn send(&self, request: &Request, delay: i64) -> Result<(), StoreError> {
        self.ask(request, delay).await
    }
}

/// The function over its ports.
#[derive(Debug)]
pub struct Reconciler<S, C, K, P, J, I, D> {
    /// What takes in, and whom it asks.
    pub engine: Engine<S, C, Connected<S, K>>,
    /// The bus.
    pub publisher: P,
    /// Where it hands itself on.
    pub jobs: J,
    /// Where events go that never came.
    pub ingest: I,
    /// Where messages go that cannot be read.
    pub dead_letters: D,
    /// Whose the platform's own account is: it may be connected by a key that was put by hand.
    pub platform_tenant: TenantId,
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
    /// Does what the messages ask for, and names those that are to be delivered again.
    pub async fn handle(&self, event: &SqsEvent, time_left: Duration) -> SqsBatchResponse {
        let deadline = Deadline::after(time_left.saturating_sub(RESERVE));
        let mut response = SqsBatchResponse::default();
        for message in &event.records {
            let done = Box::pin(self.message(message, deadline));
            if let Err(error) = done.await {
                tracing::error!(code = "job_given_back", error = %Chain(&error), "A job goes back to the queue");
                response.add_failure(message.message_id.clone().unwrap_or_default());
            }
        }
        response
    }

    async fn message(&self, message: &SqsMessage, deadline: Deadline) -> Result<(), StoreError> {
        let body = message.body.as_deref().unwrap_or_default();
        let unique = message.message_id.as_deref().unwrap_or_default();
        let sent = sent_at(message).unwrap_or_else(|| self.engine.clock.now());
        let request = match serde_json::from_str(body) {
            Ok(Asked::Run(request)) => request,
            Ok(Asked::Watch(round)) => return self.watch_all(&round, sent, deadline).await,
            Err(_) => {
                let reason = "a job is `backfill`, `reconcile` or `watch`, with its fields";
                return self.bury(body, reason).await;
            }
        };
        let Some(tenant) = &request.tenant else {
            return self.for_everyone(&request, body, unique, sent).await;
        };
        match request.begin(tenant, unique, sent) {
            Ok(run) => self.run(&request, run, deadline).await,
            Err(error) => self.bury(body, &error.to_string()).await,
        }
    }

    /// Sends each tenant's request.
    async fn for_everyone(
        &self,
        request: &Request,
        body: &str,
        unique: &str,
        sent: Timestamp,
    ) -> Result<(), StoreError> {
        for tenant in &self.tenants().await? {
            // The same names when the same message comes again.
            let run = match request.begin(tenant, unique, sent) {
                Ok(run) => run,
                Err(error) => return self.bury(body, &error.to_string()).await,
            };
            let of_tenant = Request {
                tenant: Some(tenant.clone()),
                run: Some(run.id),
                ..request.clone()
            };
            self.jobs.send(&of_tenant, 0).await?;
        }
        Ok(())
    }

    async fn run(
        &self,
        request: &Request,
        begun: Run,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let store = &self.engine.store;
        let known = store.run(&begun.tenant, &begun.id).await?;
        let mut run = known.unwrap_or(begun);
        if run.is_finished() {
            return Ok(());
        }
        let left = Box::pin(self.go_on(request, &mut run, deadline)).await;
        let next = Request {
            tenant: Some(run.tenant.clone()),
            run: Some(run.id.clone()),
            attempt: 0,
            ..request.clone()
        };
        let now = self.engine.clock.now();
        match left {
            Ok(Left::Nothing) => {
                log_end(&run);
                Ok(())
            }
            Ok(Left::More) => self.jobs.send(&next, 0).await,
            Ok(Left::Later(at)) => self.jobs.send(&next, at.unix() - now.unix()).await,
            Err(RunError::Held) => self.jobs.send(&next, HELD).await,
            Err(RunError::TakenOver) => Ok(()),
            Err(error) if error.is_final() || run.stopped => {
                if let RunError::Stripe { source, .. } = &error {
                    self.heed(&run.tenant, source).await?;
                }
                tracing::error!(code = "run_stopped", run = run.id, tenant = %run.tenant, error = %Chain(&error), "A run stops until somebody mends it");
                Ok(())
            }
            Err(error) => {
                tracing::warn!(code = "run_waits", run = run.id, tenant = %run.tenant, error = %Chain(&error), "A run waits");
                let next = Request {
                    attempt: request.attempt + 1,
                    ..next
                };
                self.jobs.send(&next, pause_after(request)).await
            }
        }
    }

    async fn go_on(
        &self,
        request: &Request,
        run: &mut Run,
        deadline: Deadline,
    ) -> Result<Left, RunError> {
        let Some(client) = self.client(&run.tenant).await? else {
            let now = self.engine.clock.now();
            let why = self.why_not(&run.tenant).await?;
            stop(&self.engine.store, run, why.clone(), now).await?;
            return Err(RunError::NotConnected(why));
        };
        let runner = Runner {
            engine: &self.engine,
            publisher: &self.publisher,
            client,
            second_look_after: request.second_look_after,
            pause: pause_after(request),
        };
        runner.go_on(run, deadline).await
    }

    /// Whom to ask for a tenant; nobody when it is not connected.
    pub(crate) async fn client(&self, tenant: &TenantId) -> Result<Option<Client>, StoreError> {
        let client = self.engine.fetch.client(tenant).await?;
        Ok(client.map(|client| client.patient_for(PATIENCE)))
    }

    /// Whom the schedules are for: every tenant that is connected, or paused.
    pub(crate) async fn tenants(&self) -> Result<BTreeSet<TenantId>, StoreError> {
        let mut tenants = self.engine.store.tenants().await?;
        if self.client(&self.platform_tenant).await?.is_some() {
            tenants.insert(self.platform_tenant.clone());
        }
        Ok(tenants)
    }

    /// Pauses the tenant when Stripe denies its key, in Stripe's words.
    pub(crate) async fn heed(
        &self,
        tenant: &TenantId,
        error: &ClientError,
    ) -> Result<(), StoreError> {
        let denied: Result<Option<()>, _> = Err(error.clone());
        self.engine.fetch.heed(tenant, denied).await.map(|_| ())
    }

    /// Why nobody can be asked for a tenant, in words for people.
    async fn why_not(&self, tenant: &TenantId) -> Result<String, StoreError> {
        let connection = self.engine.store.connection(tenant).await?;
        Ok(match connection.map(|connection| connection.status) {
            Some(Status::Paused { reason }) => format!("the tenant {tenant} is paused: {reason}"),
            Some(Status::Disconnected) => format!("the tenant {tenant} was disconnected"),
            // That there is no key may be remembered for a minute.
            Some(Status::Connected) => {
                return Err(StoreError {
                    context: format!("the key of the tenant {tenant} was not found yet"),
                    retry: true,
                    source: None,
                });
            }
            None => format!("the tenant {tenant} is not connected to Stripe"),
        })
    }

    async fn bury(&self, body: &str, reason: &str) -> Result<(), StoreError> {
        tracing::error!(
            code = "job_unreadable",
            reason,
            "A job cannot be read and goes to the dead letters"
        );
        if self.dead_letters.bury(body, reason).await {
            Ok(())
        } else {
            Err(StoreError {
                context: "the dead letters were not reached".to_owned(),
                retry: true,
                source: None,
            })
        }
    }
}

/// Logs how a run ended: an alarm counts those that set objects aside.
fn log_end(run: &Run) {
    let (failed, checked) = (run.counts.failures(), run.counts.checked());
    if run.is_complete() {
        tracing::info!(run = run.id, tenant = %run.tenant, checked, "A run is finished");
    } else {
        tracing::error!(
            code = "run_incomplete", run = run.id, tenant = %run.tenant, checked, failed,
            "A run is finished, and has set objects aside"
        );
    }
}

/// How long a run waits if this attempt fails, in seconds.
fn pause_after(request: &Request) -> i64 {
    PAUSE << request.attempt.min(DOUBLED)
}

/// When a message was sent, by SQS's clock.
fn sent_at(message: &SqsMessage) -> Option<Timestamp> {
    let millis: i64 = message.attributes.get("SentTimestamp")?.parse().ok()?;
    Timestamp::from_unix(millis / 1_000).ok()
}
