//! The local stack: an emulator of AWS with our own template and binaries on it.

pub mod build;
pub mod emulator;
pub mod process;
pub mod python;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use paygraph_testkit::signer::sign;
use serde::{Deserialize, Serialize};

/// Where everything of the local stack is, under the project.
#[derive(Debug, Clone)]
pub struct Places {
    /// The project.
    pub root: PathBuf,
    /// `target/paygraph`.
    pub home: PathBuf,
}

impl Places {
    /// Finds the project: the nearest folder upwards with a template, else where this was built.
    pub fn find() -> anyhow::Result<Self> {
        let here = std::env::current_dir()?;
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let is_root =
            |dir: &&Path| dir.join("template.yaml").is_file() && dir.join("functions").is_dir();
        let root = here
            .ancestors()
            .find(is_root)
            .map(Path::to_path_buf)
            .unwrap_or(built);
        let root = root
            .canonicalize()
            .context("the project's folder is gone")?;
        let home = root.join("target/paygraph");
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        Ok(Self { root, home })
    }

    /// Holds others off while the stack changes. Released when dropped, or when the process ends.
    pub fn lock(&self) -> anyhow::Result<Lock> {
        let file = fs::File::create(self.home.join("lock"))?;
        if file.try_lock().is_err() {
            eprintln!("Another `paygraph up` or `down` is at work; waiting for it …");
            file.lock()?;
        }
        Ok(Lock(file))
    }

    /// Where the running stack is described.
    pub fn local_json(&self) -> PathBuf {
        self.home.join("local.json")
    }
}

/// The right to change the stack.
pub struct Lock(fs::File);

impl Lock {
    /// Lets a command hold the lock too: if this process is killed, the next one waits for that
    /// command to end. (A lock goes with the open file, which becomes the command's empty input.)
    pub fn share(&self, command: &mut Command) -> anyhow::Result<()> {
        command.stdin(self.0.try_clone()?);
        Ok(())
    }
}

/// The addresses, secrets and names of the local stack. Every value is a string.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Local {
    /// Where Stripe's webhooks go.
    pub webhook_url: String,
    /// The URL that the API's paths are appended to.
    pub api_url: String,
    /// The secret that webhooks are signed with.
    pub webhook_secret: String,
    /// A token that reads and writes.
    pub api_token: String,
    /// The emulator.
    pub aws_endpoint_url: String,
    /// Its region.
    pub region: String,
    /// The table.
    pub table: String,
    /// The ingest queue.
    pub queue_url: String,
    /// Its dead letters.
    pub dlq_url: String,
    /// Where imports and comparisons with Stripe are asked for.
    pub jobs_queue_url: String,
    /// The bus.
    pub event_bus: String,
    /// The function that takes events from the queue.
    pub worker_function: String,
    /// The function that runs every minute.
    pub tick_function: String,
    /// The function that answers the API.
    #[serde(default)]
    pub api_function: String,
    /// The function that does imports and comparisons.
    pub reconcile_function: String,
    /// Where GreenLight's lines are.
    pub greenlight_log_group: String,
    /// The function that writes them.
    #[serde(default)]
    pub greenlight_function: String,
    /// Its queue.
    #[serde(default)]
    pub greenlight_queue_url: String,
    /// Its dead letters.
    #[serde(default)]
    pub greenlight_dlq_url: String,
    /// The function that raises alerts.
    #[serde(default)]
    pub alert_function: String,
    /// The queue of the alerts.
    #[serde(default)]
    pub alert_queue_url: String,
    /// Their dead letters.
    #[serde(default)]
    pub alert_dlq_url: String,
    /// The function that writes to CRMs.
    #[serde(default)]
    pub crm_function: String,
    /// The queue of the CRM.
    #[serde(default)]
    pub crm_queue_url: String,
    /// Its dead letters.
    #[serde(default)]
    pub crm_dlq_url: String,
    /// The function that sequences run in.
    #[serde(default)]
    pub sequence_function: String,
    /// Its queue.
    #[serde(default)]
    pub sequence_queue_url: String,
    /// Its dead letters.
    #[serde(default)]
    pub sequence_dlq_url: String,
    /// Where Stripe's API is asked for; empty for Stripe's own.
    #[serde(default)]
    pub stripe_url: String,
}

impl Local {
    /// Reads the description of the running stack.
    pub fn read(places: &Places) -> anyhow::Result<Self> {
        let path = places.local_json();
        let Ok(text) = fs::read_to_string(&path) else {
            bail!("there is no local stack: start one with `cargo paygraph up --detach`");
        };
        serde_json::from_str(&text).with_context(|| format!("{} is not readable", path.display()))
    }

    /// Delivers an event as Stripe would, over HTTP and signed.
    pub fn deliver(&self, event: &str) -> anyhow::Result<()> {
        let now = crate::stack::now().unix();
        let header = sign(event.as_bytes(), &self.webhook_secret, now);
        let request = agent()
            .post(&self.webhook_url)
            .header("stripe-signature", &header);
        request
            .send(event.as_bytes())
            .context("the webhook refused an event")?;
        Ok(())
    }

    /// Writes the description, whole or not at all.
    pub fn write(&self, places: &Places) -> anyhow::Result<()> {
        write_whole(&places.local_json(), &serde_json::to_string_pretty(self)?)
    }
}

/// Writes a file so that a reader sees the old or the new, never a part.
pub fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, text)?;
    fs::rename(&part, path).with_context(|| format!("cannot write {}", path.display()))
}

/// An HTTP client for the local stack, which is never behind a proxy.
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().proxy(None).build().into()
}

/// Keeps a command, and what it starts, from looking for the local stack behind a proxy.
pub fn reach_directly(command: &mut Command) {
    for name in ["NO_PROXY", "no_proxy"] {
        let others = std::env::var_os(name).unwrap_or_default();
        let others = others.to_string_lossy();
        command.env(name, format!("127.0.0.1,localhost,{others}"));
    }
}

/// Cargo, at the project's root, as if called by hand: the launcher has removed the variables of its own
/// package.
pub fn cargo(places: &Places) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&places.root);
    command
}
