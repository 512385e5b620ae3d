//! `paygraph bench`: measures the cost of the product as medians, counts and ratios.

mod core;
mod folding;
mod import;
mod latency;
mod memory;
mod start;
mod work;

use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::local::{Places, cargo};
use crate::progress::Progress;
use crate::up::Up;

/// Measure: the import, signature check, decode and apply, fold, the webhook's size and start, calls
/// and write units per event, and how long an event takes from Stripe's door to the bus and to an
/// alert.
///
/// Builds the command with full optimisation first, which takes up to a quarter of an hour.
#[derive(Args)]
pub struct Bench {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Measure with this very binary. (Set by the command itself, after it has built one.)
    #[arg(long, hide = true)]
    here: bool,
    /// Leave out every measurement that needs the local stack
    #[arg(long)]
    without_stack: bool,
    /// Measure only the import
    #[arg(long)]
    import: bool,
    /// Measure only the calls and write units per event
    #[arg(long, conflicts_with = "import")]
    calls: bool,
    /// The customers of an import that is measured, with 24 objects each; may be given several times
    #[arg(long, value_name = "NUMBER", requires = "import", default_values_t = import::CUSTOMERS)]
    customers: Vec<u64>,
}

/// One number.
#[derive(Debug, Serialize)]
pub struct Reading {
    name: String,
    value: String,
    wanted: &'static str,
}

impl Reading {
    fn new(name: impl Into<String>, value: String, wanted: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            wanted,
        }
    }
}

/// The middle of several readings.
fn median<T: PartialOrd + Copy>(mut readings: Vec<T>) -> Option<T> {
    readings.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    readings.get(readings.len() / 2).copied()
}

impl Bench {
    /// Measures and prints.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let places = Places::find()?;
        if !self.here {
            return self.optimised(&places);
        }
        let readings = self.measure(&places)?;
        if self.json {
            let all: Vec<Value> = readings.iter().map(|reading| json!(reading)).collect();
            println!("{}", serde_json::to_string_pretty(&all)?);
        } else {
            println!("{:<44} {:>30}   wanted", "what", "measured");
            for Reading {
                name,
                value,
                wanted,
            } in &readings
            {
                println!("{name:<44} {value:>30}   {wanted}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn measure(&self, places: &Places) -> anyhow::Result<Vec<Reading>> {
        if self.calls {
            return work::measure(&Up::detached().ready(places)?);
        }
        // First, since its memory is this process's.
        let mut readings = import::measure(&self.customers)?;
        if self.import {
            return Ok(readings);
        }
        readings.extend(core::measure()?);
        readings.extend(folding::measure(places)?);
        readings.extend(start::measure(places)?);
        if !self.without_stack {
            let local = Up::detached().ready(places)?;
            readings.extend(work::measure(&local)?);
            readings.push(latency::measure(&local)?);
            readings.push(latency::measure_alert(&local)?);
        }
        Ok(readings)
    }

    /// Builds this command with full optimisation and lets that one measure.
    fn optimised(&self, places: &Places) -> anyhow::Result<ExitCode> {
        let progress = Progress::lines("Building the optimised command");
        let built = cargo(places)
            .args(["build", "--quiet", "--profile", "bench", "-p", "paygraph"])
            .status()
            .context("cannot start cargo")?;
        if !built.success() {
            bail!("the optimised command does not build");
        }
        drop(progress);
        // Cargo puts the profiles `bench` and `release` into one folder.
        let mut command = Command::new(places.root.join("target/release/paygraph"));
        command.args(["bench", "--here"]).current_dir(&places.root);
        if self.json {
            command.arg("--json");
        }
        if self.without_stack {
            command.arg("--without-stack");
        }
        if self.calls {
            command.arg("--calls");
        }
        if self.import {
            command.arg("--import");
            for customers in &self.customers {
                command.args(["--customers", &customers.to_string()]);
            }
        }
        let measured = command
            .status()
            .context("cannot start the optimised command")?;
        if !measured.success() {
            bail!("the measurement failed");
        }
        Ok(ExitCode::SUCCESS)
    }
}
