//! `paygraph explain`: a customer's state, why it is so, and what changed last.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::local::{Local, Places, agent};
use crate::show;

/// Tell a customer's billing state, where it comes from, and its last changes.
#[derive(Args)]
pub struct Explain {
    /// Our id of the customer, or a Stripe `cus_…`
    customer: String,
    /// How many changes
    #[arg(long, default_value_t = 10)]
    changes: u8,
    /// The API of a deployed stack [default: the local stack]
    #[arg(long, requires = "token")]
    api_url: Option<String>,
    /// A token for it
    #[arg(long)]
    token: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The read API of a stack.
pub struct Api {
    url: String,
    token: String,
}

impl Api {
    /// The local stack's.
    pub fn local(local: &Local) -> Self {
        Self {
            url: local.api_url.clone(),
            token: local.api_token.clone(),
        }
    }

    /// Asks a path below `/api/stripe/`.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}/api/stripe/{path}", self.url);
        let request = agent()
            .get(&url)
            .config()
            .http_status_as_error(false)
            .build();
        let mut answer = request
            .header("authorization", &format!("Bearer {}", self.token))
            .call()
            .with_context(|| format!("{url} does not answer"))?;
        let status = answer.status();
        let body: Value = answer
            .body_mut()
            .read_json()
            .context("the answer is not JSON")?;
        if !status.is_success() {
            bail!(
                "{}",
                body["error"]["message"]
                    .as_str()
                    .unwrap_or("the API refused")
            );
        }
        Ok(body)
    }
}

impl Explain {
    /// Asks and tells.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let api = match (self.api_url, self.token) {
            (Some(url), Some(token)) => Api { url, token },
            _ => Api::local(&Local::read(&Places::find()?)?),
        };
        let id = &self.customer;
        let record = api.get(&format!("customer/{id}"))?;
        let subscriptions = api.get(&format!("subscriptions/{id}"))?;
        let audit = api.get(&format!("audit/{id}?limit={}", self.changes.max(1)))?;
        if self.json {
            let all = json!({
                "customer": record, "subscriptions": subscriptions["data"], "audit": audit["data"],
            });
            println!("{}", serde_json::to_string_pretty(&all)?);
        } else {
            print!("{}", show::customer(&record));
            print!("{}", show::reasons(&record, &subscriptions["data"]));
            print!("{}", show::audit(&audit["data"]));
        }
        Ok(ExitCode::SUCCESS)
    }
}
