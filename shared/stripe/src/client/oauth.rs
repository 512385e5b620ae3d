//! Connect's OAuth: an account lets the platform read it, and takes that back.

use std::sync::Arc;

use paygraph_domain::id::StripeId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::transport::Transport;
use super::{Access, Budget, Client, ClientError, InvalidUrl, Limits, PATIENCE};

/// The platform, as it asks for access to accounts.
#[derive(Debug, Clone)]
pub struct OAuth {
    client: Client,
    url: String,
    /// `ca_…`
    client_id: String,
}

/// What an account has granted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Granted {
    /// The account.
    #[serde(rename = "stripe_user_id")]
    pub account: StripeId,
    /// Whether it is about real money.
    pub livemode: bool,
    /// `read_only`, or what else was granted.
    pub scope: String,
}

impl OAuth {
    /// The platform with this client id and secret key, at [`super::CONNECT_URL`] or another place.
    ///
    /// # Errors
    /// [`InvalidUrl`] when there can be no such place.
    pub fn new(url: &str, client_id: String, key: SecretString) -> Result<Self, InvalidUrl> {
        let limits = Limits::default().of_key(&key);
        let access = Access { key, account: None };
        let client = Client {
            transport: Transport::new(url)?,
            access,
            budget: Arc::new(Budget::new(limits)),
            patience: PATIENCE,
        };
        Ok(Self {
            client,
            url: url.trim_end_matches('/').to_owned(),
            client_id,
        })
    }

    /// Where somebody is sent to let the platform read an account. Stripe sends them back to
    /// `redirect_uri` with this state.
    #[must_use]
    pub fn authorize_url(&self, state: &str, redirect_uri: &str) -> String {
        #[derive(Serialize)]
        struct Query<'a> {
            response_type: &'a str,
            client_id: &'a str,
            scope: &'a str,
            redirect_uri: &'a str,
            state: &'a str,
        }
        let request = RequestBuilder::new(StripeMethod::Get, "/oauth/authorize").query(&Query {
            response_type: "code",
            client_id: &self.client_id,
            scope: "read_only",
            redirect_uri,
            state,
        });
        let query = request.query.unwrap_or_default();
        format!("{}{}?{query}", self.url, request.path)
    }

    /// Exchanges the code that somebody came back with for access to their account.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Refused`] for a code that is unknown, used or too old.
    pub async fn exchange(&self, code: &str) -> Result<Granted, ClientError> {
        #[derive(Serialize)]
        struct Form<'a> {
            grant_type: &'a str,
            code: &'a str,
            client_secret: &'a str,
        }
        let request = RequestBuilder::new(StripeMethod::Post, "/oauth/token").form(&Form {
            grant_type: "authorization_code",
            code,
            client_secret: self.client.access.key.expose_secret(),
        });
        Ok(self.client.received(request).await?.value)
    }

    /// Gives the access to an account up.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Unauthorized`] when there is none to give up.
    pub async fn deauthorize(&self, account: &StripeId) -> Result<(), ClientError> {
        #[derive(Serialize)]
        struct Form<'a> {
            client_id: &'a str,
            stripe_user_id: &'a StripeId,
        }
        #[derive(Deserialize)]
        struct Done {}
        let request = RequestBuilder::new(StripeMethod::Post, "/oauth/deauthorize").form(&Form {
            client_id: &self.client_id,
            stripe_user_id: account,
        });
        let Done {} = self.client.received(request).await?.value;
        Ok(())
    }
}
