//! Users of the product: where they are kept.

use std::future::Future;

use paygraph_domain::id::TenantId;
use paygraph_domain::user::User;

use crate::ports::{CommitError, StoreError};

/// Where users are kept.
pub trait Users: Sync {
    /// A user, by the product's own id.
    fn user(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> impl Future<Output = Result<Option<User>, StoreError>> + Send;

    /// Writes a user over the version before its own.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when that is no longer what is there.
    fn put_user(
        &self,
        tenant: &TenantId,
        user: &User,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;
}
