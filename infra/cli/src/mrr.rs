//! `paygraph mrr`: what one subscription is worth, and how that comes about.

mod amount;
mod explain;
#[cfg(test)]
mod explain_tests;
mod words;

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use paygraph_domain::account::{Account, Catalog, Stored};
use paygraph_domain::fact::Body;
use paygraph_domain::mrr;
use paygraph_domain::mrr::trace::Recorded;
use paygraph_domain::order::Tracked;
use paygraph_domain::settings::MrrSettings;
use paygraph_domain::time::Timestamp;
use paygraph_stripe::decode;
use serde_json::json;
use serde_json::value::RawValue;

use self::explain::Explained;
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
    /// Tell line by line how it comes about, as a table
    #[arg(long)]
    explain: bool,
    /// Print JSON, with `--explain` too
    #[arg(long)]
    json: bool,
}

impl Mrr {
    /// Reads, values, prints.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let settings = input::settings(self.settings.as_ref())?;
        let mut text = String::new();
        input::open(self.file.as_deref())?
            .read_to_string(&mut text)
            .context("cannot read")?;
        let now = match self.as_of {
            Some(now) => now,
            None => Timestamp::from_unix(jiff::Timestamp::now().as_second())?,
        };
        let valued = value(&text, &settings.mrr, now)?;
        if valued.worth.incomplete {
            eprintln!("note: the input names discounts, tiers or items that it does not hold");
        }
        let worth = &valued.worth;
        match (self.explain, self.json) {
            (true, true) => println!(
                "{}",
                serde_json::to_string_pretty(&valued.explained.to_json())?
            ),
            (true, false) => print!("{}", valued.explained.to_text()),
            (false, _) => println!(
                "{}",
                json!({ "mrr": worth.mrr, "arr": worth.arr, "incomplete": worth.incomplete })
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What a subscription is worth, and why.
struct Valued {
    worth: mrr::Value,
    explained: Explained,
}

fn value(text: &str, settings: &MrrSettings, now: Timestamp) -> anyhow::Result<Valued> {
    let raw: &RawValue = serde_json::from_str(text).context("the input is not JSON")?;
    let subscription =
        decode::subscription(raw, now).context("the input is not a Stripe subscription")?;
    let (catalog, account) = (Catalog::default(), account(raw, now)?);
    let context = mrr::Context {
        settings,
        catalog: &catalog,
        account: &account,
        now,
    };
    let mut told = Recorded::default();
    let worth = mrr::traced(&subscription, context, &mut told);
    let explained = Explained::new(&subscription, &worth, told);
    Ok(Valued { worth, explained })
}

/// The account of the subscription's customer, with its discount where the input expands it.
fn account(raw: &RawValue, now: Timestamp) -> anyhow::Result<Account> {
    let mut account = Account::default();
    let fact = decode::expanded_customer(raw, now).context("its customer is not readable")?;
    if let Some(fact) = &fact
        && let Body::Customer(customer) = &fact.body
    {
        let tracked = Tracked::first(fact.version(customer.as_ref().clone()));
        account.customer = Some(Stored::new(1, tracked));
    }
    Ok(account)
}
