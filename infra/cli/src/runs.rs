//! `paygraph backfill`, `reconcile`, `sync`: everything that Stripe has, read by this machine.

mod backfill;
mod reconcile;
mod sync;

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use paygraph_bus::EventBridge;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::ports::Runs as _;
use paygraph_engine::process::Engine;
use paygraph_engine::run::{Drift, Job, Kind, Left, Outcome, Run, Runner, Scope};
use paygraph_runtime::secrets::SecretsManager;
use paygraph_store::DynamoStore;
use paygraph_stripe::client::{Client, Connections, Limits};
use serde_json::json;

pub use self::backfill::Backfill;
pub use self::reconcile::Reconcile;
pub use self::sync::Sync;
use crate::stack::{Which, now};

/// How long a run may take here.
const TIME: Duration = Duration::from_secs(7 * 86_400);

/// How Stripe is asked.
#[derive(Args, Debug, Clone)]
struct Asking {
    /// How much of Stripe's rate limits is used, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=100))]
    share: u32,
    /// Another place for Stripe's API [default: the one that the stack was started with]
    #[arg(long, value_name = "URL")]
    stripe_url: Option<String>,
    #[command(flatten)]
    which: Which,
}

type Connected = Connections<SecretsManager>;

/// The engine with Stripe beside it.
struct Connection {
    engine: Engine<DynamoStore, fn() -> i64, Connected>,
    bus: EventBridge,
    client: Client,
}

impl Asking {
    async fn connect(&self) -> anyhow::Result<Connection> {
        let stack = self.which.open()?;
        let url = self.stripe_url.clone().unwrap_or(stack.stripe_url.clone());
        let limits = Limits {
            share: self.share,
            ..Limits::default()
        };
        let tenant = &self.which.tenant;
        let connections = Connections::new(stack.secrets(), url, limits);
        let client = connections.client(tenant).await?;
        let Some(client) = client else {
            bail!(
                "the tenant {tenant} is not connected to Stripe: there is no secret stripe/{tenant} \
                 with its key. The local stack gets one by `cargo paygraph up --stripe-key KEY`"
            )
        };
        let (engine, bus) = stack.engine();
        let engine = Engine {
            store: engine.store,
            clock: engine.clock,
            livemode: engine.livemode,
            fetch: connections,
        };
        // A run waits out what a message does not.
        let client = client.patient_for(Duration::from_secs(120));
        Ok(Connection {
            engine,
            bus,
            client,
        })
    }
}

impl Connection {
    /// Does a run to its end, or finishes one that was interrupted.
    async fn complete(&self, mut run: Run) -> anyhow::Result<(Run, Vec<Drift>)> {
        let bar = Progress::new(&run);
        let show = |run: &Run| bar.show(run);
        let runner = Runner {
            engine: &self.engine,
            publisher: &self.bus,
            client: self.client.clone(),
            second_look_after: 0,
            progress: &show,
        };
        while runner.go_on(&mut run, Deadline::after(TIME)).await? != Left::Nothing {}
        bar.finish();
        let drift = self.engine.store.drift(&run).await?;
        Ok((run, drift))
    }

    /// The run with a name, or a new one.
    async fn run(
        &self,
        name: Option<&str>,
        job: Job,
        scope: Scope,
        which: &Which,
        at: Option<Timestamp>,
    ) -> anyhow::Result<Run> {
        let tenant = &which.tenant;
        if let Some(name) = name {
            let run = self.engine.store.run(tenant, name).await?;
            let run = run.with_context(|| format!("there is no run {name}"))?;
            if run.job != job {
                bail!("the run {name} is a {}", run.job.as_str());
            }
            return Ok(run);
        }
        let run = Self::begin(job, scope, which, at);
        eprintln!(
            "Run {0}: if it is interrupted, `paygraph {1} --tenant {tenant} --run {0}` goes on.",
            run.id,
            job.as_str()
        );
        Ok(run)
    }

    fn begin(job: Job, scope: Scope, which: &Which, at: Option<Timestamp>) -> Run {
        let at = at.unwrap_or_else(now);
        let name = format!("run-{:012}-{:08x}", at.unix(), fastrand::u32(..));
        Run::new(name, which.tenant.clone(), job, scope, at)
    }

    /// Takes one object over, or all of one customer.
    async fn sync(&self, mut run: Run, id: &str) -> anyhow::Result<(Run, Vec<Drift>)> {
        let runner = Runner {
            engine: &self.engine,
            publisher: &self.bus,
            client: self.client.clone(),
            second_look_after: 0,
            progress: &|_| {},
        };
        let drift = runner.sync(&mut run, id).await?;
        Ok((run, drift))
    }
}

/// What a run came to, as JSON.
fn report(run: &Run, drift: &[Drift]) -> serde_json::Value {
    let healed = drift
        .iter()
        .filter(|drift| drift.outcome == Outcome::Healed);
    json!({
        "run": run.id,
        "complete": run.is_complete(),
        "checked": run.counts.checked(),
        "objects": run.counts.objects,
        "changed": run.counts.committed,
        "in_flight": run.counts.in_flight,
        "drift": drift,
        "healed": healed.count(),
        "failed": run.counts.failed,
    })
}

/// Kinds by the names that people call them.
fn kind(name: &str) -> Result<Kind, String> {
    Kind::named(name).ok_or_else(|| {
        let all: Vec<_> = Kind::all().map(Kind::name).collect();
        format!("there are {}", all.join(", "))
    })
}

/// What people see of a run while it works.
struct Progress {
    bar: ProgressBar,
    seen: Mutex<u64>,
}

impl Progress {
    fn new(run: &Run) -> Self {
        let bar = ProgressBar::new(1_000);
        let style = ProgressStyle::with_template("{bar:30} {percent}% {prefix} {msg} {eta:.dim}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        let seen = Mutex::new(run.counts.checked());
        Self { bar, seen }
    }

    fn show(&self, run: &Run) {
        let checked = run.counts.checked();
        let begun = self.seen.lock().map_or(0, |seen| *seen);
        let seconds = self.bar.elapsed().as_secs().max(1);
        let rate = checked.saturating_sub(begun) / seconds;
        self.bar.set_position(run.share_done());
        self.bar.set_prefix(run.stage.as_str());
        self.bar.set_message(format!(
            "{} objects, {}/s",
            HumanCount(checked),
            HumanCount(rate)
        ));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
