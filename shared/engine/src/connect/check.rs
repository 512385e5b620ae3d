//! Looking at a connection: what is there, and what is missing.

use paygraph_domain::id::TenantId;
use paygraph_runtime::secrets::SecretKeeper;
use paygraph_stripe::client::{API_VERSION, Access, Client, ClientError};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::endpoint::{ByHand, Wanted};
use super::permission::{Permission, probe};
use super::platform;
use super::secrets::EndpointSecret;
use super::{ConnectError, Connector};
use crate::connection::{Connection, ConnectionStore, StartImport, Status};

/// A connection, looked at. Nothing was changed.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What is kept of it; none when its key was put by hand.
    pub connection: Option<Connection>,
    /// Whether the key is for live money, where that can be told by it.
    pub key_livemode: Option<bool>,
    /// What the key may do.
    pub permissions: Vec<Permission>,
    /// The webhook endpoint.
    pub endpoint: EndpointCheck,
    /// What is missing, in words for people: nothing is, if this is empty.
    pub troubles: Vec<Trouble>,
    /// How to make the endpoint, if it has to be made by hand.
    pub by_hand: Option<ByHand>,
}

/// The webhook endpoint, looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct EndpointCheck {
    /// Whether it is the platform's.
    pub is_platforms: bool,
    /// Where it sends to.
    pub url: Option<String>,
    /// `we_…`, if there is one and it can be seen.
    pub id: Option<String>,
    /// Whether Stripe sends to it; none where that cannot be seen.
    pub enabled: Option<bool>,
    /// Its API version.
    pub api_version: Option<String>,
    /// Required event types that it does not send.
    pub missing_events: Vec<&'static str>,
    /// Whether its signing secret is known.
    pub secret_held: bool,
}

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// For scripts.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Trouble {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl<T, K, I> Connector<T, K, I>
where
    T: ConnectionStore,
    K: SecretKeeper + Clone + Sync,
    I: StartImport,
{
    /// Looks at a tenant's connection, whose webhooks are to come to `public_url`.
    ///
    /// # Errors
    /// [`ConnectError::NotConnected`] when there is neither a connection nor a key; trouble with
    /// Stripe, the store or the secrets. What is missing is no error.
    pub async fn check(&self, tenant: &TenantId, public_url: &str) -> Result<Check, ConnectError> {
        let connection = self.store.connection(tenant).await?;
        let access = self.connections().access(tenant).await?;
        let mut check = Check {
            key_livemode: access.as_ref().and_then(livemode),
            connection,
            permissions: Vec::new(),
            endpoint: EndpointCheck::default(),
            troubles: Vec::new(),
            by_hand: None,
        };
        check.look_at_status();
        match access {
            Some(access) => self.look(&mut check, tenant, access, public_url).await?,
            None if check.connection.is_none() => return Err(ConnectError::NotConnected),
            None => check.say("key_missing", "no key is held"),
        }
        Ok(check)
    }

    async fn look(
        &self,
        check: &mut Check,
        tenant: &TenantId,
        access: Access,
        public_url: &str,
    ) -> Result<(), ConnectError> {
        if let Some(livemode) = check.key_livemode
            && livemode != self.place.livemode
        {
            let message = ConnectError::Livemode(self.place.livemode).to_string();
            check.say("livemode", message);
        }
        let platforms = access.account.clone();
        let client = self.client(access)?;
        let probe = match probe(&client, platforms.is_none()).await {
            Err(error) if error.is_denial() => {
                check.say("key_refused", error.to_string());
                return Ok(());
            }
            probe => probe?,
        };
        for lacking in probe.lacking() {
            let name = lacking.missing.unwrap_or_default();
            check.say("permission", format!("{name}, to read {}", lacking.object));
        }
        check.permissions = probe.permissions;
        match (platforms, probe.account) {
            (Some(account), _) => self.look_at_platform(check, tenant, account.as_str()).await,
            (None, Some(account)) => {
                let held = EndpointSecret::read(&self.secrets, tenant, &account).await?;
                check.endpoint.secret_held = held.is_held();
                let wanted = Wanted::new(tenant, public_url);
                check.look_at_endpoint(&client, &wanted).await
            }
            (None, None) => {
                check.say("account", ConnectError::Nameless.to_string());
                Ok(())
            }
        }
    }

    async fn look_at_platform(
        &self,
        check: &mut Check,
        tenant: &TenantId,
        account: &str,
    ) -> Result<(), ConnectError> {
        let document = platform::read(&self.secrets).await?;
        let secrets = document
            .get("secrets")
            .and_then(|secrets| secrets.as_array());
        check.endpoint.is_platforms = true;
        check.endpoint.secret_held = secrets.is_some_and(|secrets| !secrets.is_empty());
        if !check.endpoint.secret_held {
            let message = "the signing secret of the platform's endpoint is not held";
            check.say("secret", message);
        }
        let owner = document
            .get("accounts")
            .and_then(|of| of.get(account)?.as_str());
        if owner != Some(tenant.as_str()) {
            let message = format!("the platform's secret does not say whose {account} is");
            check.say("account_unmapped", message);
        }
        Ok(())
    }
}

impl Check {
    fn say(&mut self, code: &'static str, message: impl Into<String>) {
        self.troubles.push(Trouble::new(code, message));
    }

    fn look_at_status(&mut self) {
        let status = self.connection.as_ref().map(|of| of.status.clone());
        match status {
            Some(Status::Paused { reason }) => {
                self.say(
                    "paused",
                    format!("paused: {reason}. Connect again to go on"),
                );
            }
            Some(Status::Disconnected) => self.say("disconnected", "disconnected"),
            Some(Status::Connected) | None => {}
        }
    }

    async fn look_at_endpoint(
        &mut self,
        client: &Client,
        wanted: &Wanted<'_>,
    ) -> Result<(), ConnectError> {
        self.endpoint.url = Some(wanted.url.clone());
        let by_hand = wanted.by_hand(self.endpoint.secret_held);
        if !self.endpoint.secret_held {
            self.by_hand = Some(by_hand.clone());
            self.say("secret", "the endpoint's signing secret is not held");
        }
        let existing = match wanted.existing(client).await {
            // Made by hand, with a key that may not see it.
            Err(ClientError::Forbidden { .. }) => return Ok(()),
            existing => existing?,
        };
        let Some(endpoint) = existing.iter().find(|endpoint| endpoint.url == wanted.url) else {
            self.by_hand = Some(by_hand);
            self.endpoint.enabled = Some(false);
            self.say(
                "endpoint",
                format!("there is no webhook endpoint to {}", wanted.url),
            );
            return Ok(());
        };
        self.endpoint.id = Some(endpoint.id.clone());
        self.endpoint.enabled = Some(endpoint.is_enabled());
        self.endpoint.api_version = endpoint.api_version.clone();
        self.endpoint.missing_events = endpoint.missing_events();
        if !endpoint.is_enabled() {
            self.say("endpoint_disabled", "the webhook endpoint is disabled");
        }
        if endpoint.api_version.as_deref() != Some(API_VERSION) {
            let message = format!("the endpoint's API version is not {API_VERSION}");
            self.say("api_version", message);
        }
        if !self.endpoint.missing_events.is_empty() {
            let missing = self.endpoint.missing_events.join(", ");
            self.say("events", format!("the endpoint does not send {missing}"));
        }
        Ok(())
    }
}

/// Whether a key is for live money. Every kind says so in its name.
fn livemode(access: &Access) -> Option<bool> {
    let (_, rest) = access.key.expose_secret().split_once('_')?;
    match rest.split_once('_')?.0 {
        "live" => Some(true),
        "test" => Some(false),
        _ => None,
    }
}
