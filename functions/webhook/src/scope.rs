//! One endpoint's secrets, and the tenant that follows once one of them has verified an event.

use std::collections::BTreeMap;

use paygraph_domain::id::{StripeId, TenantId};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;
use crate::route::Route;

/// The text of a secret is not what it should be. Says where, never what: it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableSecret {
    /// It is not JSON of the right shape.
    #[error("the secret is not readable (line {line}, column {column})")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It has no signing secret.
    #[error("the secret has no signing secret")]
    Empty,
}

/// The signing secrets of one endpoint, and whose events they may sign.
#[derive(Debug)]
pub struct Scope {
    secrets: Vec<SecretString>,
    accounts: Accounts,
}

#[derive(Debug)]
enum Accounts {
    Platform {
        own: TenantId,
        connected: BTreeMap<StripeId, TenantId>,
    },
    Tenant {
        tenant: TenantId,
        account: Option<StripeId>,
    },
}

#[derive(Deserialize)]
struct PlatformSecret {
    secrets: Vec<SecretString>,
    #[serde(default)]
    accounts: BTreeMap<StripeId, TenantId>,
}

#[derive(Deserialize)]
struct TenantSecret {
    secrets: Vec<SecretString>,
    #[serde(default)]
    account: Option<StripeId>,
}

impl Scope {
    /// Reads the secret of a route's endpoint. `platform` is whose events the platform's own
    /// account sends.
    ///
    /// # Errors
    /// [`UnreadableSecret`].
    pub fn read(
        route: &Route,
        platform: &TenantId,
        secret: &SecretString,
    ) -> Result<Self, UnreadableSecret> {
        let (secrets, accounts) = match route {
            Route::Platform => {
                let PlatformSecret { secrets, accounts } = json(secret)?;
                (
                    secrets,
                    Accounts::Platform {
                        own: platform.clone(),
                        connected: accounts,
                    },
                )
            }
            Route::Tenant(tenant) => {
                let TenantSecret { secrets, account } = json(secret)?;
                (
                    secrets,
                    Accounts::Tenant {
                        tenant: tenant.clone(),
                        account,
                    },
                )
            }
        };
        if secrets
            .iter()
            .all(|secret| secret.expose_secret().is_empty())
        {
            return Err(UnreadableSecret::Empty);
        }
        Ok(Self { secrets, accounts })
    }

    /// The signing secrets: the old and the new one during a rotation, the platform's and
    /// Connect's.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(SecretString::expose_secret)
    }

    /// Whose event it is that one of these secrets verified; none when it names an account that
    /// belongs to no known tenant, which the worker parks.
    ///
    /// # Errors
    /// [`Refusal::Account`] when a tenant's secret signed an event of an account that is not its
    /// own.
    pub fn tenant(&self, account: Option<&StripeId>) -> Result<Option<TenantId>, Refusal> {
        match (&self.accounts, account) {
            (Accounts::Platform { own, .. }, None) => Ok(Some(own.clone())),
            (Accounts::Platform { connected, .. }, Some(account)) => {
                Ok(connected.get(account).cloned())
            }
            (Accounts::Tenant { tenant, .. }, None) => Ok(Some(tenant.clone())),
            (
                Accounts::Tenant {
                    tenant,
                    account: own,
                },
                Some(account),
            ) => {
                if own.as_ref() == Some(account) {
                    Ok(Some(tenant.clone()))
                } else {
                    Err(Refusal::Account)
                }
            }
        }
    }
}

/// The signing secrets of a tenant's product events.
///
/// # Errors
/// [`UnreadableSecret`].
pub fn signing_secrets(secret: &SecretString) -> Result<Signing, UnreadableSecret> {
    let signing: Signing = json(secret)?;
    if signing.iter().all(str::is_empty) {
        return Err(UnreadableSecret::Empty);
    }
    Ok(signing)
}

/// Signing secrets: the old and the new one during a rotation.
#[derive(Debug, Deserialize)]
pub struct Signing {
    secrets: Vec<SecretString>,
}

impl Signing {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(SecretString::expose_secret)
    }
}

fn json<T: DeserializeOwned>(secret: &SecretString) -> Result<T, UnreadableSecret> {
    serde_json::from_str(secret.expose_secret()).map_err(|e| UnreadableSecret::Json {
        line: e.line(),
        column: e.column(),
    })
}
