//! `paygraph connect` and `paygraph check`: a tenant's connection to Stripe, from the terminal.

mod show;

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use paygraph_bus::Queue;
use paygraph_engine::connect::{ConnectError, Connector, Offer, Place, RestrictedKey};
use paygraph_runtime::secrets::SecretsManager;
use paygraph_store::DynamoStore;
use secrecy::SecretString;
use serde_json::json;

use crate::stack::{Which, run};

/// Connect a tenant to Stripe by a restricted key, or replace its key.
///
/// The key is to read products, prices, coupons, customers, subscriptions, invoices, charges,
/// checkout sessions, disputes, payment methods and events; with write on webhook endpoints the
/// endpoint is made too. Nothing is kept before all of it was tried.
#[derive(Args)]
pub struct Connect {
    /// Read the key (rk_…) from the first line of the input; a second line is the signing secret of
    /// a webhook endpoint that was made by hand
    #[arg(long)]
    restricted_key_stdin: bool,
    #[command(flatten)]
    place: At,
}

/// Look at a tenant's connection to Stripe: key, permissions, webhook endpoint, signing secret.
///
/// Nothing is changed. Ends with 1 when something is missing.
#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    place: At,
}

/// Where to connect.
#[derive(Args)]
struct At {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// What the URL of a deployed stack's webhooks begins with: the output ApiUrl
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// A deployed stack takes live money
    #[arg(long)]
    live: bool,
    /// Another place for Stripe's API [default: the one that the stack was started with]
    #[arg(long, value_name = "URL")]
    stripe_url: Option<String>,
    #[command(flatten)]
    which: Which,
}

type Here = Connector<DynamoStore, SecretsManager, Option<Queue>>;

impl At {
    /// The product's own connecting, and the public URL.
    fn open(&self) -> anyhow::Result<(Here, String)> {
        let stack = self.which.open()?;
        let (own, jobs) = (stack.public_url.clone(), stack.jobs_queue_url.clone());
        let public_url = self.public_url.clone().or(own);
        let public_url = public_url.context("--public-url is needed: the stack's output ApiUrl")?;
        let url = self.stripe_url.clone().unwrap_or(stack.stripe_url.clone());
        let connector = Connector {
            secrets: stack.secrets(),
            store: stack.store,
            import: jobs.map(|url| Queue::new(stack.sqs, url)),
            place: Place::new(Some(url), None, self.live),
        };
        Ok((connector, public_url))
    }
}

impl Connect {
    /// Connects.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if !self.restricted_key_stdin {
            bail!(
                "give a restricted key by --restricted-key-stdin. OAuth begins in a browser: \
                 POST /api/integrations/stripe/connect"
            );
        }
        let mut input = String::new();
        std::io::stdin().read_to_string(&mut input)?;
        let mut lines = input.lines().map(str::trim).filter(|line| !line.is_empty());
        let key = SecretString::from(lines.next().unwrap_or_default());
        let offer = Offer {
            key: RestrictedKey::parse(key)?,
            webhook_secret: lines.next().map(SecretString::from),
        };
        let (connector, public_url) = self.place.open()?;
        let tenant = &self.place.which.tenant;
        let done = run(async { Ok(connector.by_key(tenant, &offer, &public_url).await) })?;
        let done = match done {
            Err(ConnectError::Permissions(missing)) => {
                if self.place.json {
                    println!("{}", json!({ "connected": false, "missing": missing }));
                } else {
                    println!("Not connected. The key lacks:");
                    show::permissions(&missing);
                }
                return Ok(ExitCode::FAILURE);
            }
            done => done?,
        };
        if self.place.json {
            let told = json!({
                "connected": true, "connection": done.connection, "webhooks": done.webhooks,
                "import": if done.import_started { "started" } else { "not_started" },
            });
            println!("{told}");
        } else {
            show::done(&done);
            if done.import_started {
                println!("The import of its history has begun.");
            } else {
                println!("Import its history with `paygraph backfill --tenant {tenant}`.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Check {
    /// Looks.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (connector, public_url) = self.place.open()?;
        let tenant = &self.place.which.tenant;
        let check = run(async { Ok(connector.check(tenant, &public_url).await?) })?;
        if self.place.json {
            println!("{}", serde_json::to_string(&check)?);
        } else {
            show::check(&check);
        }
        Ok(if check.troubles.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
