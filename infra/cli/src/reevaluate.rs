//! `paygraph reevaluate`: the run over all contacts, after a change of what is data.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use paygraph_bus::EventBridge;
use paygraph_domain::id::CustomerId;
use paygraph_engine::reevaluate::Ran;
use serde_json::json;

use crate::stack::{StackEngine, Which, now, run};

/// After how many contacts the progress is noted.
const NOTED: usize = 100;
/// How long the progress of a run is kept, in seconds.
pub const KEPT: i64 = 30 * 86_400;

/// Compute every contact again: after a change of segments, tiers, settings or product names.
///
/// What that changes goes to the bus, once. A run that is interrupted goes on where it was, by its
/// name. Functions may use settings that are a minute old: wait that long after changing them.
#[derive(Args)]
pub struct Reevaluate {
    /// Go on with this run
    #[arg(long = "run", value_name = "RUN", value_parser = run_name)]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// The name of a run over all contacts.
pub fn run_name(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a run's name has 1 to 64 letters, digits and -".to_owned())
    }
}

impl Reevaluate {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let stack = self.which.open()?;
        let (engine, bus) = stack.engine();
        let known = self.name.is_some();
        let new = || format!("reevaluate-{}-{:08x}", now().unix(), fastrand::u32(..));
        let name = self.name.clone().unwrap_or_else(new);
        let tenant = &self.which.tenant;
        eprintln!(
            "Run {name}: if it is interrupted, `paygraph reevaluate --tenant {tenant} --run {name}` \
             goes on."
        );
        let (skipped, ran) = run(self.all(&engine, &bus, &name, known))?;
        if self.json {
            let report = json!({
                "run": name, "contacts": ran.contacts, "skipped": skipped,
                "events": ran.events, "failed": ran.failed,
            });
            println!("{report}");
        } else {
            let before = match skipped {
                0 => String::new(),
                some => format!(" ({some} were done before)"),
            };
            println!(
                "{} contacts were computed again{before}; {} events came of it.",
                ran.contacts, ran.events
            );
        }
        if ran.failed > 0 {
            eprintln!(
                "error: {} contacts could not be computed; the run can go on",
                ran.failed
            );
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Goes over all contacts from where the run was. Gives how many were done before.
    async fn all(
        &self,
        engine: &StackEngine,
        bus: &EventBridge,
        name: &str,
        known: bool,
    ) -> anyhow::Result<(usize, Ran)> {
        let tenant = &self.which.tenant;
        let done_to = engine.store.run_progress(tenant, name).await?;
        if known && done_to.is_none() {
            eprintln!("There is nothing of the run {name} yet: it begins.");
        }
        let bar = progress();
        let everyone = engine
            .store
            .everyone(tenant, |so_far| bar.set_message(format!("{so_far} found")));
        let everyone = everyone.await.context("cannot list the contacts")?;
        let skipped = everyone.partition_point(|id| Some(id) <= done_to.as_ref());
        let Some(left) = everyone.get(skipped..) else {
            bail!("the list of contacts has no such place")
        };
        bar.set_length(u64::try_from(everyone.len()).unwrap_or(u64::MAX));
        bar.set_position(u64::try_from(skipped).unwrap_or(0));
        let mut ran = Ran::default();
        for some in left.chunks(NOTED) {
            let part = engine.reevaluate(bus, tenant, some, name, now()).await?;
            let whole = ran.failed == 0;
            ran.contacts += part.contacts;
            ran.events += part.events;
            ran.failed += part.failed;
            if let Some(done_to) = part.done_to.filter(|_: &CustomerId| whole) {
                let expires = now().unix() + KEPT;
                engine
                    .store
                    .note_run(tenant, name, &done_to, expires)
                    .await?;
            }
            bar.set_message(format!("{} events", ran.events));
            bar.inc(u64::try_from(some.len()).unwrap_or(0));
        }
        bar.finish_and_clear();
        Ok((skipped, ran))
    }
}

/// How far a run over all contacts is.
pub fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} contacts, {msg} {eta:.dim}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
