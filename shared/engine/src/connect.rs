//! Connecting a tenant to Stripe, looking at its connection, and ending it.
//!
//! Two ways: the account lets the platform read it (OAuth), or gives a restricted key of its own.
//! Nothing is kept before the account is known to be the tenant's alone and what the import needs
//! can be read. Both the API and the command do it here.

mod check;
mod connected;
mod disconnect;
pub(crate) mod endpoint;
mod key;
mod oauth;
mod permission;
mod platform;
mod secrets;
mod ticket;

use std::sync::Arc;

use paygraph_domain::id::{StripeId, TenantId};
use paygraph_runtime::secrets::{SecretKeeper, SecretsError};
use paygraph_stripe::client::{
    Access, Budget, CONNECT_URL, Client, ClientError, ConnectionError, Connections, InvalidUrl,
    Limits, STRIPE_URL,
};
use serde::Serialize;

pub use self::check::{Check, Trouble};
pub use self::connected::Connected;
pub use self::endpoint::ByHand;
pub use self::key::{InvalidKey, Offer, RestrictedKey};
pub use self::oauth::{Asked, Back, Start};
pub use self::permission::Permission;
pub use self::ticket::TicketError;
use crate::connection::{ClaimError, Connection, ConnectionStore, StartImport, Status};
use crate::ports::StoreError;

/// Where the webhooks of a tenant's own account go, below the public URL; the tenant comes after it.
const WEBHOOK_PATH: &str = "/api/integrations/stripe/webhook";

/// Where Stripe is, and who this deployment is to it.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where Stripe's API is.
    pub stripe_url: String,
    /// Where Connect's OAuth is.
    pub connect_url: String,
    /// The platform's client id, `ca_…`; none where accounts are not connected by OAuth.
    pub client_id: Option<String>,
    /// Whether the deployment is about real money.
    pub livemode: bool,
}

impl Place {
    /// Stripe itself, or another place that speaks as its API and its OAuth do.
    #[must_use]
    pub fn new(url: Option<String>, client_id: Option<String>, livemode: bool) -> Self {
        let or = |default: &str| url.clone().unwrap_or_else(|| default.to_owned());
        Self {
            stripe_url: or(STRIPE_URL),
            connect_url: or(CONNECT_URL),
            client_id,
            livemode,
        }
    }
}

/// What connects tenants.
#[derive(Debug, Clone)]
pub struct Connector<T, K, I> {
    /// Where connections are kept.
    pub store: T,
    /// Where keys and signing secrets are kept.
    pub secrets: K,
    /// What begins the import.
    pub import: I,
    /// Where Stripe is.
    pub place: Place,
}

/// A tenant that was connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// How.
    pub connection: Connection,
    /// How its webhooks come.
    pub webhooks: Webhooks,
    /// Whether its import has begun.
    pub import_started: bool,
}

/// How an account's webhooks come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Webhooks {
    /// By an endpoint of its own that was made now.
    Created {
        /// `we_…`
        endpoint: String,
    },
    /// By an endpoint of its own that was there, and whose secret was known.
    Adopted {
        /// `we_…`
        endpoint: String,
    },
    /// By the platform's Connect endpoint.
    Platform,
    /// By an endpoint that somebody makes by hand, since the key may not.
    ByHand(ByHand),
}

/// Why a tenant was not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It is no restricted key.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// It is for the other kind of money.
    #[error(
        "this is a {} account or key, and the deployment takes {} ones only",
        mode(!*.0), mode(*.0)
    )]
    Livemode(bool),
    /// The key lacks what the import needs.
    #[error("the key lacks {}", names(.0))]
    Permissions(Vec<Permission>),
    /// Stripe did not say whose the key is.
    #[error("Stripe does not say which account the key is of: let the key read the account")]
    Nameless,
    /// The account belongs to another tenant.
    #[error("the Stripe account {0} is connected to another tenant")]
    Taken(StripeId),
    /// The tenant has another account.
    #[error("the tenant is connected to the Stripe account {0}: disconnect that one first")]
    Other(StripeId),
    /// Somebody else connects the same tenant.
    #[error("somebody else changed the connection meanwhile: look at it, and try again")]
    Moved,
    /// OAuth is not set up.
    #[error("connecting by OAuth is not set up: {0} is missing. A restricted key connects too")]
    NotSetUp(&'static str),
    /// The tenant is not connected.
    #[error("the tenant is not connected to Stripe")]
    NotConnected,
    /// What came back from Stripe, or the confirmation, is not to be believed.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// Whoever was asked has said no.
    #[error("access was not granted: {0}")]
    Declined(String),
    /// Stripe.
    #[error(transparent)]
    Stripe(#[from] ClientError),
    /// The configured address of Stripe is none.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A secret is not what it should be.
    #[error("the secret `{0}` is not readable")]
    Unreadable(String),
}

impl From<ConnectionError> for ConnectError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Secrets(error) => error.into(),
            ConnectionError::Unreadable(name) => Self::Unreadable(name),
            ConnectionError::Url(error) => error.into(),
        }
    }
}

fn mode(live: bool) -> &'static str {
    if live { "live" } else { "test" }
}

fn names(permissions: &[Permission]) -> String {
    let missing = permissions.iter().filter_map(|of| of.missing.as_deref());
    missing.collect::<Vec<_>>().join(", ")
}

impl<T, K, I> Connector<T, K, I>
where
    T: ConnectionStore,
    K: SecretKeeper + Clone + Sync,
    I: StartImport,
{
    fn client(&self, access: Access) -> Result<Client, ConnectError> {
        let budget = Arc::new(Budget::new(Limits::default().of_key(&access.key)));
        let client = Client::new(&self.place.stripe_url, access, budget)?;
        // Somebody waits for the answer.
        Ok(client.patient_for(std::time::Duration::from_secs(10)))
    }

    /// The clients of all tenants, as the secrets say now.
    fn connections(&self) -> Connections<K> {
        Connections::new(
            self.secrets.clone(),
            self.place.stripe_url.clone(),
            Limits::default(),
        )
    }

    /// Makes the account the tenant's, who may not be connected to another one. Until the rest is
    /// done too, a new connection is paused.
    async fn claim(&self, tenant: &TenantId, new: Connection) -> Result<Connection, ConnectError> {
        let before = self.store.connection(tenant).await?;
        let rev = before.as_ref().map_or(0, |before| before.rev);
        let status = match before.filter(|before| before.status != Status::Disconnected) {
            Some(other) if other.account != new.account => {
                return Err(ConnectError::Other(other.account));
            }
            Some(same) => same.status,
            None => Status::Paused {
                reason: "it is being connected".to_owned(),
            },
        };
        let claim = Connection { rev, status, ..new };
        self.put(tenant, claim).await
    }

    /// Puts a connection, and gives it with its new rev.
    async fn put(
        &self,
        tenant: &TenantId,
        connection: Connection,
    ) -> Result<Connection, ConnectError> {
        match self.store.put_connection(tenant, &connection).await {
            Ok(()) => {}
            Err(ClaimError::Taken) => return Err(ConnectError::Taken(connection.account)),
            Err(ClaimError::Moved) => return Err(ConnectError::Moved),
            Err(ClaimError::Store(error)) => return Err(error.into()),
        }
        let rev = connection.rev + 1;
        Ok(Connection { rev, ..connection })
    }

    /// The connection stands: the import begins.
    async fn finish(
        &self,
        tenant: &TenantId,
        connection: Connection,
        webhooks: Webhooks,
    ) -> Result<Done, ConnectError> {
        let status = Status::Connected;
        let connection = Connection {
            status,
            ..connection
        };
        let connection = self.put(tenant, connection).await?;
        tracing::info!(
            %tenant,
            account = %connection.account,
            livemode = connection.livemode,
            "A tenant was connected to Stripe"
        );
        Ok(Done {
            connection,
            webhooks,
            import_started: self.import.start(tenant).await,
        })
    }
}
