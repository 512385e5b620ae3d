//! `paygraph crm`: a tenant's CRM, shown everything for the first time, and looked at.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use futures::future::join_all;
use paygraph_bus::EventBridge;
use paygraph_crm::attio::{Account, Attio};
use paygraph_crm::handler::show;
use paygraph_domain::id::CustomerId;
use paygraph_engine::crm::Look;
use paygraph_runtime::http::Http;
use serde_json::json;
use tokio::time::Instant;

use crate::contacts::{Named, OverAll};
use crate::stack::{Stack, StackEngine, Which, run};

/// How many contacts are written side by side; after them the progress is noted.
const AT_ONCE: usize = 16;
/// How long one contact may take: less than its turn lasts.
const PATIENCE: Duration = Duration::from_secs(40);
/// How many that failed are named.
const NAMED: usize = 10;

/// Show the tenant's CRM everything, or look whether it can take it.
#[derive(Args)]
pub struct Crm {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Write every customer that the CRM does not have as it is now
    Sync(Sync),
    /// Say what the CRM lacks: objects, attributes, the token
    Check(Check),
}

/// What the CRM has already is not written again. A run that is interrupted goes on where it was, by
/// its name; the stack's own function may write meanwhile.
#[derive(Args)]
struct Sync {
    #[command(flatten)]
    named: Named,
    /// Also write what has not changed
    #[arg(long)]
    anew: bool,
    /// How many writes a second; the stack's function has its own
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=25))]
    writes: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Ends with 1 when something is missing.
#[derive(Args)]
struct Check {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

impl Crm {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Sync(sync) => sync.run(),
            What::Check(check) => check.run(),
        }
    }
}

/// The tenant's CRM, and where it is kept what it has.
async fn open(which: &Which, writes: u32) -> anyhow::Result<(Stack, Account)> {
    let (stack, tenant) = (which.open()?, &which.tenant);
    let attio = Attio::new(stack.secrets(), Http::new()?, writes);
    let account = attio.of(tenant).await?;
    let account = account.with_context(|| {
        format!("the tenant {tenant} has no CRM: there is no secret attio/{tenant} with its token")
    })?;
    Ok((stack, account))
}

impl Check {
    fn run(self) -> anyhow::Result<ExitCode> {
        let missing = run(async {
            let (_, account) = open(&self.which, 25).await?;
            Ok(account.check(Instant::now() + PATIENCE).await?)
        })?;
        if self.json {
            println!("{}", json!({ "missing": missing }));
        } else if missing.is_empty() {
            println!("The CRM has everything that is written to.");
        } else {
            for problem in &missing {
                println!("{problem}");
            }
        }
        Ok(if missing.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// What a run did.
#[derive(Default)]
struct Ran {
    skipped: usize,
    contacts: usize,
    written: usize,
    failed: Vec<(CustomerId, String)>,
}

impl Sync {
    fn run(self) -> anyhow::Result<ExitCode> {
        let name = self.named.tell("crm sync", &self.which.tenant);
        let ran = run(self.all(&name))?;
        if self.json {
            let failed = ran.failed.iter();
            let failed = failed.map(|(id, why)| json!({ "customer_id": id, "reason": why }));
            let report = json!({
                "run": name, "contacts": ran.contacts, "skipped": ran.skipped,
                "written": ran.written, "failed": failed.collect::<Vec<_>>(),
            });
            println!("{report}");
        } else {
            let before = OverAll::before(ran.skipped);
            println!(
                "{} contacts are as they are here{before}; {} records were written.",
                ran.contacts, ran.written
            );
        }
        if ran.failed.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        for (id, why) in ran.failed.iter().take(NAMED) {
            eprintln!("{id}: {why}");
        }
        let failed = ran.failed.len();
        eprintln!("error: {failed} contacts could not be written; the run can go on");
        Ok(ExitCode::FAILURE)
    }

    /// Goes over all contacts from where the run was.
    async fn all(&self, name: &str) -> anyhow::Result<Ran> {
        let tenant = &self.which.tenant;
        let (stack, account) = open(&self.which, self.writes).await?;
        let (engine, bus) = stack.engine();
        let contacts = OverAll::find(&engine.store, tenant, &self.named, name).await?;
        let mut ran = Ran {
            skipped: contacts.skipped,
            ..Ran::default()
        };
        for some in contacts.left(AT_ONCE)? {
            self.some((&engine, &bus), &account, some, &mut ran).await?;
            let done_to = some.last().filter(|_| ran.failed.is_empty());
            let told = format!("{} records written", ran.written);
            contacts.note(some.len(), done_to, told).await?;
        }
        Ok(ran)
    }

    async fn some(
        &self,
        (engine, bus): (&StackEngine, &EventBridge),
        account: &Account,
        some: &[CustomerId],
        ran: &mut Ran,
    ) -> anyhow::Result<()> {
        let each = some.iter().map(async |contact| {
            let look = Look {
                tenant: &self.which.tenant,
                contact,
                news: None,
                anew: self.anew,
                written: &BTreeSet::new(),
                until: Instant::now() + PATIENCE,
            };
            (contact, show(engine, bus, account, &look).await)
        });
        let mut failed = Vec::new();
        for (contact, done) in join_all(each).await {
            match done {
                Ok(done) => {
                    ran.contacts += 1;
                    ran.written += done.written;
                }
                Err(error) => {
                    let why = format!("{:#}", anyhow::Error::from(error));
                    failed.push((contact.clone(), why));
                }
            }
        }
        let nothing = ran.contacts == 0 && failed.len() == some.len();
        if let Some((contact, why)) = failed.first().filter(|_| nothing) {
            bail!("nothing can be written: {contact}: {why}");
        }
        ran.failed.append(&mut failed);
        Ok(())
    }
}
