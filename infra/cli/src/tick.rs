//! `paygraph tick`: what the minute function does with time, for any instant.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;

use crate::stack::{Which, now, run};

/// How long a run may take.
const TIME: Duration = Duration::from_secs(3600);

/// Let time pass: trials that end, grace that is over, cards that run out, segments that move.
///
/// The stack does this every minute by itself; this does it at once, and for any instant. Only
/// contacts whose time has come are read. Time never goes back: a later instant stays in force.
#[derive(Args)]
pub struct Tick {
    /// The instant to work for [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = |text: &str| Timestamp::parse(text))]
    now: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

impl Tick {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let stack = self.which.open()?;
        let instant = self.now.unwrap_or_else(now);
        let (engine, bus) = stack.engine();
        let ticked = run(async { Ok(engine.tick(&bus, instant, Deadline::after(TIME)).await?) })?;
        if self.json {
            println!("{}", serde_json::to_string(&ticked)?);
        } else {
            println!(
                "As of {instant}: {} contacts were due, {} events came of it.",
                ticked.contacts, ticked.events
            );
        }
        Ok(if ticked.failed == 0 {
            ExitCode::SUCCESS
        } else {
            eprintln!("error: {} contacts could not be computed", ticked.failed);
            ExitCode::FAILURE
        })
    }
}
