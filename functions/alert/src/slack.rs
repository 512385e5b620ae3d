//! Slack, by an incoming webhook for each tenant: its URL is a secret (`slack/{tenant}`).
//!
//! At least once: Slack takes no name for a message, so a repeat cannot be told from a new one.
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use paygraph_domain::id::TenantId;
use paygraph_runtime::clock::{Clock as _, SystemClock};
use paygraph_runtime::http::{Http, HttpError, post_json};
use paygraph_runtime::secrets::{SecretCache, SecretSource};
use paygraph_runtime::telemetry::Chain;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::message::Message;
use crate::tell::{Tell, TellError, Told};

/// Slack of every tenant that has one.
#[derive(Debug)]
pub struct Slack<K> {
    urls: SecretCache<K>,
    http: Http,
}

impl<K: SecretSource> Slack<K> {
    /// Slack by the URLs that these secrets have.
    #[must_use]
    pub fn new(secrets: K, http: Http) -> Self {
        Self {
            urls: SecretCache::new(secrets),
            http,
        }
    }

    async fn url(&self, tenant: &TenantId) -> Result<Option<SecretString>, TellError> {
        let name = format!("slack/{tenant}");
        let held = self.urls.get(&name, SystemClock.now()).await;
        let held = held.map_err(|error| TellError::Again(Chain(&error).to_string()))?;
        Ok(held.and_then(|secret| url(secret.expose_secret())))
    }
}

/// The URL of a secret: alone, or as `{"url": "https://…"}`.
fn url(secret: &str) -> Option<SecretString> {
    let secret = secret.trim();
    if !secret.starts_with('{') {
        return (!secret.is_empty()).then(|| secret.into());
    }
    let document: Value = serde_json::from_str(secret).ok()?;
    document.get("url").and_then(Value::as_str).map(Into::into)
}

/// What Slack reads as signs of its own.
/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>
fn plain(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// A link, to what nothing could end too early.
fn link(page: &str) -> Option<String> {
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>|".contains(c);
    let is_page = page.starts_with("https://") && !page.contains(ends);
    is_page.then(|| format!("<{}|In the CRM>", page.replace('&', "&amp;")))
}

fn body(message: &Message<'_>) -> Vec<u8> {
    let mut lines: Vec<_> = message.lines().iter().map(|line| plain(line)).collect();
    lines.extend(message.page.and_then(link));
    json!({ "text": lines.join("\n") }).to_string().into_bytes()
}

impl<K: SecretSource + Sync> Tell for Slack<K> {
    async fn tell(&self, message: &Message<'_>, until: Instant) -> Result<Told, TellError> {
        let Some(url) = self.url(message.tenant).await? else {
            return Ok(Told::Nowhere);
        };
        let request = post_json(&url, body(message)).map_err(never)?;
        let sent = self.http.persist(&request, until).await;
        sent.map(|_| Told::Yes).map_err(never)
    }
}

fn never(error: HttpError) -> TellError {
    match error {
        HttpError::Passing(reason) => TellError::Again(format!("Slack: {reason}")),
        HttpError::Refused(_) | HttpError::Unsendable(_) => {
            TellError::Never(format!("Slack: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_the_url_alone_or_in_json() {
        let read = |text: &str| url(text).map(|url| url.expose_secret().to_owned());
        let expected = Some("https://hooks.example/x".to_owned());
        assert_eq!(read(" https://hooks.example/x\n"), expected);
        assert_eq!(read(r#"{"url":"https://hooks.example/x"}"#), expected);
        assert_eq!(read(r#"{"link":"x"}"#), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn only_a_page_is_linked_to() {
        let page = "https://app.attio.com/acme/workspaces/1?a=b&c=d";
        let expected = "<https://app.attio.com/acme/workspaces/1?a=b&amp;c=d|In the CRM>";
        assert_eq!(link(page).as_deref(), Some(expected));
        for other in [
            "javascript:alert(1)",
            "https://x.example/|y> <!channel>",
            "x",
        ] {
            assert_eq!(link(other), None);
        }
    }

    #[test]
    fn names_cannot_call_people_or_make_links() {
        assert_eq!(plain("<!channel> A & B"), "&lt;!channel&gt; A &amp; B");
    }
}
