//! The functions' binaries for the local stack, and building everything that the tests need.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::{Places, cargo};
use crate::function::FUNCTIONS;
use crate::progress::Progress;

/// The packages and features of a development build: those of the tests. The command, the functions and
/// the tests then share every dependency, so that cargo compiles none of them twice.
pub const WORKSPACE: [&str; 3] = ["--workspace", "--features", "paygraph/as-tests"];
/// The assumed number of crates of a build that was never counted.
const ASSUMED_CRATES: u64 = 330;
/// Lets every user run a file, and only its owner change it.
const EXECUTABLE: u32 = 0o755;

/// Where the functions of the local stack come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionSource {
    /// This command, which contains them.
    Command,
    /// Binaries as they are deployed.
    Release,
}

/// A build by cargo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BuildKind {
    /// The functions as they are deployed.
    Release,
    /// Every test.
    Tests,
}

impl BuildKind {
    fn profile(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Tests => "dev",
        }
    }
}

#[derive(Deserialize)]
struct CargoMessage {
    reason: String,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Puts a binary or a script for each function into a folder, and gives the folder.
pub fn place_functions(places: &Places, from: FunctionSource) -> anyhow::Result<PathBuf> {
    let folder = places.home.join("functions");
    let built = match from {
        FunctionSource::Command => None,
        FunctionSource::Release => Some(run_build(places, BuildKind::Release)?),
    };
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    if let Some(built) = built {
        for (function, _) in FUNCTIONS {
            let binary = built
                .get(function)
                .with_context(|| format!("{function} was not built"))?;
            fs::copy(binary, folder.join(function))
                .with_context(|| format!("cannot copy {}", binary.display()))?;
        }
    } else {
        let (command, built) = keep_command(places)?;
        for (function, _) in FUNCTIONS {
            write_script(&folder.join(function), function, &command, built)?;
        }
    }
    Ok(folder)
}

/// Keeps a copy of this command for the stack, since cargo may build another one while the stack runs.
/// Gives the copy and when its original was built.
fn keep_command(places: &Places) -> anyhow::Result<(PathBuf, SystemTime)> {
    let own = std::env::current_exe().context("the command's own file is unknown")?;
    let built = fs::metadata(&own)?.modified()?;
    let copy = places.home.join("command");
    let is_kept = fs::metadata(&copy).and_then(|copy| copy.modified());
    if is_kept.is_ok_and(|kept| kept == built) {
        return Ok((copy, built));
    }
    let unfinished = places.home.join("command-unfinished");
    fs::copy(&own, &unfinished)
        .with_context(|| format!("cannot copy {} to {}", own.display(), unfinished.display()))?;
    fs::File::options()
        .write(true)
        .open(&unfinished)?
        .set_modified(built)?;
    fs::rename(&unfinished, &copy)?;
    Ok((copy, built))
}

/// Writes the script that is deployed in place of a function's binary. It names the command's time, so
/// that another command is deployed again.
fn write_script(
    script: &Path,
    function: &str,
    command: &Path,
    built: SystemTime,
) -> anyhow::Result<()> {
    let command = command.display().to_string().replace('\'', "'\\''");
    let built = built.duration_since(UNIX_EPOCH)?.as_nanos();
    fs::write(
        script,
        format!("#!/bin/sh\n# Built at {built}.\nexec '{command}' function {function}\n"),
    )?;
    fs::set_permissions(script, fs::Permissions::from_mode(EXECUTABLE))?;
    Ok(())
}

/// Builds everything that `cargo test` needs.
pub fn build_tests(places: &Places) -> anyhow::Result<()> {
    run_build(places, BuildKind::Tests).map(drop)
}

/// Runs cargo, shows its progress, and gives the path of each binary.
fn run_build(places: &Places, kind: BuildKind) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut child = build_command(places, kind)
        .spawn()
        .context("cannot start cargo")?;
    let counted = places.home.join(format!("crates-{}", kind.profile()));
    let expected = fs::read_to_string(&counted)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(ASSUMED_CRATES);
    let progress = Progress::bar(
        expected,
        "{prefix} [{bar:30}] {pos}/{len} {elapsed:.dim} {wide_msg:.dim}",
    );
    let bar = progress.as_bar();
    bar.set_prefix(match kind {
        BuildKind::Release => "Building the functions",
        BuildKind::Tests => "Building the tests",
    });
    let output = child.stdout.take().context("cargo has no output")?;
    let mut built = BTreeMap::new();
    for line in BufReader::new(output).lines() {
        let Ok(message) = serde_json::from_str::<CargoMessage>(&line?) else {
            continue;
        };
        if message.reason == "compiler-artifact" {
            let name = message.target.map(|target| target.name).unwrap_or_default();
            bar.inc(1);
            bar.set_length(expected.max(bar.position()));
            bar.set_message(name.clone());
            let is_test = message.profile.is_some_and(|profile| profile.test);
            if let Some(executable) = message.executable.filter(|_| !is_test) {
                built.insert(name, executable);
            }
        }
    }
    if !child.wait()?.success() {
        bail!("cargo cannot build this");
    }
    fs::write(counted, bar.position().to_string())?;
    Ok(built)
}

fn build_command(places: &Places, kind: BuildKind) -> Command {
    let mut command = cargo(places);
    command
        .args(["build", "--quiet", "--profile", kind.profile()])
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    match kind {
        BuildKind::Tests => {
            command.args(WORKSPACE).arg("--all-targets");
        }
        BuildKind::Release => {
            for (function, _) in FUNCTIONS {
                command.args(["-p", &format!("paygraph-{function}")]);
            }
        }
    }
    command
}
