//! `paygraph fake-stripe`: a server that answers as Stripe's API does.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use paygraph_domain::time::Timestamp;
use paygraph_testkit::fake_stripe::{self, Config, Key, Lazy, PLATFORM};
use serde_json::json;

use crate::stack::{now, run};

/// Answer as Stripe's API does, with invented customers, until interrupted.
///
/// The customers are computed when they are asked for, so that millions cost nothing. The same
/// seed and the same --at give the same ones. Their trials run and their renewals are ahead: they
/// came so long ago that their last invoices are less than a month old. What goes wrong is set by
/// POST /_control/faults, and counts are at GET /_control/stats.
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
    /// Give every customer the same: a subscription, and invoices that are paid at once
    #[arg(long)]
    uniform: bool,
    /// Which customers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long every answer takes, in milliseconds
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Requests per second and endpoint; beyond it, it answers 429. Over all endpoints a key of test
    /// mode may send as many, and a key of live mode (sk_live_…) four times as many
    #[arg(long, default_value_t = 25)]
    rate: u32,
    /// The time of the fake Stripe, which then stands still [default: the machine's time]
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    at: Option<Timestamp>,
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
            if let Some(at) = self.at {
                stripe.set_now(at.unix());
            }
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
            uniform: self.uniform,
            seed: self.seed,
            ..Lazy::of(self.customers)
        };
        let world = world.ending_at(self.at.unwrap_or_else(now).unix());
        Config {
            port: self.port,
            keys: vec![Key::secret(&self.key, PLATFORM)],
            rate: self.rate,
            overall_rate: self.rate.saturating_mul(4),
            test_rate: self.rate,
            latency: Duration::from_millis(self.latency_ms),
            ..Config::with_world(world)
        }
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}
