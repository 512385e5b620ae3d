//! `paygraph sync`: one object, or all of one customer.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use paygraph_engine::run::{Job, Kind, Scope};

use super::Asked;
use crate::stack::{Which, run};

/// Take over how one object is at Stripe now: cus_…, sub_…, in_…, ch_…, re_…, dp_…, pm_…
///
/// A customer comes with its subscriptions, invoices and charges. What differed is told on the bus
/// and printed.
#[derive(Args)]
pub struct Sync {
    /// The object's id at Stripe
    id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

impl Sync {
    /// Takes it over.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if Kind::of(&self.id).is_none() {
            let known: Vec<_> = Kind::all().map(Kind::prefix).collect();
            bail!("{} is none of {}…", self.id, known.join("…, "));
        }
        let ended = run(async {
            let scope = Scope {
                object: Some(self.id.clone()),
                ..Scope::default()
            };
            let asked = Asked::new(&self.which, Job::Reconcile, scope, None, None).await?;
            asked.complete().await
        })?;
        let (sync, drift) = (&ended.run, &ended.drift);
        if self.json {
            println!("{}", sync.report(drift));
        } else if drift.is_empty() && sync.is_complete() {
            println!("{} was as Stripe has it.", self.id);
        }
        for drift in drift.iter().filter(|_| !self.json) {
            println!(
                "{:<18} {} {}: {} here, {} at Stripe",
                drift.class.as_str(),
                drift.object,
                drift.field.as_deref().unwrap_or(""),
                drift.local,
                drift.stripe
            );
        }
        Ok(ended.tell())
    }
}
