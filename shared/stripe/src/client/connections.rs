//! Whom to ask for a tenant: a client for each Stripe account, with the key from its secret.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paygraph_domain::id::{StripeId, TenantId};
use paygraph_runtime::clock::{Clock as _, SystemClock};
use paygraph_runtime::secrets::{SecretCache, SecretSource, SecretsError};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{Access, Budget, Client, InProcess, InvalidUrl, Limits};

/// How long an answer is waited for while a message waits for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The secret with the platform's own key.
const PLATFORM: &str = "stripe/platform";

/// Every tenant's client. The secret `stripe/{tenant}` has the tenant's restricted key; where it
/// has none, the platform's key from `stripe/platform` and the tenant's account are used.
#[derive(Debug)]
pub struct Connections<S> {
    secrets: SecretCache<S>,
    url: String,
    limits: Limits,
    patience: Duration,
    clients: Mutex<BTreeMap<TenantId, Client>>,
    in_process: Option<Arc<dyn InProcess>>,
}

/// What a tenant's secret says.
#[derive(Deserialize)]
struct Connection {
    key: Option<SecretString>,
    account: Option<StripeId>,
    /// Another place for Stripe's API.
    url: Option<String>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The secrets could not be read now.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The text of the secret is not what it should be. Never says what it is.
    #[error("the secret `{0}` is not readable")]
    Unreadable(String),
    /// The configured address is none.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
}

impl<S: SecretSource> Connections<S> {
    /// Connections to Stripe at this address, each with this budget.
    pub fn new(source: S, url: impl Into<String>, limits: Limits) -> Self {
        Self {
            secrets: SecretCache::new(source),
            url: url.into(),
            limits,
            patience: PATIENCE,
            clients: Mutex::default(),
            in_process: None,
        }
    }

    /// Connections to a Stripe in the same process.
    pub fn in_process(source: S, stripe: Arc<dyn InProcess>, limits: Limits) -> Self {
        Self {
            in_process: Some(stripe),
            ..Self::new(source, "", limits)
        }
    }

    /// The same, whose clients give up after this long.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The tenant's client; none when the tenant is not connected. A key that was changed makes
    /// another client.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn client(&self, tenant: &TenantId) -> Result<Option<Client>, ConnectionError> {
        let Some((access, url)) = self.found(tenant).await? else {
            return Ok(None);
        };
        let url = url.as_ref().unwrap_or(&self.url);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.get(tenant).filter(|known| known.is_for(&access)) {
            return Ok(Some(known.clone()));
        }
        let budget = Arc::new(Budget::new(self.limits.of_key(&access.key)));
        let client = match &self.in_process {
            Some(stripe) => Client::in_process(Arc::clone(stripe), access, budget),
            None => Client::new(url, access, budget)?,
        };
        let client = client.patient_for(self.patience);
        clients.insert(tenant.clone(), client.clone());
        Ok(Some(client))
    }

    /// The tenant's client with another key than one that Stripe refuses: somebody has corrected the
    /// secret since it was read. None where the secret is the same.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn renewed(
        &self,
        tenant: &TenantId,
        refused: &Client,
    ) -> Result<Option<Client>, ConnectionError> {
        for name in [format!("stripe/{tenant}"), PLATFORM.to_owned()] {
            self.secrets.reread(&name, SystemClock.now()).await?;
        }
        let client = self.client(tenant).await?;
        Ok(client.filter(|client| !client.is_for(&refused.access)))
    }

    /// With what Stripe is asked for the tenant; none when the tenant is not connected.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn access(&self, tenant: &TenantId) -> Result<Option<Access>, ConnectionError> {
        Ok(self.found(tenant).await?.map(|(access, _)| access))
    }

    /// The same, with the place of Stripe's API where the tenant has one of its own.
    async fn found(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<(Access, Option<String>)>, ConnectionError> {
        let Some(own) = self.connection(&format!("stripe/{tenant}")).await? else {
            return Ok(None);
        };
        let key = match (own.key, &own.account) {
            (Some(key), _) => Some(key),
            (None, Some(_)) => self.platform_key().await?,
            // The platform's own account is nobody's by default.
            (None, None) => None,
        };
        let account = own.account;
        Ok(key.map(|key| (Access { key, account }, own.url)))
    }

    /// The platform's own key; none when there is none.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn platform_key(&self) -> Result<Option<SecretString>, ConnectionError> {
        Ok(self.connection(PLATFORM).await?.and_then(|of| of.key))
    }

    async fn connection(&self, name: &str) -> Result<Option<Connection>, ConnectionError> {
        let secret = self.secrets.get(name, SystemClock.now()).await?;
        secret.map(|secret| read(name, &secret)).transpose()
    }
}

fn read(name: &str, secret: &SecretString) -> Result<Connection, ConnectionError> {
    serde_json::from_str(secret.expose_secret())
        .map_err(|_| ConnectionError::Unreadable(name.to_owned()))
}
