//! What several commands read: a file or standard input, and a tenant's settings.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use serde_json::json;

/// Opens a file; `-` and nothing mean standard input.
pub fn open(file: Option<&Path>) -> anyhow::Result<Box<dyn BufRead + Send>> {
    match file {
        Some(path) if path != Path::new("-") => {
            let file =
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
        }
        Some(_) | None => Ok(Box::new(BufReader::with_capacity(1 << 20, io::stdin()))),
    }
}

/// A tenant's settings from a file, else those that ship as the example.
pub fn settings(file: Option<&PathBuf>) -> anyhow::Result<Settings> {
    let Some(path) = file else {
        return Settings::example().context("the example settings are not valid");
    };
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Settings::parse(&text).with_context(|| format!("{} is not valid", path.display()))
}

/// Reads an instant from the command line.
pub fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|_| "expected RFC 3339, as in 2026-11-21T00:00:00Z".to_owned())
}

/// Tells what is wrong with a definition that was checked; the exit code says whether anything is.
pub fn verdict(file: &Path, problems: &[String], as_json: bool) -> ExitCode {
    let valid = problems.is_empty();
    if as_json {
        println!("{}", json!({ "valid": valid, "problems": problems }));
    } else if valid {
        println!("{} is valid.", file.display());
    } else {
        for problem in problems {
            println!("{problem}");
        }
    }
    if valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
