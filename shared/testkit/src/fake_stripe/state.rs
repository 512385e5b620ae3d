//! All that a fake Stripe knows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::account::Account;
use super::config::{Config, Key};
use super::fault::Faults;
use super::traffic::{Rates, Traffic};

/// All that a fake Stripe knows.
#[derive(Debug)]
pub(super) struct State {
    accounts: BTreeMap<String, Arc<Account>>,
    platform: Arc<Account>,
    keys: Mutex<Vec<Key>>,
    codes: Mutex<BTreeMap<String, String>>,
    pub faults: Faults,
    pub traffic: Traffic,
    pub latency: Duration,
    /// Unix seconds, or 0 for those of the machine's clock.
    clock: AtomicI64,
    requests: AtomicU64,
}

impl State {
    /// Fails without an account.
    pub(super) fn new(config: Config) -> Option<Self> {
        let rates = Rates {
            endpoint: config.rate,
            live: config.overall_rate,
            test: config.test_rate,
            retry_after: config.retry_after,
        };
        let accounts = config.accounts.into_iter().map(Account::new);
        let accounts: Vec<_> = accounts.map(Arc::new).collect();
        let platform = Arc::clone(accounts.first()?);
        let named = |account: Arc<Account>| (account.id.clone(), account);
        Some(Self {
            accounts: accounts.into_iter().map(named).collect(),
            platform,
            keys: Mutex::new(config.keys),
            codes: Mutex::new(config.codes),
            faults: Faults::default(),
            traffic: Traffic::new(rates),
            latency: config.latency,
            clock: AtomicI64::new(0),
            requests: AtomicU64::new(0),
        })
    }

    pub(super) fn account(&self, id: &str) -> Option<Arc<Account>> {
        self.accounts.get(id).cloned()
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    /// The first account.
    pub(super) fn platform(&self) -> &Arc<Account> {
        &self.platform
    }

    pub(super) fn is_platform(&self, id: &str) -> bool {
        self.platform.id == id
    }

    pub(super) fn key(&self, secret: &str) -> Option<Key> {
        let keys = locked(&self.keys);
        keys.iter().find(|key| key.secret == secret).cloned()
    }

    /// Adds a key, or gives a known one other rights.
    pub(super) fn add_key(&self, key: Key) {
        self.remove_keys(&key.secret);
        locked(&self.keys).push(key);
    }

    pub(super) fn remove_keys(&self, secret: &str) {
        locked(&self.keys).retain(|key| key.secret != secret);
    }

    pub(super) fn add_code(&self, code: &str, account: &str) {
        locked(&self.codes).insert(code.to_owned(), account.to_owned());
    }

    /// The account that gave a code; the code is used up.
    pub(super) fn take_code(&self, code: &str) -> Option<String> {
        locked(&self.codes).remove(code)
    }

    pub(super) fn set_now(&self, now: i64) {
        self.clock.store(now, Ordering::Relaxed);
    }

    /// The server's time (Unix seconds).
    #[expect(
        clippy::disallowed_methods,
        reason = "a server of its own, which has a clock as Stripe has one"
    )]
    pub(super) fn now(&self) -> i64 {
        match self.clock.load(Ordering::Relaxed) {
            0 => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
            }
            set => set,
        }
    }

    /// `req_…`, another one for every answer.
    pub(super) fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        format!("req_{number:014}")
    }
}

/// What a lock holds, also when somebody who held it has panicked.
pub(super) fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
