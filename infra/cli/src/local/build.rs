//! Building the functions, and putting their binaries where they are packed from.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use super::{Places, cargo};

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
/// What tests are built and run with: the command itself is then not compiled another time.
pub const TESTED: [&str; 3] = ["--workspace", "--features", "paygraph/as-tests"];
/// About how many crates a build has, before one was counted.
const ABOUT: u64 = 330;

/// How the functions are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// For the local stack: quickly, and small enough to be deployed at every `up`.
    Local,
    /// As they are deployed.
    Release,
    /// Together with every test, from the same dependencies: none is compiled twice.
    Tests,
}

impl Build {
    fn profile(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Release => "release",
            Self::Tests => "dev",
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
        if how == Build::Tests {
            // The other profiles do it themselves. Where there is no `strip`, it is only larger.
            let _ = Command::new("strip").arg(&copy).status();
        }
    }
    Ok(folder)
}

/// Compiles the functions, showing how far it is, and gives where cargo put each binary.
fn compile(places: &Places, how: Build) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut child = build(places, how).spawn().context("cannot start cargo")?;
    let counted = places.home.join(format!("crates-{}", how.profile()));
    let expected = fs::read_to_string(&counted)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(ABOUT);
    let bar = ProgressBar::new(expected);
    let style = "{prefix} [{bar:30}] {pos}/{len} {elapsed:.dim} {wide_msg:.dim}";
    bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
    bar.set_prefix(match how {
        Build::Local | Build::Release => "Building the functions",
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
    bar.finish_and_clear();
    Ok(built)
}

fn build(places: &Places, how: Build) -> Command {
    let mut command = cargo(places);
    command
        .args(["build", "--quiet", "--profile", how.profile()])
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    if how == Build::Tests {
        command.args(TESTED).arg("--all-targets");
        return command;
    }
    for function in FUNCTIONS {
        command.args(["-p", &format!("paygraph-{function}")]);
    }
    command
}
