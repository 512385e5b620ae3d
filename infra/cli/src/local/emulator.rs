//! The emulator's process: started once, found again, stopped by its own id.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process};
use serde::{Deserialize, Serialize};

use super::{Places, step, write_whole};

const START_TIME: Duration = Duration::from_secs(60);
const STOP_TIME: Duration = Duration::from_secs(10);

/// A running emulator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Emulator {
    /// Its process, which leads a group of its own.
    pub pid: i32,
    /// When that process began, so that another one with the same id is not taken for it.
    started: String,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

fn state(places: &Places) -> std::path::PathBuf {
    places.home.join("emulator.json")
}

/// When a process began, as the system tells it; none when there is no such process.
fn began(pid: i32) -> Option<String> {
    let output = Command::new("ps")
        .args(["-o", "lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

impl Emulator {
    /// The emulator's URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The emulator that runs, if it does.
    pub fn running(places: &Places) -> Option<Self> {
        let text = fs::read_to_string(state(places)).ok()?;
        let emulator: Self = serde_json::from_str(&text).ok()?;
        emulator.is_alive().then_some(emulator)
    }

    fn is_alive(&self) -> bool {
        began(self.pid).as_deref() == Some(&self.started)
    }

    fn answers(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// The emulator that runs, or a new one.
    pub fn ensure(places: &Places, python: &Path, port: Option<u16>) -> anyhow::Result<Self> {
        if let Some(running) = Self::running(places) {
            if running.answers() && port.is_none_or(|port| port == running.port) {
                return Ok(running);
            }
            running.stop(places)?;
        }
        Self::start(places, python, port)
    }

    fn start(places: &Places, python: &Path, port: Option<u16>) -> anyhow::Result<Self> {
        clean(places);
        let port = match port {
            Some(port) => {
                TcpListener::bind(("127.0.0.1", port))
                    .with_context(|| format!("port {port} of 127.0.0.1 is taken"))?;
                port
            }
            None => TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port(),
        };
        let bar = step("Starting the emulator of AWS …");
        let scratch = places.home.join("tmp");
        fs::create_dir_all(&scratch)?;
        let log = fs::File::create(places.home.join("emulator.log"))?;
        let url = format!("http://127.0.0.1:{port}");
        let mut child = Command::new(python)
            .args(["-m", "ministack"])
            .current_dir(&scratch)
            // Functions inherit the endpoint, and find the emulator by it.
            .env("AWS_ENDPOINT_URL", &url)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("PERSIST_STATE", "0")
            .env("LOG_LEVEL", "WARNING")
            .env("TMPDIR", &scratch)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot start the emulator")?;
        let pid = i32::try_from(child.id())?;
        let started = began(pid).context("the emulator ended at once")?;
        let emulator = Self { pid, started, port };
        write_whole(&state(places), &serde_json::to_string(&emulator)?)?;
        let deadline = Instant::now() + START_TIME;
        while !emulator.answers() {
            if child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = places.home.join("emulator.log");
                bail!("the emulator did not start; see {}", log.display());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bar.finish_and_clear();
        Ok(emulator)
    }

    /// Stops the emulator and the functions that it started, and removes what they left.
    pub fn stop(&self, places: &Places) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.pid).context("the emulator's process id is 0")?;
        if self.is_alive() {
            let _ = kill_process_group(pid, Signal::TERM);
            let deadline = Instant::now() + STOP_TIME;
            while self.is_alive() && Instant::now() < deadline {
                if test_kill_process(pid).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        // Functions that did not hear of it.
        let _ = kill_process_group(pid, Signal::KILL);
        clean(places);
        Ok(())
    }
}

fn clean(places: &Places) {
    for file in [state(places), places.local_json()] {
        let _ = fs::remove_file(file);
    }
    let _ = fs::remove_dir_all(places.home.join("tmp"));
}
