//! The emulator's process: started once, found again, stopped by its own id.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::process::Process;
use super::{Places, agent, reach_directly, write_whole};
use crate::progress::Progress;

const START_TIME: Duration = Duration::from_secs(60);
/// How long a busy emulator may take to answer before it counts as hung.
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// What the emulator runs behind: nothing starts before its process is on record,
/// so an `up` that is killed in between leaves none that nobody knows of. As many files may be open as the
/// machine allows: every function keeps connections.
const GATE: &str = r#"read -r go || exit
ulimit -n "$(ulimit -H -n)" || true
exec "$0" "$@" </dev/null"#;
/// Serves the emulator with `uvicorn`, which needs less processor time than the server that MiniStack
/// brings. MiniStack sets the headers `Server` and `Date` itself.
const SERVER: [&str; 12] = [
    "-m",
    "uvicorn",
    "ministack.app:app",
    "--no-server-header",
    "--no-date-header",
    "--no-access-log",
    "--log-level=warning",
    "--timeout-keep-alive=75",
    "--timeout-graceful-shutdown=1",
    "--loop=uvloop",
    "--http=httptools",
    "--host=127.0.0.1",
];

/// A running emulator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Emulator {
    #[serde(flatten)]
    process: Process,
    /// Its port on 127.0.0.1.
    port: u16,
}

fn state(places: &Places) -> PathBuf {
    places.home.join("emulator.json")
}

impl Emulator {
    /// The emulator's URL.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// The emulator that runs, if it does.
    pub fn running(places: &Places) -> Option<Self> {
        let text = fs::read_to_string(state(places)).ok()?;
        let emulator: Self = serde_json::from_str(&text).ok()?;
        emulator.process.is_alive().then_some(emulator)
    }

    fn answers(&self, patience: Duration) -> bool {
        let request = agent().get(format!("{}/_ministack/health", self.url()));
        let request = request.config().timeout_global(Some(patience)).build();
        request.call().is_ok()
    }

    /// The emulator that runs, or a new one.
    pub fn ensure(places: &Places, python: &Path, port: Option<u16>) -> anyhow::Result<Self> {
        if let Some(running) = Self::running(places) {
            let elsewhere = port.filter(|port| *port != running.port);
            if elsewhere.is_none() && running.answers(ANSWER_TIME) {
                return Ok(running);
            }
            // A stack that runs is not given up for a port that cannot be had.
            if elsewhere.is_some() {
                free(elsewhere)?;
            }
            running.stop(places)?;
        }
        Self::start(places, python, port)
    }

    fn start(places: &Places, python: &Path, port: Option<u16>) -> anyhow::Result<Self> {
        clean(places);
        let port = free(port)?;
        let _progress = Progress::spinner("Starting the emulator of AWS …");
        let mut child = spawn(places, python, port)?;
        let process = Process::find(child.id())?;
        let emulator = Self { process, port };
        write_whole(&state(places), &serde_json::to_string(&emulator)?)?;
        let mut gate = child.stdin.take().context("the emulator has no gate")?;
        gate.write_all(b"go\n")?;
        let deadline = Instant::now() + START_TIME;
        while !emulator.answers(Duration::from_secs(1)) {
            if child.try_wait()?.is_some() || Instant::now() > deadline {
                emulator.process.stop()?;
                let log = places.home.join("emulator.log");
                bail!("the emulator did not start; see {}", log.display());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(emulator)
    }

    /// Stops the emulator and the functions that it started, and removes what they left.
    pub fn stop(&self, places: &Places) -> anyhow::Result<()> {
        self.process.stop()?;
        clean(places);
        Ok(())
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The port that was asked for, when it is free, or any free one.
fn free(port: Option<u16>) -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or_default()));
    match port {
        Some(port) => listener.map(|_| port).with_context(|| {
            format!("port {port} of 127.0.0.1 cannot be had; leave --port out for a free one")
        }),
        None => Ok(listener?.local_addr()?.port()),
    }
}

fn spawn(places: &Places, python: &Path, port: u16) -> anyhow::Result<Child> {
    let scratch = places.home.join("tmp");
    fs::create_dir_all(&scratch)?;
    let log = fs::File::create(places.home.join("emulator.log"))?;
    let mut command = Command::new("sh");
    command
        .args(["-c", GATE])
        .arg(python)
        .args(SERVER)
        .arg(format!("--port={port}"))
        .current_dir(&scratch)
        // Functions inherit all this: the endpoint by which they find the emulator,
        // and credentials that are good for nothing.
        .env("AWS_ENDPOINT_URL", url(port))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("AWS_PROFILE")
        .env("MINISTACK_REGION", "us-east-1")
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("PERSIST_STATE", "0")
        .env("LOG_LEVEL", "WARNING")
        .env("TMPDIR", &scratch)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C in the terminal is not meant for it.
        .process_group(0);
    reach_directly(&mut command);
    command.spawn().context("cannot start the emulator")
}

/// Removes what a stack leaves.
pub fn clean(places: &Places) {
    for file in [state(places), places.local_json()] {
        let _ = fs::remove_file(file);
    }
    let _ = fs::remove_dir_all(places.home.join("tmp"));
}
