//! The webhook endpoint of an account that is connected by a key of its own: the only thing that
//! paygraph ever makes or changes at Stripe.

use std::collections::BTreeMap;

use paygraph_domain::id::TenantId;
use paygraph_stripe::client::{API_VERSION, Client, ClientError, List};
use paygraph_stripe::event_types::REQUIRED;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::WEBHOOK_PATH;
use super::permission::ENDPOINTS;

/// The key of an endpoint's metadata that says whose it is.
const OURS: &str = "paygraph_tenant";

/// How to make an endpoint by hand, when the key may not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ByHand {
    /// Where it sends to.
    pub url: String,
    /// The API version that it is to have.
    pub api_version: &'static str,
    /// What it is to send.
    pub events: &'static [&'static str],
    /// Whether its signing secret is known: it comes in by connecting again, beside the key.
    pub secret_held: bool,
}

/// The endpoint that a tenant is to have.
pub(super) struct Wanted<'a> {
    tenant: &'a TenantId,
    pub url: String,
}

/// An endpoint, as Stripe has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Endpoint {
    pub id: String,
    pub url: String,
    pub status: String,
    pub api_version: Option<String>,
    enabled_events: Vec<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Told once, when it is made.
    #[serde(default)]
    pub secret: Option<SecretString>,
}

/// What is said of an endpoint.
#[derive(Default, Serialize)]
struct Form<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    enabled_events: &'a [&'a str],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
}

impl<'a> Wanted<'a> {
    pub fn new(tenant: &'a TenantId, public_url: &str) -> Self {
        let url = format!(
            "{}{WEBHOOK_PATH}/{tenant}",
            public_url.trim_end_matches('/')
        );
        Self { tenant, url }
    }

    /// How to make it by hand.
    pub fn by_hand(&self, secret_held: bool) -> ByHand {
        ByHand {
            url: self.url.clone(),
            api_version: API_VERSION,
            events: REQUIRED,
            secret_held,
        }
    }

    /// The endpoints that are there for this tenant, made by us or by hand.
    pub async fn existing(&self, client: &Client) -> Result<Vec<Endpoint>, ClientError> {
        let mut endpoints = Endpoint::all(client).await?;
        endpoints.retain(|endpoint| self.made_by_us(endpoint) || endpoint.url == self.url);
        Ok(endpoints)
    }

    fn made_by_us(&self, endpoint: &Endpoint) -> bool {
        endpoint.is_made_for(self.tenant)
    }

    /// Whether an endpoint can stay what it is, if its secret is known. (The version of an endpoint
    /// cannot be changed.)
    pub fn fits(&self, endpoint: &Endpoint) -> bool {
        endpoint.url == self.url && endpoint.api_version.as_deref() == Some(API_VERSION)
    }

    pub async fn create(&self, client: &Client) -> Result<Endpoint, ClientError> {
        let form = Form {
            url: Some(&self.url),
            api_version: Some(API_VERSION),
            enabled_events: REQUIRED,
            metadata: [(OURS, self.tenant.as_str())].into(),
            disabled: None,
        };
        read(client.post(ENDPOINTS, &form).await?.value.get())
    }

    /// Makes an endpoint send everything, and lets it say whose it is.
    pub async fn mend(&self, client: &Client, endpoint: &Endpoint) -> Result<(), ClientError> {
        if endpoint.is_whole() && self.made_by_us(endpoint) {
            return Ok(());
        }
        let form = Form {
            enabled_events: REQUIRED,
            metadata: [(OURS, self.tenant.as_str())].into(),
            disabled: Some(false),
            ..Form::default()
        };
        let path = format!("{ENDPOINTS}/{}", endpoint.id);
        client.post(&path, &form).await.map(|_| ())
    }

    /// Ends an endpoint: one of ours is deleted, one made by hand is only disabled.
    pub async fn retire(&self, client: &Client, endpoint: &Endpoint) -> Result<(), ClientError> {
        let path = format!("{ENDPOINTS}/{}", endpoint.id);
        if self.made_by_us(endpoint) {
            return client.delete(&path).await.map(|_| ());
        }
        let form = Form {
            disabled: Some(true),
            ..Form::default()
        };
        client.post(&path, &form).await.map(|_| ())
    }
}

impl Endpoint {
    /// All of an account's endpoints.
    pub async fn all(client: &Client) -> Result<Vec<Self>, ClientError> {
        // An account has 16 at most.
        let list = List {
            limit: 100,
            ..List::default()
        };
        let page = client.page(ENDPOINTS, &list).await?.value;
        page.data.iter().map(|object| read(object.get())).collect()
    }

    /// Whether we made it for a tenant.
    pub fn is_made_for(&self, tenant: &TenantId) -> bool {
        self.metadata.get(OURS).map(String::as_str) == Some(tenant.as_str())
    }

    /// Whether what it sends is the tenant's: we made it, or it was made by hand.
    pub fn sends_to(&self, tenant: &TenantId) -> bool {
        let own = format!("{WEBHOOK_PATH}/{tenant}");
        let by_hand = [own.as_str(), WEBHOOK_PATH];
        self.is_made_for(tenant) || by_hand.iter().any(|path| self.url.ends_with(path))
    }

    /// The required event types that it does not send.
    pub fn missing_events(&self) -> Vec<&'static str> {
        let sends = |name: &str| self.enabled_events.iter().any(|on| on == "*" || on == name);
        REQUIRED
            .iter()
            .copied()
            .filter(|name| !sends(name))
            .collect()
    }

    pub fn is_enabled(&self) -> bool {
        self.status == "enabled"
    }

    fn is_whole(&self) -> bool {
        self.is_enabled() && self.missing_events().is_empty()
    }
}

fn read(json: &str) -> Result<Endpoint, ClientError> {
    serde_json::from_str(json).map_err(|error| ClientError::Unavailable(error.to_string()))
}
