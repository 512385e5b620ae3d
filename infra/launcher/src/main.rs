//! `cargo paygraph`: builds the `paygraph` command and becomes it.
//!
//! Cargo prints a line per crate, and some crates take half a minute. Where no terminal shows cargo's
//! progress bar, this prints a line every ten seconds. It has no dependency, so it is there at once.

use std::env;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

/// How long the build may take between two lines without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// The arguments of cargo. The features are those of the tests, which then find the command built.
const BUILD_ARGUMENTS: [&str; 5] = ["build", "--package", "paygraph", "--features", "as-tests"];

fn main() -> ExitCode {
    match launch() {
        Ok(failed) => failed,
        Err(error) => {
            eprintln!("error: cannot start the command: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns only if the command cannot be built or started.
fn launch() -> io::Result<ExitCode> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = without_package(&mut Command::new(cargo))
        .args(BUILD_ARGUMENTS)
        .spawn()?;
    if !io::stderr().is_terminal() {
        thread::spawn(print_lines);
    }
    if !build.wait()?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let command = env::current_exe()?.with_file_name("paygraph");
    Err(without_package(&mut Command::new(command))
        .args(env::args_os().skip(1))
        .exec())
}

/// Takes the variables away by which cargo describes the launcher's package. Build scripts that read
/// them (`ring` does) would run again after each build by hand, and all that depends on them.
fn without_package(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}

fn print_lines() {
    let start = Instant::now();
    loop {
        thread::sleep(LINE_INTERVAL);
        eprintln!("Building the command ({} s)", start.elapsed().as_secs());
    }
}
