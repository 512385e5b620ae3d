//! `paygraph backfill`, `reconcile`, `sync`: asks the function `reconcile` for a run, and shows how
//! far it is.

mod backfill;
mod reconcile;
mod sync;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use paygraph_bus::Queue;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::Runs as _;
use paygraph_engine::run::{Drift, Job, Kind, Request, Run, Scope, run_name};
use paygraph_store::DynamoStore;

pub use self::backfill::Backfill;
pub use self::reconcile::Reconcile;
pub use self::sync::Sync;
use crate::stack::{Which, now};

/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(300);

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

    /// Asks, and waits for the end. Gives what the run found beside it.
    async fn complete(&self) -> anyhow::Result<(Run, Vec<Drift>)> {
        let before = self.look().await?;
        let begun = before.as_ref().map(|run| run.noted_at);
        let request = Request {
            run: Some(self.name.clone()),
            ..self.request.clone()
        };
        self.queue.ask(&request, 0).await?;
        let bar = Progress::new(before.as_ref());
        let goes_on = format!(
            "The run {0} goes on without this command; `paygraph {1} --tenant {2} --run {0}` shows it.",
            self.name,
            self.request.job.as_str(),
            self.which.tenant
        );
        bar.bar.println(&goes_on);
        loop {
            let run = self.look().await?;
            bar.show(run.as_ref());
            match run {
                Some(run) if run.is_finished() => {
                    bar.bar.finish_and_clear();
                    let drift = self.store.drift(&run).await?;
                    return Ok((run, drift));
                }
                // What was stopped before is taken up again first.
                Some(run) if run.stopped && Some(run.noted_at) != begun => {
                    bar.bar.finish_and_clear();
                    let why = run.problem.unwrap_or_default();
                    bail!("the run {} stopped: {why}", run.id)
                }
                Some(_) | None => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

/// Says what a run could not take in, and how it ended.
fn end(run: &Run) -> ExitCode {
    for (object, why) in &run.counts.failed {
        eprintln!("error: {object}: {why}");
    }
    if run.is_complete() {
        ExitCode::SUCCESS
    } else {
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

/// What people see of a run while it works.
struct Progress {
    bar: ProgressBar,
    /// How many objects were read before.
    before: u64,
}

impl Progress {
    fn new(run: Option<&Run>) -> Self {
        let bar = ProgressBar::new(1_000);
        let style = ProgressStyle::with_template("{bar:30} {percent}% {prefix} {msg} {eta:.dim}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        let before = run.map_or(0, |run| run.counts.checked());
        Self { bar, before }
    }

    fn show(&self, run: Option<&Run>) {
        let Some(run) = run else {
            self.bar.set_prefix("waiting for the function");
            return;
        };
        let checked = run.counts.checked();
        let seconds = self.bar.elapsed().as_secs().max(1);
        let rate = checked.saturating_sub(self.before) / seconds;
        self.bar.set_position(run.share_done());
        self.bar.set_prefix(run.stage.words());
        let counts = format!("{} objects, {}/s", HumanCount(checked), HumanCount(rate));
        self.bar.set_message(match &run.problem {
            Some(problem) => format!("{counts}; waiting: {problem}"),
            None => counts,
        });
    }
}
