//! Slack, by an incoming webhook for each tenant: its URL is a secret (`slack/{tenant}`).
//!
//! At least once: Slack takes no name for a message, so a repeat cannot be told from a new one.
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>
//!
//! What people have typed stands in `plain_text`, where Slack reads neither formatting nor links.
//! Only our own link to the CRM is `mrkdwn`, and `verbatim`. The field `text` is what notifications
//! show; `mrkdwn: false` and `parse: "none"` keep Slack from reading it as more than text.
//! <https://docs.slack.dev/reference/block-kit/composition-objects/text-object>

use paygraph_domain::id::TenantId;
use paygraph_domain::text::shorten;
use paygraph_runtime::clock::{Clock as _, SystemClock};
use paygraph_runtime::http::{Http, HttpError, post_json};
use paygraph_runtime::secrets::{SecretCache, SecretSource};
use paygraph_runtime::telemetry::Chain;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::message::{Digest, Message};
use crate::tell::{Tell, TellError, Told};

/// The most characters of a text before its signs are escaped. The longest escape, `&amp;`, makes
/// five of one, and a text object takes 3,000.
const MAX_TEXT: usize = 3_000 / 5;

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

    /// Sends one message, once.
    async fn send(
        &self,
        tenant: &TenantId,
        body: Vec<u8>,
        until: Instant,
    ) -> Result<Told, TellError> {
        let Some(url) = self.url(tenant).await? else {
            return Ok(Told::Nowhere);
        };
        let unsendable = |error: HttpError| TellError::Never(format!("Slack: {error}"));
        let request = post_json(&url, body).map_err(unsendable)?;
        let answer = self.http.attempt(&request, until, None).await;
        let answer = answer.map_err(|passing| {
            let reason = format!("Slack: {}", passing.problem);
            match passing.told {
                Some(wait) => TellError::Limited(wait, reason),
                None => TellError::Again(reason),
            }
        })?;
        match answer.status {
            200..=299 => Ok(Told::Yes),
            status => Err(unsendable(HttpError::Refused(status))),
        }
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

/// Escapes the three signs by which Slack finds its own, in every text object.
/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>
fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// A link, to what nothing could end too early.
fn link(page: &str) -> Option<String> {
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>|".contains(c);
    let is_page = page.starts_with("https://") && !page.contains(ends) && page.len() < MAX_TEXT;
    is_page.then(|| format!("<{}|In the CRM>", page.replace('&', "&amp;")))
}

/// The message of these lines, and a page that they are about.
fn body(lines: &[String], page: Option<&str>) -> Vec<u8> {
    let plain = escape(&shorten(&lines.join("\n"), MAX_TEXT));
    let link = page.and_then(link);
    let block = |text: Value| json!({ "type": "section", "text": text });
    let mut blocks = vec![block(
        json!({ "type": "plain_text", "text": plain, "emoji": false }),
    )];
    blocks.extend(
        link.as_ref()
            .map(|link| block(json!({ "type": "mrkdwn", "text": link, "verbatim": true }))),
    );
    let text: Vec<_> = [plain].into_iter().chain(link).collect();
    let message = json!({
        "text": text.join("\n"), "blocks": blocks, "mrkdwn": false, "parse": "none",
        "unfurl_links": false, "unfurl_media": false,
    });
    message.to_string().into_bytes()
}

impl<K: SecretSource + Sync> Tell for Slack<K> {
    async fn tell(&self, message: &Message<'_>, until: Instant) -> Result<Told, TellError> {
        let body = body(&message.lines(), message.page);
        self.send(message.tenant, body, until).await
    }

    /// Slack takes one message a second per channel, and short bursts of more.
    /// <https://docs.slack.dev/apis/web-api/rate-limits>
    async fn is_limited(&self, tenant: &TenantId) -> Result<bool, TellError> {
        Ok(self.url(tenant).await?.is_some())
    }

    async fn tell_digest(&self, digest: &Digest<'_>, until: Instant) -> Result<Told, TellError> {
        let body = body(&digest.lines(), None);
        self.send(digest.tenant, body, until).await
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

    fn sent(lines: &[&str], page: Option<&str>) -> Value {
        let lines: Vec<_> = lines.iter().map(|&line| line.to_owned()).collect();
        serde_json::from_slice(&body(&lines, page)).unwrap()
    }

    /// A9: signs that format, links, mentions and emoji of a name are only shown.
    #[test]
    fn a9_names_cannot_format_link_or_call_people() {
        let name = "*b* _i_ ~s~ `c` <!channel> <https://evil.example|Acme> & :fire: evil.example";
        let message = sent(&[name], Some("https://app.attio.com/acme/1"));
        let shown = "*b* _i_ ~s~ `c` &lt;!channel&gt; &lt;https://evil.example|Acme&gt; &amp; :fire: evil.example";
        let link = "<https://app.attio.com/acme/1|In the CRM>";
        let expected = json!({
            "text": format!("{shown}\n{link}"), "mrkdwn": false, "parse": "none",
            "unfurl_links": false, "unfurl_media": false,
            "blocks": [
                { "type": "section", "text": { "type": "plain_text", "text": shown, "emoji": false } },
                { "type": "section", "text": { "type": "mrkdwn", "text": link, "verbatim": true } },
            ],
        });
        assert_eq!(message, expected);
    }

    /// A9: the longest text, once escaped, is one that Slack takes.
    #[test]
    fn a9_a_text_object_stays_within_its_limit() {
        let message = sent(&[&"&".repeat(10_000)], None);
        let text = message["blocks"][0]["text"]["text"].as_str().unwrap();
        assert!(text.len() <= 3_000 && text.ends_with("&amp;…"), "{text}");
    }
}
