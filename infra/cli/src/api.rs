//! The read API of a stack: the local one, or a deployed one by its address.

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use crate::local::{Local, Places, agent};

/// Which API.
#[derive(Args)]
pub struct Connection {
    /// The API of a deployed stack [default: the local stack]
    #[arg(long, value_name = "URL", requires = "token")]
    api_url: Option<String>,
    /// A token for it; it names the tenant
    #[arg(long)]
    token: Option<String>,
}

impl Connection {
    /// Finds the API.
    pub fn open(self) -> anyhow::Result<Api> {
        let local = || Local::read(&Places::find()?);
        Ok(match (self.api_url, self.token) {
            (Some(url), Some(token)) => Api { url, token },
            (None, Some(token)) => Api {
                url: local()?.api_url,
                token,
            },
            (_, None) => Api::local(&local()?),
        })
    }
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
        self.ask(&format!("stripe/{path}"))
    }

    /// Asks a path below `/api/`.
    pub fn ask(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}/api/{path}", self.url);
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
