//! `paygraph up`: the whole product on this machine.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use paygraph_testkit::fake_stripe::KEY;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::local::build::{self, FunctionSource};
use crate::local::emulator::Emulator;
use crate::local::{Local, Lock, Places, agent, python, reach_directly};
use crate::progress::Progress;

/// How long the API may take to answer for the first time.
const READY_TIME: Duration = Duration::from_secs(60);

/// Start the local stack: our own template and binaries on an emulator of AWS.
///
/// Safe to repeat: a running stack is kept, and only what has changed is deployed again.
#[derive(Args)]
pub struct Up {
    /// Return when the stack is ready, and leave it running
    #[arg(long)]
    detach: bool,
    /// Build the functions as they are deployed, smaller and slower to build
    #[arg(long)]
    release: bool,
    /// Another place for Stripe's API
    #[arg(long, value_name = "URL")]
    stripe_url: Option<String>,
    /// The key that Stripe's API is asked with; without one and without `--stripe-url`, it is not
    /// asked at all
    #[arg(long, value_name = "KEY")]
    stripe_key: Option<String>,
    /// The port on 127.0.0.1 [default: a free one]
    #[arg(long)]
    port: Option<u16>,
    /// Print what is needed to talk to the stack as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outputs {
    api_id: String,
    table_name: String,
    queue_url: String,
    dead_letter_queue_url: String,
    jobs_queue_url: String,
    event_bus_name: String,
    worker_function_name: String,
    tick_function_name: String,
    api_function_name: String,
    reconcile_function_name: String,
    greenlight_log_group: String,
    greenlight_function_name: String,
    greenlight_queue_url: String,
    greenlight_dead_letter_queue_url: String,
    alert_function_name: String,
    alert_queue_url: String,
    alert_dead_letter_queue_url: String,
    crm_function_name: String,
    crm_queue_url: String,
    crm_dead_letter_queue_url: String,
    sequence_function_name: String,
    sequence_queue_url: String,
    sequence_dead_letter_queue_url: String,
    webhook_secret: String,
    api_token: String,
    region: String,
}

impl Up {
    /// An `up` that leaves the stack running, for commands that need one.
    pub fn detached() -> Self {
        Self {
            detach: true,
            release: false,
            stripe_url: None,
            stripe_key: None,
            port: None,
            json: false,
        }
    }

    /// Starts the stack and says where it is.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let places = Places::find()?;
        if !self.detach {
            stop_on_interrupt(places.clone())?;
        }
        let local = self.ready(&places).inspect_err(|_| wait_if_interrupted())?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&local)?);
        } else {
            println!("The local stack is ready.");
            println!("  webhooks  {}", local.webhook_url);
            println!("  API       {}", local.api_url);
            println!("  described in {}", places.local_json().display());
        }
        if self.detach {
            if !self.json {
                println!("Stop it with `cargo paygraph down`.");
            }
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("Press Ctrl-C to stop it.");
        while Emulator::running(&places).is_some() {
            thread::sleep(Duration::from_millis(500));
        }
        wait_if_interrupted();
        eprintln!("The local stack has ended.");
        Ok(ExitCode::FAILURE)
    }

    /// Brings the stack up, as far as it is not, and describes it.
    pub fn ready(&self, places: &Places) -> anyhow::Result<Local> {
        self.ready_with(
            places,
            if self.release {
                FunctionSource::Release
            } else {
                FunctionSource::Command
            },
        )
    }

    /// Brings the stack up with these functions.
    fn ready_with(&self, places: &Places, from: FunctionSource) -> anyhow::Result<Local> {
        let lock = places.lock()?;
        let python = python::ensure(places, &lock)?;
        let functions = build::place_functions(places, from)?;
        let emulator = Emulator::ensure(places, &python, self.port)?;
        let outputs = self.deploy(places, &lock, &python, &emulator, &functions)?;
        let stripe_url = self.stripe_url.clone().unwrap_or_default();
        let local = describe(&emulator, outputs, stripe_url);
        wait_until_ready(&local)?;
        local.write(places)?;
        Ok(local)
    }

    fn deploy(
        &self,
        places: &Places,
        lock: &Lock,
        python: &Path,
        emulator: &Emulator,
        functions: &Path,
    ) -> anyhow::Result<Outputs> {
        let _progress = Progress::spinner("Deploying template.yaml …");
        let architecture = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "x86_64"
        };
        let mut command = Command::new(python);
        command
            .arg(places.root.join("infra/local/deploy.py"))
            .args(["--endpoint", &emulator.url()])
            .arg("--template")
            .arg(places.root.join("template.yaml"))
            .arg("--binaries")
            .arg(functions);
        for parameter in [
            format!("Architecture={architecture}"),
            "Livemode=false".to_owned(),
            "DeletionProtection=false".to_owned(),
            "StripeClientId=ca_local".to_owned(),
            "EnableSequences=true".to_owned(),
            "EnableEmail=true".to_owned(),
            format!(
                "StripeUrl={}",
                self.stripe_url.as_deref().unwrap_or_default()
            ),
        ] {
            command.args(["--parameter", &parameter]);
        }
        let key = self.stripe_key.as_deref();
        if let Some(key) = key.or(self.stripe_url.as_ref().map(|_| KEY)) {
            // Not among the arguments, which anybody on this machine can list.
            command.env("PAYGRAPH_STRIPE_KEY", key);
        }
        lock.share(&mut command)?;
        reach_directly(&mut command);
        let printed = python::run(&mut command, "deploying template.yaml")?;
        let last = printed.lines().last().unwrap_or_default();
        serde_json::from_str(last).context("the deployment's outputs are not as expected")
    }
}

fn describe(emulator: &Emulator, outputs: Outputs, stripe_url: String) -> Local {
    let api_url = format!(
        "{}/_aws/execute-api/{}/$default",
        emulator.url(),
        outputs.api_id
    );
    Local {
        webhook_url: format!("{api_url}/api/integrations/stripe/webhook"),
        api_url,
        webhook_secret: outputs.webhook_secret,
        api_token: outputs.api_token,
        aws_endpoint_url: emulator.url(),
        region: outputs.region,
        table: outputs.table_name,
        queue_url: outputs.queue_url,
        dlq_url: outputs.dead_letter_queue_url,
        jobs_queue_url: outputs.jobs_queue_url,
        event_bus: outputs.event_bus_name,
        worker_function: outputs.worker_function_name,
        tick_function: outputs.tick_function_name,
        api_function: outputs.api_function_name,
        reconcile_function: outputs.reconcile_function_name,
        greenlight_log_group: outputs.greenlight_log_group,
        greenlight_function: outputs.greenlight_function_name,
        greenlight_queue_url: outputs.greenlight_queue_url,
        greenlight_dlq_url: outputs.greenlight_dead_letter_queue_url,
        alert_function: outputs.alert_function_name,
        alert_queue_url: outputs.alert_queue_url,
        alert_dlq_url: outputs.alert_dead_letter_queue_url,
        crm_function: outputs.crm_function_name,
        crm_queue_url: outputs.crm_queue_url,
        crm_dlq_url: outputs.crm_dead_letter_queue_url,
        sequence_function: outputs.sequence_function_name,
        sequence_queue_url: outputs.sequence_queue_url,
        sequence_dlq_url: outputs.sequence_dead_letter_queue_url,
        stripe_url,
    }
}

/// Waits until the API answers: then the functions run and the table is there.
fn wait_until_ready(local: &Local) -> anyhow::Result<()> {
    let _progress = Progress::spinner("Waiting for the first answer …");
    let url = format!("{}/api/stripe/health", local.api_url);
    let authorization = format!("Bearer {}", local.api_token);
    let deadline = Instant::now() + READY_TIME;
    loop {
        let answer = agent()
            .get(&url)
            .header("authorization", &authorization)
            .call();
        match answer {
            Ok(_) => break,
            Err(error) if Instant::now() > deadline => {
                bail!("the API does not answer at {url}: {error}");
            }
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
    Ok(())
}

/// Whether the stack is being taken down, after which the process ends.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C takes the stack down, however far it is.
fn stop_on_interrupt(places: Places) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    drop(guard);
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        INTERRUPTED.store(true, Ordering::SeqCst);
        if let Some(emulator) = Emulator::running(&places) {
            let _ = emulator.stop(&places);
        }
        std::process::exit(130);
    });
    Ok(())
}

/// Leaves the end of the process to the one that takes the stack down.
fn wait_if_interrupted() {
    // The interrupt may be what ended a command of ours just now.
    thread::sleep(Duration::from_millis(50));
    while INTERRUPTED.load(Ordering::SeqCst) {
        thread::park();
    }
}
