//! Connecting to Stripe, here to a fake one, over HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

mod keys;
mod platform;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_engine::connect::{ConnectError, Connector, Done, Offer, Place, RestrictedKey};
use paygraph_engine::connection::{Connection, ConnectionStore, StartImport};
use paygraph_engine::memory::MemoryStore;
use paygraph_runtime::secrets::{SecretKeeper, SecretSource, SecretsError};
use paygraph_testkit::fake_stripe::{AccountConfig, Config, FakeStripe, Key, needed_rights};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// Secrets in memory.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Arc<Mutex<BTreeMap<String, String>>>);

impl Secrets {
    /// A secret's JSON; null when there is none.
    pub fn json(&self, name: &str) -> Value {
        let held = self.0.lock().unwrap();
        held.get(name)
            .map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    }

    pub fn set(&self, name: &str, value: &Value) {
        let mut held = self.0.lock().unwrap();
        held.insert(name.to_owned(), value.to_string());
    }
}

impl SecretSource for Secrets {
    async fn fetch(&self, name: &str) -> Result<Option<SecretString>, SecretsError> {
        let held = self.0.lock().unwrap();
        Ok(held.get(name).map(|text| text.clone().into()))
    }
}

impl SecretKeeper for Secrets {
    async fn put(&self, name: &str, secret: &SecretString) -> Result<(), SecretsError> {
        let text = secret.expose_secret().to_owned();
        self.0.lock().unwrap().insert(name.to_owned(), text);
        Ok(())
    }

    async fn create(&self, name: &str, secret: &SecretString) -> Result<bool, SecretsError> {
        let text = secret.expose_secret().to_owned();
        let mut held = self.0.lock().unwrap();
        let is_new = !held.contains_key(name);
        held.entry(name.to_owned()).or_insert(text);
        Ok(is_new)
    }
}

/// Notes whose imports were begun.
#[derive(Debug, Default)]
pub struct Imports(Mutex<Vec<String>>);

impl StartImport for &Imports {
    async fn start(&self, tenant: &TenantId) -> bool {
        self.0.lock().unwrap().push(tenant.to_string());
        true
    }
}

pub const URL: &str = "https://paygraph.example.com";
pub const RK: &str = "rk_test_acme1234567890";

pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// A fake Stripe with the platform's account and two more, each with a restricted key.
pub struct World {
    pub stripe: FakeStripe,
    pub store: MemoryStore,
    pub secrets: Secrets,
    pub imports: Imports,
}

impl World {
    pub async fn new() -> Self {
        let mut config = Config::default().unlimited();
        for id in ["acct_acme", "acct_globex"] {
            config.accounts.push(AccountConfig::new(id));
        }
        let stripe = FakeStripe::start(config).await.unwrap();
        stripe.add_key(Key::restricted(RK, "acct_acme", &needed_rights()));
        let store = MemoryStore::new(Settings::example().unwrap());
        let secrets = Secrets::default();
        let platform = json!({ "key": paygraph_testkit::fake_stripe::KEY, "account": null });
        secrets.set("stripe/platform", &platform);
        let webhook =
            json!({ "secrets": ["whsec_platform"], "accounts": { "acct_by_hand": "hand" } });
        secrets.set("webhook/platform", &webhook);
        Self {
            stripe,
            store,
            secrets,
            imports: Imports::default(),
        }
    }

    pub fn connector(&self, livemode: bool) -> Connector<MemoryStore, Secrets, &Imports> {
        let (url, id) = (self.stripe.url().to_owned(), "ca_test".to_owned());
        Connector {
            store: self.store.clone(),
            secrets: self.secrets.clone(),
            import: &self.imports,
            place: Place::new(Some(url), Some(id), livemode),
        }
    }

    pub async fn by_key(&self, name: &str, key: &str) -> Result<Done, ConnectError> {
        let offer = offer(key, None);
        self.connector(false)
            .by_key(&tenant(name), &offer, URL)
            .await
    }

    pub async fn connection(&self, name: &str) -> Connection {
        let found = self.store.connection(&tenant(name)).await;
        found.unwrap().unwrap()
    }
}

pub fn offer(key: &str, webhook_secret: Option<&str>) -> Offer {
    Offer {
        key: RestrictedKey::parse(key.into()).unwrap(),
        webhook_secret: webhook_secret.map(Into::into),
    }
}
