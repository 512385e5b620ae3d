//! `paygraph mrr`: what one subscription is worth.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use paygraph_domain::account::{Account, Catalog};
use paygraph_domain::mrr;
use paygraph_domain::time::Timestamp;
use paygraph_stripe::decode;
use serde_json::json;
use serde_json::value::RawValue;

use crate::input;

/// Print the MRR and ARR of one Stripe subscription.
#[derive(Args)]
pub struct Mrr {
    /// A file with the subscription as Stripe's API or an event gives it; `-` reads standard input
    file: Option<PathBuf>,
    /// The instant at which it is asked, in RFC 3339 [default: now]
    #[arg(long, value_parser = input::instant)]
    as_of: Option<Timestamp>,
    /// The tenant's settings [default: those of infra/catalog/settings.json]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl Mrr {
    /// Reads, values, prints.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let settings = input::settings(self.settings.as_ref())?;
        let mut text = String::new();
        input::open(self.file.as_deref())?
            .read_to_string(&mut text)
            .context("cannot read")?;
        let raw: &RawValue = serde_json::from_str(&text).context("the input is not JSON")?;
        let now = match self.as_of {
            Some(now) => now,
            None => Timestamp::from_unix(jiff::Timestamp::now().as_second())?,
        };
        let subscription =
            decode::subscription(raw, now).context("the input is not a Stripe subscription")?;
        let (catalog, account) = (Catalog::default(), Account::default());
        let context = mrr::Context {
            settings: &settings.mrr,
            catalog: &catalog,
            account: &account,
            now,
        };
        let value = mrr::value(&subscription, context);
        if value.incomplete {
            eprintln!("note: the input names discounts, tiers or items that it does not hold");
        }
        println!(
            "{}",
            json!({ "mrr": value.mrr, "arr": value.arr, "incomplete": value.incomplete })
        );
        Ok(ExitCode::SUCCESS)
    }
}
