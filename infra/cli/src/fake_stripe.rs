//! `paygraph fake-stripe`: a server that answers as Stripe's API does.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use paygraph_testkit::fake_stripe::{self, Config, Key, Lazy, PLATFORM};
use serde_json::json;

use crate::stack::run;

/// Answer as Stripe's API does, with invented customers, until interrupted.
///
/// The customers are computed when they are asked for, so that millions cost nothing. The same
/// seed gives the same ones. What goes wrong is set by POST /_control/faults, and counts are at
/// GET /_control/stats.
#[derive(Args)]
pub struct FakeStripe {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How many customers there are
    #[arg(long, default_value_t = 1_000)]
    customers: u64,
    /// How many invoices each of them has
    #[arg(long, default_value_t = 12)]
    invoices: u64,
    /// Which customers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long every answer takes, in milliseconds
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Requests per second and endpoint; beyond it, and beyond four times as many over all
    /// endpoints, it answers 429
    #[arg(long, default_value_t = 25)]
    rate: u32,
    /// The secret key that it knows
    #[arg(long, default_value = fake_stripe::KEY)]
    key: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl FakeStripe {
    /// Runs until interrupted.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        run(async {
            let stripe = fake_stripe::FakeStripe::start(self.config())
                .await
                .context("cannot start the server")?;
            let (url, key) = (stripe.url(), &self.key);
            if self.json {
                println!("{}", json!({ "url": url, "key": key }));
            } else {
                println!("url {url}\nkey {key}");
                eprintln!("{} customers. Ctrl-C ends it.", self.customers);
            }
            tokio::signal::ctrl_c().await?;
            stripe.stop().await;
            Ok(ExitCode::SUCCESS)
        })
    }

    fn config(&self) -> Config {
        let world = Lazy {
            invoices_each: self.invoices,
            seed: self.seed,
            ..Lazy::of(self.customers)
        };
        Config {
            port: self.port,
            keys: vec![Key::secret(&self.key, PLATFORM)],
            rate: self.rate,
            overall_rate: self.rate.saturating_mul(4),
            latency: Duration::from_millis(self.latency_ms),
            ..Config::with_world(world)
        }
    }
}
