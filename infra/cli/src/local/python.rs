//! Python for the emulator, in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use xxhash_rust::xxh3::xxh3_64;

use super::{Lock, Places};
use crate::progress::Progress;

/// The oldest Python that the emulator runs on.
const OLDEST: (u32, u32) = (3, 10);

/// The environment's Python, with everything installed. Does nothing when it is there already.
pub fn ensure(places: &Places, lock: &Lock) -> anyhow::Result<PathBuf> {
    let venv = places.home.join("venv");
    let python = venv.join("bin/python");
    let requirements = places.root.join("infra/local/requirements.txt");
    let wanted = fs::read(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let wanted = format!("{:016x}", xxh3_64(&wanted));
    let marker = venv.join("installed");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) && python.exists() {
        return Ok(python);
    }
    let system = find()?;
    let progress = Progress::spinner("Installing the emulator of AWS (once) …");
    // What an interrupted run has left is not to be trusted.
    if venv.exists() {
        fs::remove_dir_all(&venv)?;
    }
    let mut make = Command::new(&system);
    make.args(["-m", "venv"]).arg(&venv);
    lock.share(&mut make)?;
    run(&mut make, "making a Python environment")?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        // Python compiles the modules that it imports; most are never imported.
        "--no-compile",
        "-r",
    ]);
    lock.share(&mut install)?;
    run(install.arg(&requirements), "installing the emulator")?;
    super::write_whole(&marker, &wanted)?;
    progress.print("The emulator of AWS is installed");
    Ok(python)
}

fn find() -> anyhow::Result<PathBuf> {
    for name in [
        "python3",
        "python3.13",
        "python3.12",
        "python3.11",
        "python3.10",
        "python",
    ] {
        let asked = Command::new(name)
            .args([
                "-c",
                "import sys; print(sys.version_info[0], sys.version_info[1])",
            ])
            .output();
        let Ok(answer) = asked else { continue };
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let mut numbers = text
            .split_whitespace()
            .filter_map(|n| n.parse::<u32>().ok());
        if let (Some(major), Some(minor)) = (numbers.next(), numbers.next())
            && (major, minor) >= OLDEST
        {
            return Ok(Path::new(name).to_path_buf());
        }
    }
    bail!(
        "Python {}.{} or newer is needed for the local stack, with its `venv` module, as `python3` \
         on the PATH (Debian: apt install python3-venv)",
        OLDEST.0,
        OLDEST.1
    )
}

/// Runs a command; its output is shown only when it fails.
pub fn run(command: &mut Command, what: &str) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("{what}: cannot start"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{what} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            errors.trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
