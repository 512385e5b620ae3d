//! `paygraph backfill`: the import of history.

use std::process::ExitCode;

use clap::Args;
use indicatif::HumanCount;
use paygraph_domain::time::Timestamp;
use paygraph_engine::run::{Job, Kind, Scope};

use super::{Asking, kind, report};
use crate::stack::run;

/// Import everything that Stripe has: customers, subscriptions, invoices, and what belongs to them.
///
/// Objects are listed, and not events, so that nothing is too old. The bus hears of each customer
/// once (`customer_synced`), and of nothing that is past. An import may be repeated at any time.
#[derive(Args)]
pub struct Backfill {
    /// Only objects that were made since then
    #[arg(long, value_name = "RFC3339", value_parser = |text: &str| Timestamp::parse(text))]
    since: Option<Timestamp>,
    /// Only these kinds of objects
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    objects: Vec<Kind>,
    /// Go on with this run
    #[arg(long = "run", value_name = "RUN")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asking: Asking,
}

impl Backfill {
    /// Imports.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (import, _) = run(async {
            let connection = self.asking.connect().await?;
            let scope = Scope {
                kinds: self.objects.clone(),
                since: self.since,
                ..Scope::default()
            };
            let name = self.name.as_deref();
            let which = &self.asking.which;
            let import = connection
                .run(name, Job::Backfill, scope, which, None)
                .await?;
            connection.complete(import).await
        })?;
        if self.json {
            println!("{}", report(&import, &[]));
        } else {
            for (kind, count) in &import.counts.objects {
                println!("{:<20} {:>10}", kind.name(), HumanCount(*count).to_string());
            }
            println!("{} commits.", HumanCount(import.counts.committed));
        }
        for (object, why) in &import.counts.failed {
            eprintln!("error: {object}: {why}");
        }
        Ok(if import.is_complete() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
