//! `paygraph backfill`: the import of history.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use indicatif::HumanCount;
use paygraph_domain::id::StripeId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::connection::ConnectionStore as _;
use paygraph_engine::run::{Job, Kind, Scope};

use super::{Asked, kind};
use crate::stack::{Which, run};

/// Import everything that Stripe has: customers, subscriptions, invoices, and what belongs to them.
///
/// Objects are listed, and not events, so that nothing is too old. The bus hears of each customer
/// once (`customer_synced`), and of nothing that is past. An import may be repeated at any time. The
/// function `reconcile` does it; this command shows how far it is.
#[derive(Args)]
pub struct Backfill {
    /// Only objects that were made since then
    #[arg(long, value_name = "RFC3339", value_parser = |text: &str| Timestamp::parse(text))]
    since: Option<Timestamp>,
    /// Only these kinds of objects
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    objects: Vec<Kind>,
    /// The connected Stripe account that is meant, instead of its tenant
    #[arg(long, value_name = "ACCT", conflicts_with = "tenant", value_parser = |id: &str| StripeId::parse(id))]
    account: Option<StripeId>,
    /// Go on with this run
    #[arg(long = "run", value_name = "RUN")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

impl Backfill {
    /// Imports.
    pub fn run(mut self) -> anyhow::Result<ExitCode> {
        let ended = run(async {
            if let Some(account) = &self.account {
                let owner = self.which.open()?.store.owner(account).await?;
                let owner = owner.with_context(|| format!("no tenant has connected {account}"))?;
                self.which.tenant = owner;
            }
            let scope = Scope {
                kinds: self.objects.clone(),
                since: self.since,
                ..Scope::default()
            };
            let name = self.name.as_deref();
            let asked = Asked::new(&self.which, Job::Backfill, scope, name, None).await?;
            asked.complete().await
        })?;
        let import = &ended.run;
        if self.json {
            println!("{}", import.report(&[]));
        } else {
            for (kind, count) in &import.counts.objects {
                println!("{:<20} {:>10}", kind.name(), HumanCount(*count).to_string());
            }
            println!("{} commits.", HumanCount(import.counts.committed));
        }
        Ok(ended.tell())
    }
}
