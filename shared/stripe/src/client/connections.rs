//! Whom to ask for a tenant: a client for each Stripe account, with the key from its secret.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paygraph_domain::id::{StripeId, TenantId};
use paygraph_runtime::clock::{Clock as _, SystemClock};
use paygraph_runtime::secrets::{SecretCache, SecretSource, SecretsError};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{Access, Budget, Client, InvalidUrl, Limits};

/// How long an answer is waited for while a message waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every tenant's client. The secret `stripe/{tenant}` has the tenant's restricted key; where it
/// has none, the platform's key from `stripe/platform` and the tenant's account are used.
#[derive(Debug)]
pub struct Connections<S> {
    secrets: SecretCache<S>,
    url: String,
    limits: Limits,
    clients: Mutex<BTreeMap<TenantId, Connected>>,
}

#[derive(Debug)]
struct Connected {
    /// What the client was made from: another text makes another client.
    secret: Arc<SecretString>,
    client: Client,
}

/// What a tenant's secret says.
#[derive(Deserialize)]
struct Connection {
    key: Option<SecretString>,
    account: Option<StripeId>,
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
            clients: Mutex::default(),
        }
    }

    /// The tenant's client; none when the tenant is not connected.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn client(&self, tenant: &TenantId) -> Result<Option<Client>, ConnectionError> {
        let now = SystemClock.now();
        let name = format!("stripe/{tenant}");
        let Some(secret) = self.secrets.get(&name, now).await? else {
            return Ok(None);
        };
        if let Some(client) = self.known(tenant, &secret) {
            return Ok(Some(client));
        }
        let Connection { key, account } = read(&name, &secret)?;
        let key = match key {
            Some(key) => key,
            None => match self.secrets.get("stripe/platform", now).await? {
                Some(platform) => {
                    let platform: Connection = read("stripe/platform", &platform)?;
                    let unreadable = || ConnectionError::Unreadable("stripe/platform".to_owned());
                    platform.key.ok_or_else(unreadable)?
                }
                None => return Ok(None),
            },
        };
        let budget = Arc::new(Budget::new(self.limits));
        let access = Access { key, account };
        let client = Client::new(&self.url, access, budget)?.patient_for(PATIENCE);
        let connected = Connected {
            secret,
            client: client.clone(),
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.insert(tenant.clone(), connected);
        Ok(Some(client))
    }

    fn known(&self, tenant: &TenantId, secret: &SecretString) -> Option<Client> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.get(tenant)?;
        let same = known.secret.expose_secret() == secret.expose_secret();
        same.then(|| known.client.clone())
    }
}

fn read(name: &str, secret: &SecretString) -> Result<Connection, ConnectionError> {
    serde_json::from_str(secret.expose_secret())
        .map_err(|_| ConnectionError::Unreadable(name.to_owned()))
}
