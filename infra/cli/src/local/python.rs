//! Python for the emulator, in an environment of its own.

use std::fs;
use std::ops::Not as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use xxhash_rust::xxh3::xxh3_64;

use super::{Lock, Places};
use crate::progress::Progress;

/// The oldest Python that the emulator runs on.
const OLDEST: (u32, u32) = (3, 10);

/// Packages that are pinned together, in a file of `infra/local`.
#[derive(Debug, Clone, Copy)]
pub struct Packages {
    requirements: &'static str,
    /// A file in the environment with a hash of the requirements. It is written after an installation.
    marker: &'static str,
    installing: &'static str,
    installed: &'static str,
}

/// The emulator, and the libraries that `deploy.py` imports.
const EMULATOR: Packages = Packages {
    requirements: "requirements.txt",
    marker: "installed",
    installing: "Installing the emulator of AWS (once) …",
    installed: "The emulator of AWS is installed",
};
/// The linter of templates and the NATS server, which only the tests use.
const TEST_TOOLS: Packages = Packages {
    requirements: "requirements-tests.txt",
    marker: "installed-tests",
    installing: "Installing the tools of the tests (once) …",
    installed: "The tools of the tests are installed",
};

/// Gives the environment's Python. Installs the emulator if it is not there.
pub fn ensure(places: &Places, lock: &Lock) -> anyhow::Result<PathBuf> {
    let (venv, python) = environment(places);
    if !python.exists() || EMULATOR.missing(places)?.is_some() {
        let _progress = Progress::spinner("Making a Python environment (once) …");
        // An interrupted run may have left half an environment.
        if venv.exists() {
            fs::remove_dir_all(&venv)?;
        }
        let mut make = Command::new(find()?);
        make.args(["-m", "venv"]).arg(&venv);
        lock.share(&mut make)?;
        run(&mut make, "making a Python environment")?;
    }
    EMULATOR.install(places, lock)?;
    Ok(python)
}

/// Gives a tool of the tests by its name. Installs all of them if they are not there.
pub fn test_tool(places: &Places, name: &str) -> anyhow::Result<PathBuf> {
    let lock = places.lock()?;
    let python = ensure(places, &lock)?;
    TEST_TOOLS.install(places, &lock)?;
    Ok(python.with_file_name(name))
}

/// The folder of the environment, and its Python.
fn environment(places: &Places) -> (PathBuf, PathBuf) {
    let venv = places.home.join("venv");
    let python = venv.join("bin/python");
    (venv, python)
}

impl Packages {
    fn file(self, places: &Places) -> PathBuf {
        places.root.join("infra/local").join(self.requirements)
    }

    /// Gives the text of the marker that an installation leaves; none if the packages are installed.
    fn missing(self, places: &Places) -> anyhow::Result<Option<String>> {
        let file = self.file(places);
        let wanted = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let wanted = format!("{:016x}", xxh3_64(&wanted));
        let installed = fs::read_to_string(environment(places).0.join(self.marker));
        Ok(installed
            .is_ok_and(|installed| installed == wanted)
            .not()
            .then_some(wanted))
    }

    fn install(self, places: &Places, lock: &Lock) -> anyhow::Result<()> {
        let Some(wanted) = self.missing(places)? else {
            return Ok(());
        };
        let (venv, python) = environment(places);
        let progress = Progress::spinner(self.installing);
        let mut install = Command::new(python);
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
        run(install.arg(self.file(places)), self.installing)?;
        super::write_whole(&venv.join(self.marker), &wanted)?;
        progress.print(self.installed);
        Ok(())
    }
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
