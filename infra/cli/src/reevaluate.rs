//! `paygraph reevaluate`: the run over all contacts, after a change of what is data.

use std::process::ExitCode;

use clap::Args;
use paygraph_bus::EventBridge;
use paygraph_engine::reevaluate::Ran;
use serde_json::json;

use crate::contacts::{Named, OverAll};
use crate::stack::{StackEngine, Which, now, run};

/// After how many contacts the progress is noted.
const NOTED: usize = 100;
/// Compute every contact again: after a change of segments, tiers, settings or product names.
///
/// What that changes goes to the bus, once. A run that is interrupted goes on where it was, by its
/// name. Functions may use settings that are a minute old: wait that long after changing them.
#[derive(Args)]
pub struct Reevaluate {
    #[command(flatten)]
    named: Named,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

impl Reevaluate {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let stack = self.which.open()?;
        let (engine, bus) = stack.engine();
        let tenant = &self.which.tenant;
        let name = self.named.tell("reevaluate", tenant);
        let (skipped, ran) = run(self.all(&engine, &bus, &name))?;
        if self.json {
            let report = json!({
                "run": name, "contacts": ran.contacts, "skipped": skipped,
                "events": ran.events, "failed": ran.failed,
            });
            println!("{report}");
        } else {
            let before = OverAll::before(skipped);
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
    ) -> anyhow::Result<(usize, Ran)> {
        let tenant = &self.which.tenant;
        let contacts = OverAll::find(&engine.store, tenant, &self.named, name).await?;
        let mut ran = Ran::default();
        for some in contacts.left(NOTED)? {
            let part = engine.reevaluate(bus, tenant, some, name, now()).await?;
            let done_to = part.done_to.filter(|_| ran.failed == 0);
            ran.contacts += part.contacts;
            ran.events += part.events;
            ran.failed += part.failed;
            let told = format!("{} events", ran.events);
            contacts.note(some.len(), done_to.as_ref(), told).await?;
        }
        Ok((contacts.skipped, ran))
    }
}
