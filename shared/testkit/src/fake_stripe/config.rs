//! What a fake Stripe is started with.

use std::collections::BTreeMap;
use std::time::Duration;

use super::lazy::Lazy;

/// What a fake Stripe is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The accounts; the first one is the platform.
    pub accounts: Vec<AccountConfig>,
    /// The keys that are known.
    pub keys: Vec<Key>,
    /// Authorization codes that were given out, and the accounts that gave them.
    pub codes: BTreeMap<String, String>,
    /// Requests per second and endpoint of an account; beyond it 429.
    pub rate: u32,
    /// Requests per second of an account by keys of live mode; beyond it 429.
    pub overall_rate: u32,
    /// Requests per second of an account by keys of test mode; beyond it 429.
    /// (<https://docs.stripe.com/rate-limits>)
    pub test_rate: u32,
    /// The `Retry-After` of a 429, if it is to have one.
    pub retry_after: Option<String>,
    /// How long every answer takes.
    pub latency: Duration,
}

/// An account and what it holds.
#[derive(Debug, Clone)]
pub struct AccountConfig {
    /// `acct_…`.
    pub id: String,
    /// The computed world in it, if any.
    pub world: Option<Lazy>,
    /// The API version of requests that name none.
    pub api_version: String,
    /// Whether the platform may act for it.
    pub connected: bool,
}

/// A secret or a restricted key.
#[derive(Debug, Clone)]
pub struct Key {
    /// `sk_test_…`, `rk_test_…`.
    pub secret: String,
    /// The account that it belongs to.
    pub account: String,
    /// What it may do.
    pub rights: Rights,
}

/// What a key may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// Everything.
    All,
    /// What is named, by Stripe's words: `customer`, `subscription`, `invoice`, `payment_method`,
    /// `charge` (and refunds), `dispute`, `checkout_session`, `product`, `plan` (prices), `coupon`,
    /// `event`, `webhook`, `accounts_kyc_basic`.
    Only(BTreeMap<String, Right>),
}

/// A right to one kind of object. To write includes to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To list and get.
    Read,
    /// To create, change and delete, too.
    Write,
}

/// The newest API version that is known here.
pub const NEWEST: &str = "2026-10-28.endive";
/// The account of [`Config::default`].
pub const PLATFORM: &str = "acct_platform";
/// The secret key of [`Config::default`].
pub const KEY: &str = "sk_test_fake";
/// A secret key of live mode, which [`Config::default`] knows, too.
pub const LIVE_KEY: &str = "sk_live_fake";

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            accounts: vec![AccountConfig::new(PLATFORM)],
            keys: vec![Key::secret(KEY, PLATFORM), Key::secret(LIVE_KEY, PLATFORM)],
            codes: BTreeMap::new(),
            rate: 25,
            overall_rate: 100,
            test_rate: 25,
            retry_after: None,
            latency: Duration::ZERO,
        }
    }
}

impl Config {
    /// One account with a computed world.
    #[must_use]
    pub fn with_world(world: Lazy) -> Self {
        let account = AccountConfig::new(PLATFORM).with_world(world);
        Self {
            accounts: vec![account],
            ..Self::default()
        }
    }

    /// Without limits to the rate.
    #[must_use]
    pub fn unlimited(self) -> Self {
        Self {
            rate: u32::MAX,
            overall_rate: u32::MAX,
            test_rate: u32::MAX,
            ..self
        }
    }
}

impl AccountConfig {
    /// An empty account of the newest version that nobody else may act for.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            world: None,
            api_version: NEWEST.to_owned(),
            connected: false,
        }
    }

    /// With a computed world.
    #[must_use]
    pub fn with_world(self, world: Lazy) -> Self {
        Self {
            world: Some(world),
            ..self
        }
    }

    /// One that the platform may act for.
    #[must_use]
    pub fn connected(self) -> Self {
        Self {
            connected: true,
            ..self
        }
    }
}

impl Key {
    /// Whether it belongs to live mode: `sk_live_…`, `rk_live_…`.
    pub(super) fn is_live(&self) -> bool {
        let (_, mode) = self.secret.split_once('_').unwrap_or_default();
        mode.starts_with("live_")
    }

    /// A key that may do everything.
    #[must_use]
    pub fn secret(secret: &str, account: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            account: account.to_owned(),
            rights: Rights::All,
        }
    }

    /// A key that may do what is named.
    #[must_use]
    pub fn restricted(secret: &str, account: &str, rights: &[(&str, Right)]) -> Self {
        let named = rights
            .iter()
            .map(|(name, right)| ((*name).to_owned(), *right));
        Self {
            rights: Rights::Only(named.collect()),
            ..Self::secret(secret, account)
        }
    }
}

/// What a restricted key needs to be able to do for paygraph.
#[must_use]
pub fn needed_rights() -> Vec<(&'static str, Right)> {
    let read = [
        "product",
        "plan",
        "coupon",
        "customer",
        "subscription",
        "invoice",
        "charge",
        "checkout_session",
        "dispute",
        "payment_method",
        "event",
    ];
    let read = read.map(|name| (name, Right::Read));
    read.into_iter()
        .chain([("webhook", Right::Write)])
        .collect()
}
