//! `paygraph explain`: how a customer stands, why it is so, and what changed last.

mod story;

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::api::Connection;
use crate::show;

/// Tell how a customer stands, where that comes from, and its last changes.
#[derive(Args)]
pub struct Explain {
    /// Our id of the customer, or a Stripe `cus_…`
    customer: String,
    /// How many changes
    #[arg(long, default_value_t = 10)]
    changes: u8,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Explain {
    /// Asks and tells.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let api = self.connection.open()?;
        let id = &self.customer;
        let record = api.get(&format!("customer/{id}"))?;
        let subscriptions = api.get(&format!("subscriptions/{id}"))?;
        let audit = api.get(&format!("audit/{id}?limit={}", self.changes.max(1)))?;
        if self.json {
            let all = json!({
                "customer": record, "subscriptions": subscriptions["data"], "audit": audit["data"],
            });
            println!("{}", serde_json::to_string_pretty(&all)?);
        } else {
            print!("{}", show::customer(&record));
            print!("{}", story::standing(&record));
            print!("{}", show::reasons(&record, &subscriptions["data"]));
            print!("{}", show::audit(&audit["data"]));
        }
        Ok(ExitCode::SUCCESS)
    }
}
