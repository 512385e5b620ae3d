//! `paygraph segments`: what there are, who is in them, and whether a file of them is valid.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use paygraph_domain::segments::problems;
use serde_json::{Value, json};

use crate::api::{Api, Connection};
use crate::input;
use crate::show::{money, plain};

/// How many members the API gives at once.
const PAGE: usize = 100;

/// Show segments and their members, and check definitions of them.
#[derive(Args)]
pub struct Segments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    List(List),
    Members(Members),
    Check(Check),
}

/// Print every segment with how many are in it.
#[derive(Args)]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Print who is in a segment.
#[derive(Args)]
struct Members {
    /// The segment
    name: String,
    /// At most so many
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Check a file in the form of infra/catalog/segments.yaml, and say what to change.
#[derive(Args)]
struct Check {
    /// The file; `-` reads standard input
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Segments {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(list) => list.run(),
            What::Members(members) => members.run(),
            What::Check(check) => check.run(),
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<ExitCode> {
        let answer = self.connection.open()?.ask("segments")?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&answer)?);
            return Ok(ExitCode::SUCCESS);
        }
        let segments = answer["data"].as_array().map(Vec::as_slice);
        for segment in segments.unwrap_or_default() {
            let more = if segment["more_members"] == true {
                "+"
            } else {
                ""
            };
            println!(
                "{:>8}  {:<28} {}",
                format!("{}{more}", plain(&segment["members"])),
                plain(&segment["name"]),
                plain(&segment["description"])
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Members {
    fn run(self) -> anyhow::Result<ExitCode> {
        let api = self.connection.open()?;
        let (members, more) = all(&api, &self.name, self.limit)?;
        if self.json {
            println!("{}", json!({ "data": members, "more": more }));
            return Ok(ExitCode::SUCCESS);
        }
        for member in &members {
            let billing = &member["billing"];
            println!(
                "{:<28} {:<32} {:<10} {:<12} {}",
                plain(&member["customer_id"]),
                plain(&member["email"]),
                plain(&billing["tier"]),
                plain(&billing["billing_status"]),
                money(&billing["mrr"])
            );
        }
        if members.is_empty() {
            eprintln!("Nobody is in {}.", self.name);
        }
        if more {
            eprintln!("There are more: `--limit` says how many are shown.");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The members up to a limit, and whether there are more.
fn all(api: &Api, name: &str, limit: usize) -> anyhow::Result<(Vec<Value>, bool)> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        bail!("there is no segment {name:?}");
    }
    let (mut members, mut cursor) = (Vec::new(), None);
    loop {
        let at_once = PAGE.min(limit - members.len()).max(1);
        let after = cursor.map(|cursor: String| format!("&cursor={cursor}"));
        let after = after.unwrap_or_default();
        let mut page = api.ask(&format!("segments/{name}/members?limit={at_once}{after}"))?;
        if let Some(Value::Array(data)) = page.get_mut("data").map(Value::take) {
            members.extend(data);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || members.len() >= limit {
            members.truncate(limit);
            return Ok((members, cursor.is_some()));
        }
    }
}

impl Check {
    fn run(self) -> anyhow::Result<ExitCode> {
        let text = std::io::read_to_string(input::open(Some(&self.file))?)?;
        let problems = problems(&text);
        Ok(input::verdict(&self.file, &problems, self.json))
    }
}
