//! Building the functions, and putting their binaries where they are packed from.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::{Places, cargo};
use crate::progress::Progress;

/// Every function, by its binary's name.
pub const FUNCTIONS: [&str; 9] = [
    "webhook",
    "worker",
    "tick",
    "reconcile",
    "api",
    "greenlight",
    "sequence",
    "alert",
    "crm",
];
/// The packages and features of a development build: those of the tests. The command, the functions and
/// the tests then share every dependency, so that cargo compiles none of them twice.
pub const WORKSPACE: [&str; 3] = ["--workspace", "--features", "paygraph/as-tests"];
/// The assumed number of crates of a build that was never counted.
const ASSUMED_CRATES: u64 = 330;

/// A way to build the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// For the local stack, in the profile and with the dependencies of the command itself.
    Development,
    /// The same, together with every test.
    Tests,
    /// For measurements: optimised, with the dependencies of the command that measures.
    Bench,
    /// As they are deployed.
    Release,
}

impl Build {
    fn profile(self) -> &'static str {
        match self {
            Self::Development | Self::Tests => "dev",
            Self::Bench => "bench",
            Self::Release => "release",
        }
    }

    /// Names the build in the file that counts its crates.
    fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Tests => "tests",
            Self::Bench => "bench",
            Self::Release => "release",
        }
    }

    /// Whether the profile leaves debug information in the binaries.
    fn needs_stripping(self) -> bool {
        match self {
            Self::Development | Self::Tests | Self::Bench => true,
            Self::Release => false,
        }
    }
}

#[derive(Deserialize)]
struct Message {
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

/// Builds the functions and gives the folder with their binaries.
pub fn functions(places: &Places, how: Build) -> anyhow::Result<PathBuf> {
    let built = compile(places, how)?;
    let folder = places.home.join("functions");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for function in FUNCTIONS {
        let binary = built
            .get(function)
            .with_context(|| format!("{function} was not built"))?;
        let copy = folder.join(function);
        fs::copy(binary, &copy).with_context(|| format!("cannot copy {}", binary.display()))?;
        if how.needs_stripping() {
            // Without `strip` the copy is larger, and works as well.
            let _ = Command::new("strip").arg(&copy).status();
        }
    }
    Ok(folder)
}

/// Compiles the functions, shows the progress, and gives the path of each binary.
fn compile(places: &Places, how: Build) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut child = build(places, how).spawn().context("cannot start cargo")?;
    let counted = places.home.join(format!("crates-{}", how.name()));
    let expected = fs::read_to_string(&counted)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(ASSUMED_CRATES);
    let progress = Progress::bar(
        expected,
        "{prefix} [{bar:30}] {pos}/{len} {elapsed:.dim} {wide_msg:.dim}",
    );
    let bar = progress.as_bar();
    bar.set_prefix(match how {
        Build::Development | Build::Bench | Build::Release => "Building the functions",
        Build::Tests => "Building the functions and the tests",
    });
    let output = child.stdout.take().context("cargo has no output")?;
    let mut built = BTreeMap::new();
    for line in BufReader::new(output).lines() {
        let Ok(message) = serde_json::from_str::<Message>(&line?) else {
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
        bail!("the functions do not build");
    }
    fs::write(counted, bar.position().to_string())?;
    Ok(built)
}

fn build(places: &Places, how: Build) -> Command {
    let mut command = cargo(places);
    command
        .args(["build", "--quiet", "--profile", how.profile()])
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    match how {
        Build::Tests => {
            command.args(WORKSPACE).arg("--all-targets");
        }
        // The whole workspace decides the features, as for the tests: only binaries are built.
        Build::Development => {
            command.args(WORKSPACE).arg("--bins");
        }
        Build::Bench | Build::Release => {
            for function in FUNCTIONS {
                command.args(["-p", &format!("paygraph-{function}")]);
            }
        }
    }
    command
}
