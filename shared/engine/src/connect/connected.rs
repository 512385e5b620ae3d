//! Stripe, for those tenants that are connected now.

use paygraph_domain::id::{Cause, StripeId, TenantId};
use paygraph_runtime::secrets::SecretKeeper;
use paygraph_stripe::client::{Client, ClientError, Connections};

use super::platform;
use crate::connection::{Accounts, ConnectionStore, Deauthorized, Status, set_status};
use crate::fetch::{Fetch, Fetched, Wanted, ask, ask_event, no_key, passing};
use crate::ports::StoreError;

/// The tenants' connections, of which those that are paused or ended give no client. What Stripe
/// refuses pauses a connection.
#[derive(Debug)]
pub struct Connected<T, K> {
    connections: Connections<K>,
    store: T,
    secrets: K,
}

impl<T, K> Connected<T, K>
where
    T: ConnectionStore,
    K: SecretKeeper + Send + Sync,
{
    /// These connections, as far as the store lets them be used.
    pub fn new(connections: Connections<K>, store: T, secrets: K) -> Self {
        Self {
            connections,
            store,
            secrets,
        }
    }

    /// The tenant's client; none when it is not connected, or not now.
    ///
    /// # Errors
    /// [`StoreError`] when the store or the secrets cannot be read.
    pub async fn client(&self, tenant: &TenantId) -> Result<Option<Client>, StoreError> {
        let connection = self.store.connection(tenant).await?;
        match connection.map(|connection| connection.status) {
            Some(Status::Paused { .. } | Status::Disconnected) => Ok(None),
            // A key that was put by hand has no connection.
            Some(Status::Connected) | None => {
                let client = self.connections.client(tenant).await;
                client.map_err(no_key)
            }
        }
    }

    /// What came, if anything. A refusal of the key pauses the connection, in the refusal's words.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be noted.
    pub async fn heed<A>(
        &self,
        tenant: &TenantId,
        answer: Result<Option<A>, ClientError>,
    ) -> Result<Option<A>, StoreError> {
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if error.is_denial() {
            let reason = error.to_string();
            tracing::error!(code = "paused", %tenant, error = %error, "A connection was paused");
            set_status(&self.store, tenant, &Status::Paused { reason }).await?;
        } else {
            tracing::error!(code = "not_fetched", error = %error, "Stripe could not be asked");
        }
        Ok(None)
    }
}

/// Whether Stripe refuses the key: it may have been corrected since it was read.
fn is_denied<A>(answer: &Result<A, ClientError>) -> bool {
    answer.as_ref().is_err_and(ClientError::is_denial)
}

impl<T, K> Fetch for Connected<T, K>
where
    T: ConnectionStore + Send,
    K: SecretKeeper + Send + Sync,
{
    async fn fetch(
        &self,
        tenant: &TenantId,
        wanted: &Wanted,
    ) -> Result<Option<Fetched>, StoreError> {
        let Some(client) = self.client(tenant).await? else {
            return Ok(None);
        };
        let mut answer = ask(&client, wanted).await;
        if is_denied(&answer)
            && let Some(client) = self.renewed(tenant, &client).await?
        {
            answer = ask(&client, wanted).await;
        }
        self.heed(tenant, answer).await
    }

    async fn renewed(
        &self,
        tenant: &TenantId,
        refused: &Client,
    ) -> Result<Option<Client>, StoreError> {
        let renewed = self.connections.renewed(tenant, refused).await;
        renewed.map_err(no_key)
    }

    async fn event(&self, tenant: &TenantId, id: &Cause) -> Result<Option<String>, StoreError> {
        let Some(client) = self.client(tenant).await? else {
            return Ok(None);
        };
        let mut answer = ask_event(&client, id).await;
        if is_denied(&answer)
            && let Some(client) = self.renewed(tenant, &client).await?
        {
            answer = ask_event(&client, id).await;
        }
        self.heed(tenant, passing(answer)?).await
    }
}

impl<T, K> Accounts for Connected<T, K>
where
    T: ConnectionStore + Send,
    K: SecretKeeper + Send + Sync,
{
    async fn owner(&self, account: &StripeId) -> Result<Option<TenantId>, StoreError> {
        self.store.owner(account).await
    }

    async fn deauthorized(
        &self,
        tenant: &TenantId,
        account: &StripeId,
        told: Deauthorized,
    ) -> Result<(), StoreError> {
        let connection = self.store.connection(tenant).await?;
        if !connection.is_some_and(|connection| told.ends(&connection, account)) {
            return Ok(());
        }
        if let Some(ended) = set_status(&self.store, tenant, &Status::Disconnected).await? {
            tracing::warn!(
                code = "deauthorized",
                %tenant,
                account = %ended.account,
                "The account has taken its access back: the tenant is disconnected"
            );
        }
        let synced = platform::sync(&self.store, &self.secrets, Some(account)).await;
        synced.map_err(|error| StoreError {
            context: "taking an account from the platform's secret".to_owned(),
            retry: true,
            source: Some(error.into()),
        })
    }
}
