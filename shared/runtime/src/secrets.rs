//! Secrets by name, kept in memory for a while and fetched again without a restart.
//!
//! A name that does not exist is remembered too, so that requests for unknown tenants do not
//! reach the store each time. What the text of a secret means is the caller's part.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::telemetry::Chain;

#[cfg(feature = "secrets-manager")]
mod manager;
#[cfg(feature = "secrets-manager")]
pub use manager::SecretsManager;

/// How long a secret is used before it is fetched again, in seconds.
pub const TTL_SECONDS: i64 = 300;
/// How long a name that does not exist is not asked for again, in seconds.
pub const UNKNOWN_TTL_SECONDS: i64 = 60;
/// How long a name is not refreshed again, and not asked for again after a failure, in seconds.
pub const REFRESH_SECONDS: i64 = 60;
/// How long a secret is not read again after it was, although somebody refuses it, in seconds.
pub const REREAD_SECONDS: i64 = 5;
/// How long a secret may still be used while the store does not answer, in seconds since it was
/// fetched.
pub const STALE_SECONDS: i64 = 3600;
/// The most names that are kept.
pub const MAX_NAMES: usize = 1024;

/// The store of secrets did not answer, or not with a text. Trying again later may help.
#[derive(Debug, thiserror::Error)]
#[error("the secret store did not give or take the secret")]
pub struct SecretsError(#[source] pub Box<dyn Error + Send + Sync>);

/// Where secrets are fetched from.
pub trait SecretSource {
    /// The secret of this name, or none when there is no such name.
    fn fetch(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<SecretString>, SecretsError>> + Send;
}

/// Where secrets are also put. What is put is seen at once by whoever fetches it there, and by
/// others when their memory of it has run out.
pub trait SecretKeeper: SecretSource {
    /// Puts a secret in the place of whatever has this name.
    fn put(
        &self,
        name: &str,
        secret: &SecretString,
    ) -> impl Future<Output = Result<(), SecretsError>> + Send;

    /// Puts a secret where none has this name. Says whether it did.
    fn create(
        &self,
        name: &str,
        secret: &SecretString,
    ) -> impl Future<Output = Result<bool, SecretsError>> + Send;
}

#[derive(Debug, Clone)]
struct Entry {
    secret: Option<Arc<SecretString>>,
    fetched_at: i64,
    /// When it may be fetched again although somebody doubts it.
    refresh_at: i64,
    /// When it may be read again although somebody refused it.
    reread_at: i64,
    /// Until when it is used without a question.
    fresh_until: i64,
}

/// Secrets from a source, remembered by name.
#[derive(Debug)]
pub struct SecretCache<S> {
    source: S,
    /// Held while a secret is fetched, so that two callers at once fetch it once.
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl<S: SecretSource> SecretCache<S> {
    /// An empty cache before this source.
    pub fn new(source: S) -> Self {
        Self {
            source,
            entries: Mutex::new(BTreeMap::new()),
        }
    }

    /// The secret of this name, from memory or from the source; none when there is no such name.
    /// `now` is in Unix seconds.
    ///
    /// # Errors
    /// [`SecretsError`] when the source fails and nothing usable is remembered.
    pub async fn get(
        &self,
        name: &str,
        now: i64,
    ) -> Result<Option<Arc<SecretString>>, SecretsError> {
        let mut entries = self.entries.lock().await;
        let Some(known) = entries.get_mut(name) else {
            let secret = self.source.fetch(name).await?.map(Arc::new);
            make_room(&mut entries);
            entries.insert(name.to_owned(), Entry::new(secret.clone(), now));
            return Ok(secret);
        };
        if now < known.fresh_until {
            return Ok(known.secret.clone());
        }
        match self.source.fetch(name).await {
            Ok(secret) => {
                *known = Entry {
                    refresh_at: known.refresh_at,
                    ..Entry::new(secret.map(Arc::new), now)
                }
            }
            Err(error) if known.is_usable(now) => {
                known.fresh_until = now.saturating_add(REFRESH_SECONDS);
                tracing::warn!(
                    code = "secret_stale",
                    error = %Chain(&error),
                    secret.name = name,
                    "The secret could not be fetched again; the one in memory is used."
                );
            }
            Err(error) => return Err(error),
        }
        Ok(known.secret.clone())
    }

    /// The secret of this name, fetched again because the remembered one did not fit: at most once
    /// a minute. None when it is too early, or there is no such name.
    ///
    /// # Errors
    /// [`SecretsError`] when the source fails.
    pub async fn refresh(
        &self,
        name: &str,
        now: i64,
    ) -> Result<Option<Arc<SecretString>>, SecretsError> {
        let mut entries = self.entries.lock().await;
        let Some(known) = entries
            .get_mut(name)
            .filter(|known| known.refresh_at <= now)
        else {
            return Ok(None);
        };
        known.refresh_at = now.saturating_add(REFRESH_SECONDS);
        let secret = self.source.fetch(name).await?.map(Arc::new);
        *known = Entry {
            refresh_at: known.refresh_at,
            ..Entry::new(secret.clone(), now)
        };
        Ok(secret)
    }

    /// The secret of this name, read again because it was refused: whoever corrected it need not wait
    /// until the memory of it runs out. It is read again at most every [`REREAD_SECONDS`]. None when
    /// there is no such name, or nobody has asked for it before.
    ///
    /// # Errors
    /// [`SecretsError`] when the source fails.
    pub async fn reread(
        &self,
        name: &str,
        now: i64,
    ) -> Result<Option<Arc<SecretString>>, SecretsError> {
        let mut entries = self.entries.lock().await;
        let Some(known) = entries.get_mut(name) else {
            return Ok(None);
        };
        if known.reread_at <= now {
            known.reread_at = now.saturating_add(REREAD_SECONDS);
            let secret = self.source.fetch(name).await?.map(Arc::new);
            *known = Entry {
                refresh_at: known.refresh_at,
                reread_at: known.reread_at,
                ..Entry::new(secret, now)
            };
        }
        Ok(known.secret.clone())
    }
}

impl Entry {
    /// Whether it may stand in while the source does not answer.
    fn is_usable(&self, now: i64) -> bool {
        self.secret.is_some() && now.saturating_sub(self.fetched_at) < STALE_SECONDS
    }

    fn new(secret: Option<Arc<SecretString>>, now: i64) -> Self {
        let ttl = if secret.is_some() {
            TTL_SECONDS
        } else {
            UNKNOWN_TTL_SECONDS
        };
        // A name that does not exist is not refreshed: it has the shorter life already.
        let refresh_at = if secret.is_some() { now } else { i64::MAX };
        Self {
            secret,
            fetched_at: now,
            refresh_at,
            reread_at: now,
            fresh_until: now.saturating_add(ttl),
        }
    }
}

/// Names that do not exist go first, then the ones fetched longest ago.
fn make_room(entries: &mut BTreeMap<String, Entry>) {
    if entries.len() < MAX_NAMES {
        return;
    }
    let oldest = entries
        .iter()
        .min_by_key(|(_, entry)| (entry.secret.is_some(), entry.fetched_at))
        .map(|(name, _)| name.clone());
    if let Some(name) = oldest {
        entries.remove(&name);
    }
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
