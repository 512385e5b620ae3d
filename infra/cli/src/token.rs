//! `paygraph token`: tokens for the API.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use paygraph_store::token::Right;
use serde_json::json;

use crate::stack::{Which, now, run};

/// Make tokens for the API.
#[derive(Args)]
pub struct Token {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Create(Create),
}

/// Make a token. It is shown once: only its hash is kept.
#[derive(Args)]
struct Create {
    /// What it is for
    #[arg(long, default_value = "command line")]
    name: String,
    /// It may read customers but not put them
    #[arg(long)]
    read_only: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

impl Token {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let What::Create(create) = self.what;
        let stack = create.which.open()?;
        let rights: &[Right] = if create.read_only {
            &[Right::Read]
        } else {
            &[Right::Read, Right::Write]
        };
        let tenant = &create.which.tenant;
        let token = run(async {
            Ok(stack
                .store
                .create_token(tenant, &create.name, rights, now())
                .await?)
        })?;
        if create.json {
            println!("{}", json!({ "token": token, "tenant": tenant }));
        } else {
            println!("{token}");
            eprintln!("Keep it: it is not shown again.");
        }
        Ok(ExitCode::SUCCESS)
    }
}
