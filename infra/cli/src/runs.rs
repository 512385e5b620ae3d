//! `paygraph backfill`, `reconcile`, `sync`: asks the function `reconcile` for a run, and shows how
//! far it is.

mod backfill;
mod progress;
mod reconcile;
mod sync;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use paygraph_bus::Queue;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::Runs as _;
use paygraph_engine::run::{Drift, Failure, Job, Kind, Request, Run, Scope, run_name};
use paygraph_store::DynamoStore;

pub use self::backfill::Backfill;
use self::progress::Progress;
pub use self::reconcile::Reconcile;
pub use self::sync::Sync;
use crate::stack::{Which, now};

/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// How many looks go by until the tenant's other runs are read again.
const LOOKS_AT_OTHERS: usize = 15;
/// How many of the tenant's newest runs are read.
const OTHERS: usize = 10;

/// A run that has ended: finished, or stopped with its reason.
struct Ended {
    run: Run,
    drift: Vec<Drift>,
    /// Every object that it set aside.
    failures: Vec<Failure>,
}

/// A run that was asked for.
struct Asked<'a> {
    store: DynamoStore,
    queue: Queue,
    request: Request,
    which: &'a Which,
    name: String,
}

impl<'a> Asked<'a> {
    /// Asks for a new run, or for the one with a name to go on.
    async fn new(
        which: &'a Which,
        job: Job,
        scope: Scope,
        name: Option<&str>,
        at: Option<Timestamp>,
    ) -> anyhow::Result<Self> {
        let stack = which.open()?;
        let jobs_queue_url = stack.jobs_queue_url.clone();
        let url = jobs_queue_url.context("a deployed stack needs --jobs-queue-url as well")?;
        let unique = format!("{:08x}", fastrand::u32(..));
        let asked = Self {
            queue: Queue::new(stack.sqs, url),
            store: stack.store,
            request: Request {
                tenant: Some(which.tenant.clone()),
                now: at.map(|at| at.to_string()),
                second_look_after: 0,
                scope,
                ..Request::new(job)
            },
            which,
            name: match name {
                Some(name) => name.to_owned(),
                None => run_name(at.unwrap_or_else(now), &unique),
            },
        };
        if name.is_some() {
            let run = asked.look().await?;
            let run = run.with_context(|| format!("there is no run {}", asked.name))?;
            if run.job != job {
                bail!("the run {} is a {}", run.id, run.job.as_str());
            }
        }
        Ok(asked)
    }

    async fn look(&self) -> anyhow::Result<Option<Run>> {
        Ok(self.store.run(&self.which.tenant, &self.name).await?)
    }

    /// Asks, and waits for the end.
    async fn complete(&self) -> anyhow::Result<Ended> {
        let before = self.look().await?;
        let begun = before.as_ref().map(|run| run.noted_at);
        let request = Request {
            run: Some(self.name.clone()),
            ..self.request.clone()
        };
        self.queue.ask(&request, 0).await?;
        let mut progress = Progress::new(before.as_ref());
        progress.say(&format!(
            "The run {0} goes on without this command; `paygraph {1} --tenant {2} --run {0}` shows it.",
            self.name,
            self.request.job.as_str(),
            self.which.tenant
        ));
        let mut others = Vec::new();
        for look in 0_usize.. {
            if look.is_multiple_of(LOOKS_AT_OTHERS) {
                others = self.store.latest(&self.which.tenant, OTHERS).await?;
            }
            let run = self.look().await?;
            progress.show(run.as_ref(), &others, now());
            // What was stopped before is taken up again first.
            let is_stopped = |run: &Run| run.stopped && Some(run.noted_at) != begun;
            match run {
                Some(run) if run.is_finished() || is_stopped(&run) => {
                    progress.finish();
                    return Ok(Ended {
                        drift: self.store.drift(&run).await?,
                        failures: self.store.failures(&run).await?,
                        run,
                    });
                }
                Some(_) | None => tokio::time::sleep(LOOK).await,
            }
        }
        bail!("the run {} was looked at for too long", self.name)
    }
}

impl Ended {
    /// Says what the run set aside, and how it ended: 0 if every object was committed, else 1.
    fn tell(&self) -> ExitCode {
        let run = &self.run;
        for Failure { object, reason } in &self.failures {
            eprintln!("error: {object}: {reason}");
        }
        if run.is_complete() {
            return ExitCode::SUCCESS;
        }
        if run.stopped {
            let why = run.problem.as_deref().unwrap_or("nobody noted why");
            eprintln!("error: the run {} stopped: {why}", run.id);
        } else {
            let failed = run.counts.failures();
            eprintln!("error: the run {} set {failed} objects aside", run.id);
        }
        ExitCode::FAILURE
    }
}

/// Kinds by the names that people call them.
fn kind(name: &str) -> Result<Kind, String> {
    let known = Kind::named(name).filter(|kind| Kind::all_listed().any(|listed| listed == *kind));
    known.ok_or_else(|| {
        let all: Vec<_> = Kind::all_listed().map(Kind::name).collect();
        format!("there are {}", all.join(", "))
    })
}
