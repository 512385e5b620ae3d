//! The client of Stripe's API: asks, paces itself, tries again, and tells from when an answer is.
//!
//! It is a [`StripeClient`] of `async-stripe`, so that its requests can be sent through it, over a
//! transport of our own: with kept connections and time-outs, Stripe's `Date`, and one budget per
//! Stripe account. What comes back is read by the tolerant types of this crate.

mod budget;
mod connections;
mod error;
mod in_process;
mod list;
mod oauth;
mod retry;
mod transport;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use paygraph_domain::id::StripeId;
use paygraph_domain::time::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::value::RawValue;
use stripe::CustomizedStripeRequest;
use stripe_client_core::{RequestBuilder, StripeClient, StripeMethod};

pub use self::budget::{Budget, Limits};
pub use self::connections::{ConnectionError, Connections};
pub use self::error::{ClientError, InvalidUrl};
pub use self::in_process::{InProcess, Reply};
pub use self::list::{Created, List, Page};
pub use self::oauth::{Granted, OAuth};
use self::transport::{Answer, Transport};

/// The version of Stripe's API whose shapes are asked for.
pub const API_VERSION: &str = "2026-10-28.endive";
/// Where Stripe's API is.
pub const STRIPE_URL: &str = "https://api.stripe.com";
/// Where Connect's OAuth is.
pub const CONNECT_URL: &str = "https://connect.stripe.com";
/// How long an answer is waited for, over all attempts.
const PATIENCE: Duration = Duration::from_secs(60);

/// With what Stripe is asked, and for whom.
#[derive(Debug, Clone)]
pub struct Access {
    /// A secret or restricted key.
    pub key: SecretString,
    /// The connected account that is meant; none for the key's own.
    pub account: Option<StripeId>,
}

/// A client for one Stripe account.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    access: Access,
    budget: Arc<Budget>,
    patience: Duration,
}

/// What Stripe answered, and from when it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<T> {
    /// What was read.
    pub value: T,
    /// The earliest second that it may be from: the answer's `Date`, less the time that the call
    /// took, less one.
    pub since: Timestamp,
    /// The latest: the answer's `Date`.
    pub until: Timestamp,
    /// Stripe's name for the request, `req_…`: by it their support finds it.
    pub request_id: Option<String>,
}

impl<T> Received<T> {
    /// The same of something else.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Received<U> {
        Received {
            value: change(self.value),
            since: self.since,
            until: self.until,
            request_id: self.request_id,
        }
    }
}

impl Client {
    /// A client for an account, at [`STRIPE_URL`] or at another place that speaks as Stripe does.
    ///
    /// # Errors
    /// [`InvalidUrl`] when there can be no such place.
    pub fn new(url: &str, access: Access, budget: Arc<Budget>) -> Result<Self, InvalidUrl> {
        Ok(Self {
            transport: Transport::new(&format!("{}/v1", url.trim_end_matches('/')))?,
            access,
            budget,
            patience: PATIENCE,
        })
    }

    /// A client of a Stripe in the same process: for whole histories in tests, which would spend most
    /// of their time on connections.
    #[must_use]
    pub fn in_process(stripe: Arc<dyn InProcess>, access: Access, budget: Arc<Budget>) -> Self {
        Self {
            transport: Transport::in_process(stripe),
            access,
            budget,
            patience: PATIENCE,
        }
    }

    /// Whether it asks with this key for this account.
    pub(crate) fn is_for(&self, access: &Access) -> bool {
        let same_key = self.access.key.expose_secret() == access.key.expose_secret();
        same_key && self.access.account == access.account
    }

    /// The same, giving up after this long.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same with a budget of its own: a part of all requests, a fifth for `parts` = 5.
    #[must_use]
    pub fn with_part_of_budget(&self, parts: u32) -> Self {
        Self {
            budget: Arc::new(self.budget.part(parts)),
            ..self.clone()
        }
    }

    /// Whether it did not answer somebody a moment ago, however often it was asked: whoever cannot
    /// wait need not try. The next answer ends that.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.budget.is_silent()
    }

    /// Notes that it did not answer in time.
    pub fn fell_silent(&self) {
        self.budget.note(false);
    }

    /// One object, by its path: `/customers/cus_1`. The fields named by `expand` are objects in it,
    /// and not ids.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Missing`] when there is none.
    pub async fn get(
        &self,
        path: &str,
        expand: &[&str],
    ) -> Result<Received<Box<RawValue>>, ClientError> {
        #[derive(Serialize)]
        struct Query<'a> {
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            expand: &'a [&'a str],
        }
        let request = RequestBuilder::new(StripeMethod::Get, path);
        let request = if expand.is_empty() {
            request
        } else {
            request.query(&Query { expand })
        };
        self.received(request).await
    }

    /// One page of a list.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn page(&self, path: &str, list: &List<'_>) -> Result<Received<Page>, ClientError> {
        let request = RequestBuilder::new(StripeMethod::Get, path).query(list);
        self.received(request).await
    }

    /// Creates or changes something. Only our own webhook endpoint is ever changed at Stripe.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post(
        &self,
        path: &str,
        form: &impl Serialize,
    ) -> Result<Received<Box<RawValue>>, ClientError> {
        self.received(RequestBuilder::new(StripeMethod::Post, path).form(form))
            .await
    }

    /// Deletes something.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete(&self, path: &str) -> Result<Received<Box<RawValue>>, ClientError> {
        self.received(RequestBuilder::new(StripeMethod::Delete, path))
            .await
    }

    async fn received<T: serde::de::DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<Received<T>, ClientError> {
        let read = |answer: &Answer| {
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
        };
        let (value, answer) = self.send(&request, None, read).await?;
        let took = i64::try_from(answer.took.as_secs() + 1).unwrap_or(i64::MAX);
        Ok(Received {
            value,
            since: answer.date.plus(-took.saturating_add(1)),
            until: answer.date,
            request_id: answer.request_id,
        })
    }
}

impl StripeClient for Client {
    type Err = ClientError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, ClientError> {
        let (request, changed) = request.into_pieces();
        let account = changed.account_id.map(|account| account.to_string());
        let read = |answer: &Answer| {
            let json = serde_json::from_slice::<&RawValue>(&answer.body);
            json.map(|_| answer.body.clone())
                .map_err(|error| error.to_string())
        };
        let (body, _) = self.send(&request, account.as_deref(), read).await?;
        Ok(body)
    }
}
