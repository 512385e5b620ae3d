//! Connecting by OAuth: the account lets the platform read it.
//!
//! Three steps, all in one browser: to Stripe, back with a code, and a look at the account before it
//! is kept.

use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_runtime::secrets::SecretKeeper;
use paygraph_stripe::client::{Access, ClientError, OAuth};
use secrecy::SecretString;

use super::permission::probe;
use super::secrets::put_access;
use super::ticket::{Step, Ticket, TicketError, random, signing_key};
use super::{ConnectError, Connector, Done, Webhooks};
use crate::connection::{By, Connection, ConnectionStore, StartImport, Status};

/// Where Stripe sends people back to, below the public URL.
const CALLBACK_PATH: &str = "/api/integrations/stripe/callback";
/// How long somebody may take at Stripe, and to confirm, in seconds.
const LASTS: i64 = 600;

/// The way to Stripe.
#[derive(Debug)]
pub struct Start {
    /// Where to send the browser.
    pub authorize_url: String,
    /// The cookie that the browser is to have.
    pub cookie: SecretString,
    /// For how long, in seconds.
    pub lasts: i64,
}

/// What a browser brings back from Stripe.
#[derive(Debug, Default)]
pub struct Back {
    /// The code of what was granted.
    pub code: Option<String>,
    /// Why nothing was.
    pub error: Option<String>,
    /// What it was sent away with.
    pub state: Option<String>,
    /// Its cookie.
    pub cookie: Option<SecretString>,
}

/// The account that was found, for somebody to confirm.
#[derive(Debug)]
pub struct Asked {
    /// For which tenant.
    pub tenant: TenantId,
    /// Which account.
    pub account: String,
    /// What people call it.
    pub name: Option<String>,
    /// What is to be sent to confirm it.
    pub ticket: String,
}

impl<T, K, I> Connector<T, K, I>
where
    T: ConnectionStore,
    K: SecretKeeper + Clone + Sync,
    I: StartImport,
{
    pub(super) async fn oauth(&self) -> Result<OAuth, ConnectError> {
        let id = self.place.client_id.clone();
        let id = id.ok_or(ConnectError::NotSetUp("the client id (StripeClientId)"))?;
        let url = &self.place.connect_url;
        Ok(OAuth::new(url, id, self.platform_key().await?)?)
    }

    async fn platform_key(&self) -> Result<SecretString, ConnectError> {
        let key = self.connections().platform_key().await?;
        key.ok_or(ConnectError::NotSetUp(
            "the platform's key (stripe/platform)",
        ))
    }

    /// Begins: where the browser is to go, and with which cookie. Nothing is kept.
    ///
    /// # Errors
    /// [`ConnectError::NotSetUp`] without a client id or a platform's key.
    pub async fn authorize(
        &self,
        tenant: &TenantId,
        public_url: &str,
        now: Timestamp,
    ) -> Result<Start, ConnectError> {
        let oauth = self.oauth().await?;
        let key = signing_key(&self.secrets).await?;
        let cookie = SecretString::from(random()?);
        let ticket = Ticket::new(tenant, Step::Return, &cookie, now.plus(LASTS))?;
        let callback = format!("{}{CALLBACK_PATH}", public_url.trim_end_matches('/'));
        Ok(Start {
            authorize_url: oauth.authorize_url(&ticket.seal(&key)?, &callback),
            cookie,
            lasts: LASTS,
        })
    }

    /// Takes what a browser brings back from Stripe, and finds out which account it is. Nothing of
    /// it is kept.
    ///
    /// # Errors
    /// [`ConnectError`]: [`ConnectError::Ticket`] for a state that is not this browser's,
    /// [`ConnectError::Declined`] when nothing was granted, [`ConnectError::Taken`] for an account
    /// of another tenant.
    pub async fn returned(&self, back: &Back, now: Timestamp) -> Result<Asked, ConnectError> {
        let key = signing_key(&self.secrets).await?;
        let state = back.state.as_deref().unwrap_or_default();
        let ticket = Ticket::open(&key, state, back.cookie.as_ref(), now)?;
        let (Step::Return, Some(cookie)) = (&ticket.step, &back.cookie) else {
            return Err(TicketError::Forged.into());
        };
        self.use_up(&ticket).await?;
        let tenant = &ticket.tenant;
        let code = match (&back.error, &back.code) {
            (None, Some(code)) => code,
            (Some(error), _) => return Err(ConnectError::Declined(error.clone())),
            (None, None) => return Err(ConnectError::Declined("Stripe sent no code".to_owned())),
        };
        let granted = match self.oauth().await?.exchange(code).await {
            Err(ClientError::Refused { message, .. }) => {
                return Err(ConnectError::Declined(message));
            }
            exchanged => exchanged?,
        };
        if granted.livemode != self.place.livemode {
            return Err(ConnectError::Livemode(self.place.livemode));
        }
        let account = granted.account;
        let owner = self.store.owner(&account).await?;
        if owner.is_some_and(|owner| owner != *tenant) {
            return Err(ConnectError::Taken(account));
        }
        let client = self.client(Access {
            key: self.platform_key().await?,
            account: Some(account.clone()),
        })?;
        let probe = probe(&client, false).await?;
        let lacking = probe.lacking();
        if !lacking.is_empty() {
            return Err(ConnectError::Permissions(lacking));
        }
        let step = Step::Confirm {
            account: account.clone(),
            name: probe.name.clone(),
            since: probe.at,
        };
        let confirm = Ticket::new(tenant, step, cookie, now.plus(LASTS))?;
        Ok(Asked {
            tenant: tenant.clone(),
            account: account.to_string(),
            name: probe.name,
            ticket: confirm.seal(&key)?,
        })
    }

    /// Keeps the account that somebody has confirmed.
    ///
    /// # Errors
    /// [`ConnectError`], as for [`returned`](Self::returned).
    pub async fn confirmed(
        &self,
        ticket: &str,
        cookie: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Done, ConnectError> {
        let key = signing_key(&self.secrets).await?;
        let ticket = Ticket::open(&key, ticket, cookie, now)?;
        let Step::Confirm {
            account,
            name,
            since,
        } = &ticket.step
        else {
            return Err(TicketError::Forged.into());
        };
        self.use_up(&ticket).await?;
        let tenant = &ticket.tenant;
        let new = Connection {
            account: account.clone(),
            name: name.clone(),
            livemode: self.place.livemode,
            by: By::Oauth,
            since: *since,
            endpoint: None,
            status: Status::Connected,
            rev: 0,
        };
        let claimed = self.claim(tenant, new).await?;
        put_access(&self.secrets, tenant, None, Some(account)).await?;
        self.sync_platform(None).await?;
        self.finish(tenant, claimed, Webhooks::Platform).await
    }

    async fn use_up(&self, ticket: &Ticket) -> Result<(), ConnectError> {
        let spent = self
            .store
            .spend(&ticket.tenant, &ticket.nonce, ticket.until);
        if spent.await? {
            Ok(())
        } else {
            Err(TicketError::Used.into())
        }
    }
}
