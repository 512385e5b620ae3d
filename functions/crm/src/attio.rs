//! Attio, by its REST API; each tenant's token is a secret (`attio/{tenant}`).
//!
//! A record is asserted by the product's own id. An assertion would overwrite lists, so those are
//! left out of it, and what they lack is then added.
//! <https://docs.attio.com/rest-api/endpoint-reference/records/assert-a-record>

mod check;
mod conflict;
mod names;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paygraph_domain::crm::{Object, Record};
use paygraph_domain::id::TenantId;
use paygraph_engine::crm::{Crm, CrmError, Task, There};
use paygraph_runtime::clock::{Clock as _, SystemClock};
use paygraph_runtime::http::{Answer, Asked, Http, HttpError, Method, with_token};
use paygraph_runtime::pace::Pace;
use paygraph_runtime::secrets::{SecretCache, SecretSource};
use paygraph_runtime::telemetry::Chain;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::conflict::refused_address;
use self::wire::{Lacking, asserted, lacking, task, to_add};

/// How long to wait before something is added once more, in milliseconds.
const WAITS: [u64; 3] = [250, 1_000, 4_000];
/// Where Attio is.
const URL: &str = "https://api.attio.com";

/// Attio of every tenant that has it.
#[derive(Debug)]
pub struct Attio<K> {
    secrets: SecretCache<K>,
    http: Http,
    writes_per_second: u32,
    paces: Mutex<BTreeMap<TenantId, Arc<Pace>>>,
}

impl<K: SecretSource> Attio<K> {
    /// Attio by the tokens that these secrets have. A tenant's is asked so many times a second at
    /// most.
    #[must_use]
    pub fn new(secrets: K, http: Http, writes_per_second: u32) -> Self {
        Self {
            secrets: SecretCache::new(secrets),
            http,
            writes_per_second,
            paces: Mutex::default(),
        }
    }

    /// The tenant's, if it has one.
    ///
    /// # Errors
    /// [`CrmError::Again`] when the secret cannot be read.
    pub async fn of(&self, tenant: &TenantId) -> Result<Option<Account>, CrmError> {
        let name = format!("attio/{tenant}");
        let held = self.secrets.get(&name, SystemClock.now()).await;
        let held = held.map_err(|error| CrmError::Again(Chain(&error).to_string()))?;
        let Some((token, url)) = held.and_then(|secret| read(secret.expose_secret())) else {
            return Ok(None);
        };
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = paces.entry(tenant.clone());
        let pace = pace.or_insert_with(|| Arc::new(Pace::new(self.writes_per_second)));
        Ok(Some(Account {
            token,
            url,
            http: self.http.clone(),
            pace: Arc::clone(pace),
        }))
    }
}

/// The token of a secret, alone or as `{"token": "…"}`, and another place for Attio (`"url"`).
fn read(secret: &str) -> Option<(SecretString, String)> {
    let secret = secret.trim();
    if !secret.starts_with('{') {
        return (!secret.is_empty()).then(|| (secret.into(), URL.to_owned()));
    }
    let document: Value = serde_json::from_str(secret).ok()?;
    let token = document.get("token")?.as_str()?;
    let url = document.get("url").and_then(Value::as_str).unwrap_or(URL);
    Some((token.into(), url.trim_end_matches('/').to_owned()))
}

/// A tenant's Attio.
#[derive(Debug)]
pub struct Account {
    token: SecretString,
    url: String,
    http: Http,
    pace: Arc<Pace>,
}

impl Account {
    fn request(&self, method: Method, path: &str, body: Option<Value>) -> Result<Asked, CrmError> {
        let url = format!("{}/v2/{path}", self.url);
        let body = body.map(|body| body.to_string().into_bytes());
        with_token(method, &url, &self.token, body).map_err(failed)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        until: Instant,
    ) -> Result<Answer, CrmError> {
        let request = self.request(method, path, body)?;
        let answer = self.http.settle(&request, until, Some(&self.pace)).await;
        answer.map_err(failed)
    }

    /// Asks for what is not to be repeated without another look.
    async fn ask_once(
        &self,
        method: Method,
        path: &str,
        body: Value,
        until: Instant,
    ) -> Result<Answer, CrmError> {
        let request = self.request(method, path, Some(body))?;
        let answer = self.http.attempt(&request, until, Some(&self.pace)).await;
        answer.map_err(|passing| failed(HttpError::Passing(passing.problem)))
    }

    /// Brings a record without its lists up to date. Gives it, and what its lists lack.
    async fn assert(
        &self,
        record: &Record,
        workspaces: &[String],
        until: Instant,
    ) -> Result<(There, Lacking), CrmError> {
        let answer = self
            .put(record, asserted(record, workspaces), until)
            .await?;
        if let Some(address) = refused_address(record, &answer) {
            let without = self.assert_without_address(record, address, workspaces, until);
            return without.await;
        }
        let there = taken(&answer)?;
        let lacking = lacking(record, workspaces, &there);
        let there = wire::there(&there);
        let there = there.ok_or_else(|| CrmError::Again("Attio gave no record".to_owned()))?;
        Ok((there, lacking))
    }

    /// Asserts these values of a record.
    async fn put(
        &self,
        record: &Record,
        values: Value,
        until: Instant,
    ) -> Result<Answer, CrmError> {
        let (slug, by) = (names::slug(record.object), names::id(record.object));
        let path = format!("objects/{slug}/records?matching_attribute={by}");
        self.ask(Method::PUT, &path, Some(values), until).await
    }

    /// Adds to lists what they lack.
    async fn add(
        &self,
        object: Object,
        id: &str,
        lacking: Lacking,
        until: Instant,
    ) -> Result<(), CrmError> {
        let slug = names::slug(object);
        // An option must be there before somebody can have it.
        for (list, option) in lacking.options() {
            let path = format!("objects/{slug}/attributes/{list}/options");
            let body = json!({ "data": { "title": option } });
            let answer = self.ask(Method::POST, &path, Some(body), until).await?;
            if answer.status != 409 {
                taken(&answer)?;
            }
        }
        let path = format!("objects/{slug}/records/{id}");
        let body = to_add(&lacking);
        let answer = self.ask_once(Method::PATCH, &path, body, until).await?;
        taken(&answer).map(|_| ())
    }
}

impl Crm for Account {
    async fn upsert(
        &self,
        record: &Record,
        workspaces: &[String],
        until: Instant,
    ) -> Result<There, CrmError> {
        let mut waits = WAITS.into_iter();
        loop {
            let (there, lacking) = self.assert(record, workspaces, until).await?;
            if lacking.is_empty() {
                return Ok(there);
            }
            match (
                self.add(record.object, &there.id, lacking, until).await,
                waits.next(),
            ) {
                // It may have been added, so it is looked at again.
                (Err(CrmError::Again(_)), Some(wait)) => sleep(Duration::from_millis(wait)).await,
                (added, _) => return added.map(|()| there),
            }
        }
    }

    /// Attio takes no name for a task, so it is looked for first.
    async fn task(&self, wanted: &Task, until: Instant) -> Result<(), CrmError> {
        let (content, workspace) = (wanted.to_string(), &wanted.workspace);
        let slug = names::slug(Object::Workspace);
        let path = format!("tasks?linked_object={slug}&linked_record_id={workspace}&limit=500");
        let there = taken(&self.ask(Method::GET, &path, None, until).await?)?;
        let there = there.get("data").and_then(Value::as_array).into_iter();
        let mut there = there.flatten().map(|task| task.get("content_plaintext"));
        if there.any(|text| text.and_then(Value::as_str) == Some(&content)) {
            return Ok(());
        }
        let body = task(wanted, &content);
        taken(&self.ask_once(Method::POST, "tasks", body, until).await?).map(|_| ())
    }
}

/// Attio's own word for a refusal: its sentences may quote names.
fn code(answer: &Answer) -> Option<String> {
    let said: Value = serde_json::from_slice(&answer.body).ok()?;
    let code = said.get("code")?.as_str()?;
    let is_plain = code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_plain.then(|| code.to_owned())
}

/// What a good answer says, or why there is none.
fn taken(answer: &Answer) -> Result<Value, CrmError> {
    let code = code(answer).unwrap_or_else(|| "no code".to_owned());
    match answer.status {
        200..=299 => Ok(serde_json::from_slice(&answer.body).unwrap_or_default()),
        // A new one is read within minutes.
        401 => Err(CrmError::Again("Attio refuses the token (401)".to_owned())),
        409 => Err(CrmError::Again(format!("Attio: a conflict ({code})"))),
        403 => Err(CrmError::Never(format!(
            "Attio: the token lacks a permission (403, {code})"
        ))),
        status => Err(CrmError::Never(format!("Attio answered {status} ({code})"))),
    }
}

fn failed(error: HttpError) -> CrmError {
    match error {
        HttpError::Passing(reason) => CrmError::Again(format!("Attio: {reason}")),
        HttpError::Refused(_) | HttpError::Unsendable(_) => {
            CrmError::Never(format!("Attio: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_the_token_alone_or_in_json() {
        let read =
            |text: &str| read(text).map(|(token, url)| (token.expose_secret().to_owned(), url));
        let token = |url: &str| Some(("tok".to_owned(), url.to_owned()));
        assert_eq!(read(" tok\n"), token(URL));
        assert_eq!(read(r#"{"token":"tok"}"#), token(URL));
        let other = r#"{"token":"tok","url":"http://127.0.0.1:1/"}"#;
        assert_eq!(read(other), token("http://127.0.0.1:1"));
        assert_eq!(read(r#"{"url":"x"}"#), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn refusals_are_named_without_what_they_quote() {
        let answer = |status, body: &str| Answer {
            status,
            body: body.to_owned().into(),
            retry_after: None,
        };
        let why = |status, body| taken(&answer(status, body)).unwrap_err().to_string();
        let quoting = r#"{"code":"value_not_found","message":"ann@acme.example"}"#;
        assert_eq!(why(400, quoting), "Attio answered 400 (value_not_found)");
        assert_eq!(why(404, "<html>"), "Attio answered 404 (no code)");
        assert_eq!(why(401, quoting), "Attio refuses the token (401)");
        assert_eq!(
            why(403, r#"{"code":"missing_scope"}"#),
            "Attio: the token lacks a permission (403, missing_scope)"
        );
    }
}
