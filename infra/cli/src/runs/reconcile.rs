//! `paygraph reconcile`: the comparison with Stripe.

use std::process::ExitCode;

use clap::Args;
use paygraph_domain::time::Timestamp;
use paygraph_engine::run::{Job, Scope};

use super::Asked;
use crate::stack::{Which, run};

/// Compare everything with Stripe, and put right what differs.
///
/// What differs is asked for a second time, since a webhook may have been on its way. What still
/// differs is drift: it is named with its class and with the money that is at stake, and Stripe's
/// state is taken over where that is all it needs. The function `reconcile` does it. Prints JSON.
#[derive(Args)]
pub struct Reconcile {
    /// Change nothing, and only say what differs
    #[arg(long)]
    dry_run: bool,
    /// Only what is live or open, and what was made in the last 35 days, as every day
    #[arg(long)]
    recent: bool,
    /// The instant to work for [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = |text: &str| Timestamp::parse(text))]
    now: Option<Timestamp>,
    /// Go on with this run
    #[arg(long = "run", value_name = "RUN")]
    name: Option<String>,
    /// Print JSON, as it always does
    #[arg(long = "json")]
    _json: bool,
    #[command(flatten)]
    which: Which,
}

impl Reconcile {
    /// Compares.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let ended = run(async {
            let scope = Scope {
                recent: self.recent,
                dry_run: self.dry_run,
                ..Scope::default()
            };
            let name = self.name.as_deref();
            let asked = Asked::new(&self.which, Job::Reconcile, scope, name, self.now).await?;
            asked.complete().await
        })?;
        let report = ended.run.report(&ended.drift);
        println!("{}", serde_json::to_string_pretty(&report)?);
        Ok(ended.tell())
    }
}
