//! What the function that does runs is asked for: a message of the jobs queue.

use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::state::{Job, Run, Scope};

/// How long after the first look the second one is, in seconds: webhooks may be on their way.
const SECOND_LOOK: i64 = 300;
/// What the names of runs begin with.
const RUN: &str = "run-";
/// The most characters of a run's name.
const MAX_NAME: usize = 64;

/// A run to begin, or to go on with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What it is for.
    pub job: Job,
    /// Whose it is; every connected tenant's when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Its name: what has it already goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When it begins, in RFC 3339; when the message was sent, if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// How long after the first look the second one is, in seconds.
    #[serde(default = "second_look")]
    pub second_look_after: i64,
    /// How often in a row it did not go on.
    #[serde(default)]
    pub attempt: u32,
    /// How much it reads.
    #[serde(flatten)]
    pub scope: Scope,
}

/// A request that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// The name is none.
    #[error(
        "`{0}` is no name of a run: they begin with `{RUN}` and have letters, digits and hyphens"
    )]
    Name(String),
    /// The instant is none.
    #[error("`{0}` is no instant in RFC 3339")]
    Now(String),
}

impl Request {
    /// A request for a whole run that begins now.
    #[must_use]
    pub fn new(job: Job) -> Self {
        Self {
            job,
            tenant: None,
            run: None,
            now: None,
            second_look_after: SECOND_LOOK,
            attempt: 0,
            scope: Scope::default(),
        }
    }

    /// The run that is asked for, as it begins. `unique` makes its name when it has none, and is the
    /// same whenever the same message comes.
    ///
    /// # Errors
    /// [`InvalidRequest`].
    pub fn begin(
        &self,
        tenant: &TenantId,
        unique: &str,
        sent: Timestamp,
    ) -> Result<Run, InvalidRequest> {
        let now = match &self.now {
            Some(text) => Timestamp::parse(text).map_err(|_| InvalidRequest::Now(text.clone()))?,
            None => sent,
        };
        let name = match &self.run {
            Some(name) => named(name)?,
            None => run_name(now, unique),
        };
        let scope = self.scope.clone();
        Ok(Run::new(name, tenant.clone(), self.job, scope, now))
    }
}

/// A new run's name: runs are listed by it.
#[must_use]
pub fn run_name(now: Timestamp, unique: &str) -> String {
    let letters = unique.chars().filter(char::is_ascii_alphanumeric);
    let unique: String = letters.take(12).collect();
    format!("{RUN}{:012}-{unique}", now.unix())
}

fn named(name: &str) -> Result<String, InvalidRequest> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.starts_with(RUN) && name.len() <= MAX_NAME && name.chars().all(fits) {
        Ok(name.to_owned())
    } else {
        Err(InvalidRequest::Name(name.to_owned()))
    }
}

fn second_look() -> i64 {
    SECOND_LOOK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Request {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_schedule_says_little() {
        let request = read(r#"{"job":"reconcile","recent":true,"now":"2026-11-21T03:00:00Z"}"#);
        assert_eq!((request.tenant.clone(), request.scope.recent), (None, true));
        assert_eq!(request.second_look_after, 300);
        let tenant = TenantId::parse("t").unwrap();
        let sent = Timestamp::from_unix(5).unwrap();
        let run = request.begin(&tenant, "a-1-b", sent).unwrap();
        assert_eq!(run.started_at.to_string(), "2026-11-21T03:00:00Z");
        assert_eq!(run.id, "run-001795230000-a1b");
        assert_eq!(read(&serde_json::to_string(&request).unwrap()), request);
    }

    #[test]
    fn nonsense_is_refused() {
        let tenant = TenantId::parse("t").unwrap();
        for (text, expected) in [
            (r#"{"job":"backfill","run":"x"}"#, "`x` is no name"),
            (r#"{"job":"backfill","run":"run-#"}"#, "`run-#` is no name"),
            (r#"{"job":"backfill","now":"soon"}"#, "`soon` is no instant"),
        ] {
            let begun = read(text).begin(&tenant, "u", Timestamp::default());
            let told = begun.unwrap_err().to_string();
            assert!(told.starts_with(expected), "{told}");
        }
        assert!(serde_json::from_str::<Request>(r#"{"job":"dance"}"#).is_err());
    }
}
