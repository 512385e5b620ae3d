//! An HTTP server that answers as Stripe's API does, limits and failures included.
//!
//! It lists and gets, newest first, with Stripe's limits, cursors, expansions and errors; knows
//! keys, their rights, and the accounts of a platform; counts requests and refuses those beyond the
//! rate; and breaks when it is told to. What it holds is computed when it is asked for
//! ([`Lazy`]) or was put by a test. It writes nothing but webhook endpoints, as paygraph does; it has
//! no search, no invoice payments and no idempotency keys, and knows two shapes: the newest, and the
//! one before 2025-03-31.

mod access;
mod account;
mod api;
mod call;
mod catalog;
mod config;
mod control;
mod delivery;
mod endpoint;
mod fault;
mod filter;
mod held;
mod kind;
mod lazy;
mod oauth;
mod query;
mod refusal;
mod render;
mod server;
mod source;
mod state;
mod traffic;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::account::Account;
pub use self::config::{
    AccountConfig, Config, KEY, Key, LIVE_KEY, NEWEST, PLATFORM, Right, Rights, needed_rights,
};
pub use self::delivery::{Delivered, Delivery, Target};
pub use self::fault::{Fault, FaultKind};
pub use self::lazy::Lazy;
use self::state::State;
pub use self::traffic::{EndpointStats, Stats};
use crate::world::History;

/// A fake Stripe that runs. It stops when this is dropped.
#[derive(Debug)]
pub struct FakeStripe {
    url: String,
    state: Arc<State>,
    /// None where requests are answered in the same process only.
    server: Option<JoinHandle<()>>,
}

/// An answer in the same process: status, headers by their names in lower case, and body.
pub type Answered = (u16, Vec<(String, String)>, Vec<u8>);

impl FakeStripe {
    /// Starts a server on 127.0.0.1, on the runtime that this is called from.
    ///
    /// # Errors
    /// The port is taken, or the configuration has no account.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = State::new(config)
            .map(Arc::new)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "there is no account"))?;
        let server = Some(tokio::spawn(server::serve(listener, Arc::clone(&state))));
        Ok(Self { url, state, server })
    }

    /// A Stripe without a server, which [`FakeStripe::answer`] asks. None if the configuration has
    /// no account.
    #[must_use]
    pub fn in_process(config: Config) -> Option<Self> {
        Some(Self {
            url: String::new(),
            state: State::new(config).map(Arc::new)?,
            server: None,
        })
    }

    /// Answers a request in the same process, as the server does, but for failures of a connection.
    #[must_use]
    pub fn answer(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Answered {
        server::answer_in_process(&self.state, method, path, headers, body)
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An account, to put objects into.
    #[must_use]
    pub fn account(&self, id: &str) -> Option<Shelf> {
        let account = self.state.account(id)?;
        Some(self.shelf(account))
    }

    /// The platform's own account.
    #[must_use]
    pub fn own(&self) -> Shelf {
        self.shelf(Arc::clone(self.state.platform()))
    }

    fn shelf(&self, account: Arc<Account>) -> Shelf {
        Shelf {
            state: Arc::clone(&self.state),
            account,
        }
    }

    /// Puts an object into the platform's own account. It has Stripe's newest shape and is whole:
    /// discounts with their coupons, all items. Says whether it could: an object needs an `id` and
    /// a known `object`.
    pub fn put(&self, object: Value) -> bool {
        self.own().put(object)
    }

    /// Deletes an object of the platform's own account.
    pub fn remove(&self, id: &str) {
        self.own().remove(id);
    }

    /// Sets what goes wrong from now on. The first rule that fits a request counts.
    pub fn faults(&self, rules: impl Into<Vec<Fault>>) {
        self.state.faults.set(rules.into());
    }

    /// Adds a key, or gives a known one other rights.
    pub fn add_key(&self, key: Key) {
        self.state.add_key(key);
    }

    /// Revokes a key.
    pub fn revoke(&self, secret: &str) {
        self.state.remove_keys(secret);
    }

    /// Makes an authorization code known that an account has given.
    pub fn add_code(&self, code: &str, account: &str) {
        self.state.add_code(code, account);
    }

    /// Sets the server's clock (Unix seconds), which answers show as `Date`; 0 gives it the
    /// machine's time again.
    pub fn set_now(&self, now: i64) {
        self.state.set_now(now);
    }

    /// What has been asked so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        stats(&self.state)
    }

    /// Counts from nothing again.
    pub fn reset_stats(&self) {
        self.state.traffic.reset();
    }

    /// Stops the server and breaks its connections off.
    pub async fn stop(mut self) {
        if let Some(server) = &mut self.server {
            server.abort();
            let _ = server.await;
        }
    }
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// What an account holds.
#[derive(Debug, Clone)]
pub struct Shelf {
    state: Arc<State>,
    account: Arc<Account>,
}

impl Shelf {
    /// Puts an object: see [`FakeStripe::put`].
    pub fn put(&self, object: Value) -> bool {
        self.account.put(object)
    }

    /// Puts an object and an event of this type about it, which waits to be delivered. Gives the
    /// event as an endpoint gets it.
    pub fn happen(&self, kind: &str, object: Value) -> Option<Value> {
        self.account.happen(kind, object, self.state.now())
    }

    /// Puts an event that the endpoints have taken, or have not.
    pub fn put_event(&self, event: Value, delivered: bool) {
        self.account.add_event(event, delivered);
    }

    /// Puts every object of a world as it is at its end, and its events, which all wait to be
    /// delivered.
    pub fn hold(&self, history: &History) {
        for object in history.objects.values().flatten() {
            self.account.put(object.clone());
        }
        for event in &history.events {
            self.account
                .add_event(serde_json::from_str(event).unwrap_or_default(), false);
        }
    }

    /// Marks an event: the endpoints have taken it, or have not.
    pub fn mark(&self, event: &str, delivered: bool) {
        self.account.held_mut().mark(event, delivered);
    }

    /// Deletes an object. Of a customer, Stripe still says that there was one.
    pub fn remove(&self, id: &str) {
        self.account.remove(id);
    }

    /// Lets the platform act for the account, or no longer.
    pub fn connect(&self, connected: bool) {
        self.account.connect(connected);
    }

    /// Sends every event that waits, signed, and marks those that were taken.
    pub async fn deliver(&self, delivery: &Delivery) -> Delivered {
        delivery::deliver(&self.state, &self.account, delivery).await
    }
}

fn stats(state: &State) -> Stats {
    let computed = state.accounts().map(|account| account.computed()).sum();
    Stats {
        computed,
        ..state.traffic.stats()
    }
}

/// Whether a version is of before 2025-03-31, when many fields moved.
fn is_old(version: &str) -> bool {
    version.get(..10).unwrap_or(version) < "2025-03-31"
}

/// `2024-06-20` or `2026-10-28.endive`.
fn is_version(version: &str) -> bool {
    let (date, name) = version.split_once('.').unwrap_or((version, "old"));
    let is_date = date.len() == 10
        && date.split('-').map(str::len).eq([4, 2, 2])
        && date.chars().all(|c| c == '-' || c.is_ascii_digit());
    is_date && !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase())
}
