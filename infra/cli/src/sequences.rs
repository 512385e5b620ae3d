//! `paygraph sequences`: what there are, whether a file of them is valid, and what one would send.

mod preview;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use paygraph_domain::segments::Segments;
use paygraph_domain::sequence::{Reentry, Sequence, Trigger, problems};
use paygraph_engine::ports::Store as _;
use serde_json::{Value, json};

use self::preview::{Preview, Simulate};
use crate::input;
use crate::stack::{Which, run};

/// Show sequences, check definitions of them, and see what one would send.
#[derive(Args)]
pub struct Sequences {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    List(List),
    Check(Check),
    Preview(Preview),
    Simulate(Simulate),
}

/// Print every sequence of a tenant, and whether it runs or is a draft.
#[derive(Args)]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Check a file in the form of those in infra/catalog/sequences, and say what to change.
#[derive(Args)]
struct Check {
    /// The file; `-` reads standard input
    file: PathBuf,
    /// The settings whose segments triggers may name [default: those of infra/catalog]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Sequences {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(list) => list.run(),
            What::Check(check) => check.run(),
            What::Preview(preview) => preview.run(),
            What::Simulate(simulate) => simulate.run(),
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<ExitCode> {
        let stack = self.which.open()?;
        let tenant = &self.which.tenant;
        let settings = run(async { Ok(stack.store.settings(tenant).await?) })?;
        let all = settings.sequences.iter();
        let all: Vec<Value> = all
            .map(|(name, sequence)| {
                entry(name, sequence, settings.running_sequence(name).is_some())
            })
            .collect();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&json!({ "data": all }))?);
            return Ok(ExitCode::SUCCESS);
        }
        for entry in &all {
            println!(
                "{:<8} {:<28} {:<40} {} steps  {}",
                if entry["enabled"] == true {
                    "runs"
                } else {
                    "draft"
                },
                entry["name"].as_str().unwrap_or_default(),
                entry["trigger"].as_str().unwrap_or_default(),
                entry["steps"],
                entry["description"].as_str().unwrap_or_default()
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn entry(name: &str, sequence: &Sequence, enabled: bool) -> Value {
    let trigger = match &sequence.trigger {
        Trigger::Event { event, .. } => event.clone(),
        Trigger::Segment { segment } => format!("segment {segment}"),
    };
    let reentry = match sequence.reentry {
        Reentry::Never => "never".to_owned(),
        Reentry::AfterEnd => "after_end".to_owned(),
        Reentry::AfterDays(days) => format!("after {days} days"),
    };
    json!({
        "name": name, "description": sequence.description, "enabled": enabled,
        "trigger": trigger, "reentry": reentry, "steps": sequence.steps.len(),
    })
}

impl Check {
    fn run(self) -> anyhow::Result<ExitCode> {
        let text = std::io::read_to_string(input::open(Some(&self.file))?)?;
        let segments = match &self.settings {
            Some(_) => input::settings(self.settings.as_ref())?.segments,
            None => Segments::example(),
        };
        let problems = problems(&text, &segments);
        Ok(input::verdict(&self.file, &problems, self.json))
    }
}
