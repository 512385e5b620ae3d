//! Ending a connection.

use paygraph_domain::id::TenantId;
use paygraph_runtime::secrets::SecretKeeper;
use paygraph_runtime::telemetry::Chain;

use super::endpoint::Wanted;
use super::secrets::put_access;
use super::{ConnectError, Connector};
use crate::connection::{By, Connection, ConnectionStore, StartImport, Status, set_status};

impl<T, K, I> Connector<T, K, I>
where
    T: ConnectionStore,
    K: SecretKeeper + Clone + Sync,
    I: StartImport,
{
    /// Disconnects a tenant: Stripe is not asked any more, the keys are forgotten, the account is
    /// free for others. What is known stays. Again: what was left half done is finished.
    ///
    /// # Errors
    /// [`ConnectError::NotConnected`] when the tenant never was; trouble with the store or the
    /// secrets. What Stripe refuses is only logged: access can be taken away there too.
    pub async fn disconnect(
        &self,
        tenant: &TenantId,
        public_url: &str,
    ) -> Result<Connection, ConnectError> {
        let access = self.connections().access(tenant).await?;
        let ended = Status::Disconnected;
        let before = set_status(&self.store, tenant, &ended).await?;
        let connection = self.store.connection(tenant).await?;
        let connection = connection.ok_or(ConnectError::NotConnected)?;
        put_access(&self.secrets, tenant, None, None).await?;
        let taken_back = match (connection.by, access) {
            (By::RestrictedKey, Some(access)) => {
                self.retire(&Wanted::new(tenant, public_url), access).await
            }
            (By::Oauth, Some(_)) if before.is_some() => {
                self.sync_platform(Some(&connection.account)).await?;
                self.give_up(&connection).await
            }
            (By::Oauth, _) => self.sync_platform(Some(&connection.account)).await,
            (By::RestrictedKey, None) => Ok(()),
        };
        if let Err(error) = taken_back {
            tracing::warn!(
                code = "left_at_stripe",
                %tenant,
                error = %Chain(&error),
                "What a connection had at Stripe is still there"
            );
        }
        tracing::info!(%tenant, account = %connection.account, "A tenant was disconnected");
        Ok(connection)
    }

    /// Ends the endpoints of an account's own key.
    async fn retire(
        &self,
        wanted: &Wanted<'_>,
        access: paygraph_stripe::client::Access,
    ) -> Result<(), ConnectError> {
        let client = self.client(access)?;
        for endpoint in wanted.existing(&client).await? {
            wanted.retire(&client, &endpoint).await?;
        }
        Ok(())
    }

    /// Gives up what the account lets the platform read.
    async fn give_up(&self, connection: &Connection) -> Result<(), ConnectError> {
        Ok(self.oauth().await?.deauthorize(&connection.account).await?)
    }
}
