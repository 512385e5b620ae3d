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
pub const FUNCTIONS: [&str; 8] = [
    "webhook",
    "worker",
    "tick",
    "reconcile",
    "api",
    "greenlight",
    "sequence",
    "alert",
];
/// About how many crates a build has, before one was counted.
const ABOUT: u64 = 330;

#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Builds the functions and gives the folder with their binaries.
pub fn functions(places: &Places, release: bool) -> anyhow::Result<PathBuf> {
    let built = compile(places, if release { "release" } else { "local" })?;
    let folder = places.home.join("functions");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for function in FUNCTIONS {
        let binary = built
            .get(function)
            .with_context(|| format!("{function} was not built"))?;
        fs::copy(binary, folder.join(function))
            .with_context(|| format!("cannot copy {}", binary.display()))?;
    }
    Ok(folder)
}

/// Compiles the functions, showing how far it is, and gives where cargo put each binary.
fn compile(places: &Places, profile: &str) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut child = build(places, profile)
        .spawn()
        .context("cannot start cargo")?;
    let counted = places.home.join(format!("crates-{profile}"));
    let expected = fs::read_to_string(&counted)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(ABOUT);
    let bar = ProgressBar::new(expected);
    let style = "Building the functions [{bar:30}] {pos}/{len} {elapsed:.dim} {wide_msg:.dim}";
    bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
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
            if let Some(executable) = message.executable {
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

fn build(places: &Places, profile: &str) -> Command {
    let mut command = cargo(places);
    command
        .args([
            "build",
            "--profile",
            profile,
            "--message-format=json-render-diagnostics",
            "--quiet",
        ])
        .stdout(Stdio::piped());
    for function in FUNCTIONS {
        command.args(["-p", &format!("paygraph-{function}")]);
    }
    command
}
