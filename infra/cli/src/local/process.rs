//! A process of ours, told apart from a later one that got the same id.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

const STOP_TIME: Duration = Duration::from_secs(10);

/// A process that leads a group of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    pid: i32,
    /// When it began, as the system tells it.
    started: String,
}

impl Process {
    /// The process that has this id now.
    pub fn find(id: u32) -> anyhow::Result<Self> {
        let pid = i32::try_from(id)?;
        let started = began(pid).context("the process ended at once")?;
        Ok(Self { pid, started })
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        began(self.pid).as_deref() == Some(&self.started)
    }

    /// Ends it with its whole group: asked first, then made to.
    pub fn stop(&self) -> anyhow::Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        let group = Pid::from_raw(self.pid).context("the process id is 0")?;
        let _ = kill_process_group(group, Signal::TERM);
        let deadline = Instant::now() + STOP_TIME;
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        // Those of its group that did not hear of it.
        let _ = kill_process_group(group, Signal::KILL);
        Ok(())
    }
}

/// When a process began; none when there is no such process, or only its remains.
fn began(pid: i32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let ticks = ticks_of(&stat)?;
        return Some(format!("{}+{ticks}", boot.trim()));
    }
    let answer = Command::new("ps")
        .args(["-o", "stat=,lstart=", "-p", &pid.to_string()])
        // The same words whoever asks.
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let (state, start) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| start.trim().to_owned())
}

/// The start, in ticks since the boot, from Linux's `/proc/<pid>/stat` (see `man proc`).
fn ticks_of(stat: &str) -> Option<&str> {
    // The name is in brackets and may hold anything, brackets too. The state follows it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)
}

#[cfg(test)]
mod tests {
    use super::ticks_of;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let rest = "1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 8421 1 2";
        for name in ["python", "a b", "a) S (b", ")"] {
            let stat = format!("7 ({name}) S {rest}");
            assert_eq!(ticks_of(&stat), Some("8421"), "{name}");
        }
        assert_eq!(ticks_of(&format!("7 (python) Z {rest}")), None, "ended");
        assert_eq!(ticks_of("7 (python"), None);
    }
}
