//! A run over all contacts of a tenant: one that is interrupted goes on where it was, by its name.

use anyhow::{Context as _, bail};
use clap::Args;
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_store::DynamoStore;

use crate::progress::Progress;
use crate::stack::now;

/// How long the progress of a run is kept, in seconds.
const KEPT: i64 = 30 * 86_400;

/// Which run.
#[derive(Args)]
pub struct Named {
    /// Go on with this run
    #[arg(long = "run", value_name = "RUN", value_parser = run_name)]
    name: Option<String>,
}

fn run_name(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a run's name has 1 to 64 letters, digits and -".to_owned())
    }
}

impl Named {
    /// The name, which a new run of the command gets now; says how to go on with it.
    pub fn tell(&self, command: &str, tenant: &TenantId) -> String {
        let name = self.name.clone().unwrap_or_else(|| {
            let prefix = command.split(' ').next().unwrap_or_default();
            format!("{prefix}-{}-{:08x}", now().unix(), fastrand::u32(..))
        });
        eprintln!(
            "Run {name}: if it is interrupted, `paygraph {command} --tenant {tenant} --run {name}` \
             goes on."
        );
        name
    }
}

/// A run on its way, with a bar.
pub struct OverAll<'a> {
    store: &'a DynamoStore,
    tenant: &'a TenantId,
    name: &'a str,
    progress: Progress,
    everyone: Vec<CustomerId>,
    /// How many contacts were done before.
    pub skipped: usize,
}

impl<'a> OverAll<'a> {
    /// Finds the contacts, and where the run was.
    pub async fn find(
        store: &'a DynamoStore,
        tenant: &'a TenantId,
        named: &Named,
        name: &'a str,
    ) -> anyhow::Result<Self> {
        let done_to = store.run_progress(tenant, name).await?;
        if named.name.is_some() && done_to.is_none() {
            eprintln!("There is nothing of the run {name} yet: it begins.");
        }
        let progress = Progress::bar(0, "{bar:30} {pos}/{len} contacts, {msg} {eta:.dim}");
        let bar = progress.as_bar();
        let everyone = store.everyone(tenant, |so_far| bar.set_message(format!("{so_far} found")));
        let everyone = everyone.await.context("cannot list the contacts")?;
        let skipped = everyone.partition_point(|id| Some(id) <= done_to.as_ref());
        bar.set_length(u64::try_from(everyone.len()).unwrap_or(u64::MAX));
        bar.set_position(u64::try_from(skipped).unwrap_or(0));
        Ok(Self {
            store,
            tenant,
            name,
            progress,
            everyone,
            skipped,
        })
    }

    /// The contacts that are left, so many at a time.
    pub fn left(&self, at_once: usize) -> anyhow::Result<impl Iterator<Item = &[CustomerId]>> {
        let Some(left) = self.everyone.get(self.skipped..) else {
            bail!("the list of contacts has no such place")
        };
        Ok(left.chunks(at_once))
    }

    /// Some were looked at; all are done up to this one, if one is given.
    pub async fn note(
        &self,
        some: usize,
        done_to: Option<&CustomerId>,
        message: String,
    ) -> anyhow::Result<()> {
        if let Some(done_to) = done_to {
            let expires = now().unix() + KEPT;
            let noted = self
                .store
                .note_run(self.tenant, self.name, done_to, expires);
            noted.await?;
        }
        let bar = self.progress.as_bar();
        bar.set_message(message);
        bar.inc(u64::try_from(some).unwrap_or(0));
        Ok(())
    }

    /// For a sentence on what was done: how many were done before.
    pub fn before(skipped: usize) -> String {
        match skipped {
            0 => String::new(),
            some => format!(" ({some} were done before)"),
        }
    }
}
