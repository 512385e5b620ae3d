//! Connecting by a restricted key of the account's own.

use paygraph_domain::id::{StripeId, TenantId};
use paygraph_runtime::secrets::SecretKeeper;
use paygraph_stripe::client::{Access, Client, ClientError};
use secrecy::{ExposeSecret as _, SecretString};

use super::endpoint::Wanted;
use super::permission::probe;
use super::secrets::{EndpointSecret, put_access};
use super::{ConnectError, Connector, Done, Webhooks};
use crate::connection::{By, Connection, ConnectionStore, StartImport, Status};

/// A restricted key, which is for live or for test money.
#[derive(Debug, Clone)]
pub struct RestrictedKey {
    key: SecretString,
    livemode: bool,
}

/// Why a text is no restricted key. Never says what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// A secret key.
    #[error(
        "this is a secret key, which may do everything: make a restricted key (rk_…) that reads"
    )]
    Secret,
    /// Something else.
    #[error("this is no restricted key: one begins with rk_live_ or rk_test_")]
    Other,
}

impl RestrictedKey {
    /// Takes a text as a restricted key.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn parse(key: SecretString) -> Result<Self, InvalidKey> {
        let text = key.expose_secret();
        let rest = |prefix| {
            text.strip_prefix(prefix)
                .filter(|rest: &&str| is_word(rest))
        };
        let livemode = match (rest("rk_live_"), rest("rk_test_")) {
            (Some(_), _) => true,
            (None, Some(_)) => false,
            (None, None) if text.starts_with("sk_") => return Err(InvalidKey::Secret),
            (None, None) => return Err(InvalidKey::Other),
        };
        Ok(Self { key, livemode })
    }

    /// Whether it is for real money.
    #[must_use]
    pub fn livemode(&self) -> bool {
        self.livemode
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What somebody gives to connect by.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The key.
    pub key: RestrictedKey,
    /// The signing secret of a webhook endpoint that was made by hand.
    pub webhook_secret: Option<SecretString>,
}

impl<T, K, I> Connector<T, K, I>
where
    T: ConnectionStore,
    K: SecretKeeper + Clone + Sync,
    I: StartImport,
{
    /// Connects a tenant by a restricted key; its webhooks are to come to `public_url`. Again with
    /// the same account: the key is replaced, and the endpoint looked after.
    ///
    /// # Errors
    /// [`ConnectError`]. Nothing is kept unless the key can read what is needed, and the account is
    /// nobody else's.
    pub async fn by_key(
        &self,
        tenant: &TenantId,
        offer: &Offer,
        public_url: &str,
    ) -> Result<Done, ConnectError> {
        if offer.key.livemode != self.place.livemode {
            return Err(ConnectError::Livemode(self.place.livemode));
        }
        let client = self.client(Access {
            key: offer.key.key.clone(),
            account: None,
        })?;
        let probe = probe(&client, true).await?;
        let lacking = probe.lacking();
        if !lacking.is_empty() {
            return Err(ConnectError::Permissions(lacking));
        }
        let new = Connection {
            account: probe.account.ok_or(ConnectError::Nameless)?,
            name: probe.name,
            livemode: offer.key.livemode,
            by: By::RestrictedKey,
            since: probe.at,
            endpoint: None,
            status: Status::Connected,
            rev: 0,
        };
        let was_platforms = self.store.platform_accounts().await?;
        let claimed = self.claim(tenant, new).await?;
        put_access(&self.secrets, tenant, Some(&offer.key.key), None).await?;
        if was_platforms.contains_key(&claimed.account) {
            self.sync_platform(Some(&claimed.account)).await?;
        }
        let wanted = Wanted::new(tenant, public_url);
        let given = offer.webhook_secret.as_ref();
        let webhooks = self.webhooks(&client, &wanted, tenant, &claimed.account, given);
        let webhooks = webhooks.await?;
        let endpoint = match &webhooks {
            Webhooks::Created { endpoint } | Webhooks::Adopted { endpoint } => {
                Some(endpoint.clone())
            }
            Webhooks::Platform | Webhooks::ByHand(_) => None,
        };
        let connection = Connection {
            endpoint,
            ..claimed
        };
        self.finish(tenant, connection, webhooks).await
    }

    /// Sees to it that webhooks come, with a secret that is known.
    async fn webhooks(
        &self,
        client: &Client,
        wanted: &Wanted<'_>,
        tenant: &TenantId,
        account: &StripeId,
        given: Option<&SecretString>,
    ) -> Result<Webhooks, ConnectError> {
        let held = EndpointSecret::read(&self.secrets, tenant, account).await?;
        if let Some(given) = given {
            let put = held.put_new(&self.secrets, tenant, account, None, given);
            put.await?;
            return Ok(Webhooks::ByHand(wanted.by_hand(true)));
        }
        match self.endpoint(client, wanted, tenant, account, &held).await {
            Err(ConnectError::Stripe(ClientError::Forbidden { .. })) => {
                Ok(Webhooks::ByHand(wanted.by_hand(held.is_held())))
            }
            made => made,
        }
    }

    /// Adopts the endpoint whose secret is known, or makes one; the others of this tenant end then.
    async fn endpoint(
        &self,
        client: &Client,
        wanted: &Wanted<'_>,
        tenant: &TenantId,
        account: &StripeId,
        held: &EndpointSecret,
    ) -> Result<Webhooks, ConnectError> {
        let existing = wanted.existing(client).await?;
        let known = existing
            .iter()
            .find(|endpoint| held.endpoint.as_ref() == Some(&endpoint.id) && wanted.fits(endpoint));
        let webhooks = if let Some(known) = known {
            wanted.mend(client, known).await?;
            let endpoint = known.id.clone();
            Webhooks::Adopted { endpoint }
        } else {
            let made = wanted.create(client).await?;
            let secret = made.secret.ok_or_else(|| {
                ClientError::Unavailable("a new endpoint came without its secret".to_owned())
            })?;
            let endpoint = made.id;
            let put = held.put_new(&self.secrets, tenant, account, Some(&endpoint), &secret);
            put.await?;
            Webhooks::Created { endpoint }
        };
        for other in &existing {
            if known.is_none_or(|known| known.id != other.id) {
                wanted.retire(client, other).await?;
            }
        }
        Ok(webhooks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_restricted_keys_are_taken() {
        let parse = |text: &str| RestrictedKey::parse(text.into()).map(|key| key.livemode());
        assert_eq!(parse("rk_live_1a"), Ok(true));
        assert_eq!(parse("rk_test_1a"), Ok(false));
        assert_eq!(parse("sk_test_1a"), Err(InvalidKey::Secret));
        for other in [
            "",
            "rk_test_",
            "pk_test_1",
            "rk_1",
            "rk_test_a b",
            "whsec_1",
        ] {
            assert_eq!(parse(other), Err(InvalidKey::Other), "{other}");
        }
    }
}
