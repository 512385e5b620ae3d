//! A tenant's connection to Stripe: what is kept of it, and when it begins, pauses and ends.
//!
//! The keys themselves are in the secrets. A tenant without a connection here may still have one
//! there, put by hand.

use std::collections::{BTreeMap, BTreeSet};

use paygraph_domain::id::{StripeId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_stripe::event::StripeEvent;
use paygraph_stripe::event_types::DEAUTHORIZED;
use serde::{Deserialize, Serialize};

use crate::fetch::NoFetch;
use crate::ports::StoreError;

/// How often a change is tried again that somebody else's came before.
const ATTEMPTS: u32 = 5;

/// How a tenant is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The Stripe account.
    pub account: StripeId,
    /// What people call it, where the key lets it be read.
    pub name: Option<String>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// With what Stripe is asked.
    pub by: By,
    /// Since when, by Stripe's clock.
    pub since: Timestamp,
    /// The webhook endpoint that was made or adopted; none where it is the platform's, or was made
    /// by hand.
    pub endpoint: Option<String>,
    /// Whether Stripe is asked.
    pub status: Status,
    /// How often it was written; 0 when it was not yet.
    #[serde(default)]
    pub rev: u64,
}

/// With what Stripe is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The platform's key, which the account let read it.
    Oauth,
    /// A restricted key of the account's own.
    RestrictedKey,
}

/// Whether Stripe is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// It is.
    Connected,
    /// Not until somebody mends what is said here.
    Paused {
        /// In words for people: a permission that is missing, a key that was revoked.
        reason: String,
    },
    /// Not any more. What is known stays.
    Disconnected,
}

impl Connection {
    /// The same with another status; none when that changes nothing. What was disconnected is
    /// connected again by connecting, and by nothing else.
    #[must_use]
    pub fn with_status(&self, status: &Status) -> Option<Self> {
        let changes = self.status != *status && self.status != Status::Disconnected;
        changes.then(|| Self {
            status: status.clone(),
            ..self.clone()
        })
    }
}

/// The event by which an account takes the platform's access back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deauthorized {
    /// Stripe's second.
    pub at: Timestamp,
    /// Whether it is about real money.
    pub livemode: bool,
}

impl Deauthorized {
    /// What an event tells, if it is such a one.
    #[must_use]
    pub fn of(event: &StripeEvent<'_>) -> Option<Self> {
        (event.event_type == DEAUTHORIZED).then_some(Self {
            at: event.created,
            livemode: event.livemode,
        })
    }

    /// Whether it ends this connection, and not one that an old copy or a test account had.
    #[must_use]
    pub fn ends(&self, connection: &Connection, account: &StripeId) -> bool {
        connection.account == *account
            && connection.by == By::Oauth
            && connection.livemode == self.livemode
            && connection.since <= self.at
    }
}

/// Whose accounts are, and what they end, for who hears of them by events.
pub trait Accounts: Sync {
    /// Whose an account is now: whoever read it before may not have heard yet.
    fn owner(
        &self,
        account: &StripeId,
    ) -> impl Future<Output = Result<Option<TenantId>, StoreError>> + Send;

    /// Ends the tenant's connection to the account, if that is the one that the event is about. To
    /// hear it again changes nothing.
    fn deauthorized(
        &self,
        tenant: &TenantId,
        account: &StripeId,
        told: Deauthorized,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Accounts for NoFetch {
    /// Nobody's.
    async fn owner(&self, _: &StripeId) -> Result<Option<TenantId>, StoreError> {
        Ok(None)
    }

    /// Nobody is connected.
    async fn deauthorized(
        &self,
        _: &TenantId,
        _: &StripeId,
        _: Deauthorized,
    ) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Why a connection was not put.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The account is another tenant's.
    #[error("the account belongs to another tenant")]
    Taken,
    /// Somebody else changed the connection meanwhile.
    #[error("somebody else changed the connection meanwhile")]
    Moved,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where connections are kept, and whose each Stripe account is. Every read is consistent.
pub trait ConnectionStore: Sync {
    /// The tenant's connection; none when there never was one.
    fn connection(
        &self,
        tenant: &TenantId,
    ) -> impl Future<Output = Result<Option<Connection>, StoreError>> + Send;

    /// Puts a connection in the place of the one with its `rev`, and counts that up. In the same
    /// transaction its account becomes the tenant's; of one that is disconnected, nobody's.
    fn put_connection(
        &self,
        tenant: &TenantId,
        connection: &Connection,
    ) -> impl Future<Output = Result<(), ClaimError>> + Send;

    /// Whose an account is.
    fn owner(
        &self,
        account: &StripeId,
    ) -> impl Future<Output = Result<Option<TenantId>, StoreError>> + Send;

    /// The tenants that are connected, or paused.
    fn tenants(&self) -> impl Future<Output = Result<BTreeSet<TenantId>, StoreError>> + Send;

    /// The accounts that the platform may read, each with its tenant.
    fn platform_accounts(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<StripeId, TenantId>, StoreError>> + Send;

    /// Uses something up that may be used once, and forgets it some time after it has run out. Says
    /// whether it was still there.
    fn spend(
        &self,
        tenant: &TenantId,
        nonce: &str,
        runs_out: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Gives the tenant's connection another status. Gives the connection as it was before; none when
/// nothing was changed.
///
/// # Errors
/// [`StoreError`] when the store fails, or others keep changing the connection.
pub async fn set_status(
    store: &impl ConnectionStore,
    tenant: &TenantId,
    status: &Status,
) -> Result<Option<Connection>, StoreError> {
    for _ in 0..ATTEMPTS {
        let Some(before) = store.connection(tenant).await? else {
            return Ok(None);
        };
        let Some(next) = before.with_status(status) else {
            return Ok(None);
        };
        match store.put_connection(tenant, &next).await {
            Ok(()) => return Ok(Some(before)),
            Err(ClaimError::Moved) => {}
            Err(ClaimError::Taken) => return Err(busy("the account is another tenant's by now")),
            Err(ClaimError::Store(error)) => return Err(error),
        }
    }
    Err(busy("the connection was changed by others all the time"))
}

pub(crate) fn busy(context: &str) -> StoreError {
    StoreError {
        context: context.to_owned(),
        retry: true,
        source: None,
    }
}

/// Begins the import of what the account has had so far.
pub trait StartImport: Sync {
    /// Begins it. Says whether it did: without it, somebody has to ask for the import.
    fn start(&self, tenant: &TenantId) -> impl Future<Output = bool> + Send;
}

impl<T: StartImport> StartImport for Option<T> {
    /// Without anybody who begins it, somebody has to ask for it.
    async fn start(&self, tenant: &TenantId) -> bool {
        match self {
            Some(begins) => begins.start(tenant).await,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection {
            account: StripeId::parse("acct_1").unwrap(),
            name: None,
            livemode: true,
            by: By::Oauth,
            since: Timestamp::from_unix(100).unwrap(),
            endpoint: None,
            status: Status::Connected,
            rev: 1,
        }
    }

    #[test]
    fn i8_only_the_connections_own_deauthorization_ends_it() {
        let own = connection().account;
        let at = |seconds| Timestamp::from_unix(seconds).unwrap();
        let told = |at, livemode| Deauthorized { at, livemode };
        assert!(told(at(100), true).ends(&connection(), &own));
        assert!(!told(at(99), true).ends(&connection(), &own), "an old one");
        assert!(!told(at(100), false).ends(&connection(), &own), "a test");
        let other = StripeId::parse("acct_2").unwrap();
        assert!(!told(at(100), true).ends(&connection(), &other));
        let by = By::RestrictedKey;
        let keyed = Connection { by, ..connection() };
        assert!(!told(at(100), true).ends(&keyed, &own), "of the platform");
    }

    #[test]
    fn what_was_disconnected_is_not_paused_nor_resumed() {
        let paused = Status::Paused {
            reason: "the key was revoked".to_owned(),
        };
        assert!(connection().with_status(&paused).is_some());
        assert_eq!(connection().with_status(&Status::Connected), None);
        let ended = connection().with_status(&Status::Disconnected).unwrap();
        for status in [paused, Status::Connected, Status::Disconnected] {
            assert_eq!(ended.with_status(&status), None);
        }
    }
}
