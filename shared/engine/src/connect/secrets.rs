//! What stands in the secrets of a connection.

use paygraph_domain::id::{StripeId, TenantId};
use paygraph_runtime::secrets::SecretKeeper;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::ConnectError;

/// How many signing secrets are kept: the new one, and the one before it.
const SIGNING: usize = 2;

/// What verifies the webhooks of a tenant's own endpoint, as the function `webhook` reads it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct EndpointSecret {
    /// The newest first.
    #[serde(default)]
    secrets: Vec<SecretString>,
    #[serde(default)]
    account: Option<StripeId>,
    /// Whose the newest one is.
    #[serde(default)]
    pub endpoint: Option<String>,
}

impl EndpointSecret {
    fn name(tenant: &TenantId) -> String {
        format!("webhook/tenant/{tenant}")
    }

    /// The tenant's; an empty one when there is none, or it is of another account.
    pub async fn read(
        keeper: &impl SecretKeeper,
        tenant: &TenantId,
        account: &StripeId,
    ) -> Result<Self, ConnectError> {
        let name = Self::name(tenant);
        let Some(text) = keeper.fetch(&name).await? else {
            return Ok(Self::default());
        };
        let read: Self = serde_json::from_str(text.expose_secret())
            .map_err(|_| ConnectError::Unreadable(name))?;
        let fits = read.account.as_ref().is_none_or(|of| of == account);
        Ok(if fits { read } else { Self::default() })
    }

    /// Whether there is any.
    pub fn is_held(&self) -> bool {
        self.secrets.iter().any(|of| !of.expose_secret().is_empty())
    }

    /// Puts a new one before the old one, which still counts.
    pub async fn put_new(
        &self,
        keeper: &impl SecretKeeper,
        tenant: &TenantId,
        account: &StripeId,
        endpoint: Option<&str>,
        new: &SecretString,
    ) -> Result<(), ConnectError> {
        let mut secrets = vec![new.expose_secret()];
        let old = self.secrets.iter().map(SecretString::expose_secret);
        secrets.extend(old.filter(|old| *old != new.expose_secret()));
        secrets.truncate(SIGNING);
        let text = json!({ "secrets": secrets, "account": account, "endpoint": endpoint });
        let text = text.to_string().into();
        Ok(keeper.put(&Self::name(tenant), &text).await?)
    }
}

/// Puts with what Stripe is asked for a tenant: a key of its own, or its account for the platform's
/// key; neither when it is not connected any more.
pub(super) async fn put_access(
    keeper: &impl SecretKeeper,
    tenant: &TenantId,
    key: Option<&SecretString>,
    account: Option<&StripeId>,
) -> Result<(), ConnectError> {
    let key = key.map(SecretString::expose_secret);
    let text = json!({ "key": key, "account": account }).to_string();
    Ok(keeper
        .put(&format!("stripe/{tenant}"), &text.into())
        .await?)
}
