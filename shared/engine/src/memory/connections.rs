//! Connections in memory, with the conditions of the table.

use std::collections::{BTreeMap, BTreeSet};

use paygraph_domain::id::{StripeId, TenantId};
use paygraph_domain::time::Timestamp;

use super::MemoryStore;
use crate::connection::{By, ClaimError, Connection, ConnectionStore, Status};
use crate::ports::StoreError;

impl ConnectionStore for MemoryStore {
    async fn connection(&self, tenant: &TenantId) -> Result<Option<Connection>, StoreError> {
        Ok(self.lock().connections.get(tenant).cloned())
    }

    async fn put_connection(
        &self,
        tenant: &TenantId,
        connection: &Connection,
    ) -> Result<(), ClaimError> {
        let mut inner = self.lock();
        let claims = connection.status != Status::Disconnected;
        let taken = |(owner, other): (&TenantId, &Connection)| {
            owner != tenant
                && other.account == connection.account
                && other.status != Status::Disconnected
        };
        if claims && inner.connections.iter().any(taken) {
            return Err(ClaimError::Taken);
        }
        if inner.connections.get(tenant).map_or(0, |known| known.rev) != connection.rev {
            return Err(ClaimError::Moved);
        }
        let rev = connection.rev + 1;
        let connection = connection.clone();
        let connection = Connection { rev, ..connection };
        inner.connections.insert(tenant.clone(), connection);
        Ok(())
    }

    async fn owner(&self, account: &StripeId) -> Result<Option<TenantId>, StoreError> {
        let inner = self.lock();
        let owns = |(_, known): &(&TenantId, &Connection)| {
            known.account == *account && known.status != Status::Disconnected
        };
        let owner = inner.connections.iter().find(owns);
        Ok(owner.map(|(tenant, _)| tenant.clone()))
    }

    async fn tenants(&self) -> Result<BTreeSet<TenantId>, StoreError> {
        let inner = self.lock();
        let known = inner.connections.iter();
        let known = known.filter(|(_, known)| known.status != Status::Disconnected);
        Ok(known.map(|(tenant, _)| tenant.clone()).collect())
    }

    async fn platform_accounts(&self) -> Result<BTreeMap<StripeId, TenantId>, StoreError> {
        let inner = self.lock();
        let of_the_platform = inner
            .connections
            .iter()
            .filter(|(_, known)| known.by == By::Oauth && known.status != Status::Disconnected);
        let named = of_the_platform.map(|(tenant, known)| (known.account.clone(), tenant.clone()));
        Ok(named.collect())
    }

    async fn spend(
        &self,
        tenant: &TenantId,
        nonce: &str,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        let spent = (tenant.clone(), nonce.to_owned());
        Ok(self.lock().spent.insert(spent))
    }
}
