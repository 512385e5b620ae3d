//! Users in memory, with the condition of the table.

use paygraph_domain::id::TenantId;
use paygraph_domain::user::User;

use super::MemoryStore;
use crate::ports::limits::{ItemKey, check_item};
use crate::ports::{CommitError, StoreError, key, put};
use crate::user::Users;

impl Users for MemoryStore {
    async fn user(&self, tenant: &TenantId, id: &str) -> Result<Option<User>, StoreError> {
        let key = (tenant.clone(), id.to_owned());
        Ok(self.lock().users.get(&key).cloned())
    }

    async fn put_user(&self, tenant: &TenantId, user: &User) -> Result<(), CommitError> {
        let subject = format!("user {}", user.id);
        let item = put(
            ItemKey::new(key::user(tenant, &user.id), key::USER),
            user,
            subject,
        );
        check_item(&item).map_err(StoreError::from)?;
        let mut inner = self.lock();
        let key = (tenant.clone(), user.id.clone());
        let held = inner.users.get(&key).map_or(0, |held| held.version);
        if held + 1 != user.version {
            return Err(CommitError::Conflict);
        }
        inner.commits += 1;
        inner.users.insert(key, user.clone());
        Ok(())
    }
}
