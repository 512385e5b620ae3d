//! An HTTP server that answers as Attio's API does, limit and failures included.
//!
//! It keeps records, tasks and notes, asserts, adds to lists, and remembers every write in order. It
//! refuses what Attio refuses (attributes and options that there are not, users without an address,
//! two users with one),
//! and notes as a complaint what Attio would take and nobody should send: nulls, and lists in an
//! assertion, which would overwrite them. Which attributes there are is fixed.

mod notes;
mod schema;
mod server;
mod state;

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::state::State;
pub use self::state::Write;

/// The token that it takes.
pub const TOKEN: &str = "attio_token_example";

/// What goes wrong, of a thousand requests; and how many writes a second are taken.
#[derive(Debug, Clone, Copy)]
pub struct Trouble {
    /// The same seed gives the same trouble.
    pub seed: u64,
    /// Answers 429 with so many seconds as `Retry-After`.
    pub seconds: u16,
    /// Answers 429 with an HTTP date as `Retry-After`.
    pub dates: u16,
    /// Answers 500 without having done anything.
    pub broken: u16,
    /// Answers 500 after having done it.
    pub broken_after: u16,
    /// The most writes a second.
    pub writes_per_second: usize,
}

impl Default for Trouble {
    /// None, within Attio's limit.
    fn default() -> Self {
        Self {
            seed: 1,
            seconds: 0,
            dates: 0,
            broken: 0,
            broken_after: 0,
            writes_per_second: 25,
        }
    }
}

/// How many requests were answered how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answers {
    /// 429 with seconds.
    pub seconds: usize,
    /// 429 with a date.
    pub dates: usize,
    /// 500.
    pub broken: usize,
    /// 429 because there were too many writes in a second.
    pub limited: usize,
    /// Writes that were taken.
    pub written: usize,
}

/// A fake Attio that runs. It stops when this is dropped.
#[derive(Debug)]
pub struct FakeAttio {
    url: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl FakeAttio {
    /// Starts a server on 127.0.0.1, on the runtime that this is called from.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start(trouble: Trouble) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State::new(trouble)));
        let router = server::router(Arc::clone(&state));
        let server = tokio::spawn(async move {
            // It is dropped with its task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, state, server })
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what goes wrong from now on.
    pub fn trouble(&self, trouble: Trouble) {
        self.state().trouble(trouble);
    }

    /// How long each answer takes from now on.
    pub fn latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// A record's values, by the id of the product's or Stripe's: lists as lists, all else as it is;
    /// links as the product's ids of workspaces.
    #[must_use]
    pub fn record(&self, object: &str, id: &str) -> Option<Value> {
        self.state().shown(object, id)
    }

    /// How many records of an object there are.
    #[must_use]
    pub fn count(&self, object: &str) -> usize {
        self.state().count(object)
    }

    /// Puts a value into a record's list, as somebody who works there does.
    pub fn add(&self, object: &str, id: &str, list: &str, value: &str) {
        self.state().add(object, id, list, value);
    }

    /// Gives a record a value, as somebody who works there does.
    pub fn set(&self, object: &str, id: &str, name: &str, value: &Value) {
        self.state().set(object, id, name, value);
    }

    /// Deletes a record, as somebody who works there does.
    pub fn remove(&self, object: &str, id: &str) {
        self.state().remove(object, id);
    }

    /// Removes an attribute from an object; without one, the object.
    pub fn forget(&self, object: &str, attribute: Option<&str>) {
        self.state().forget(object, attribute);
    }

    /// Has every object and attribute again.
    pub fn remember(&self) {
        self.state().remember();
    }

    /// Every task.
    #[must_use]
    pub fn tasks(&self) -> Vec<Value> {
        self.state().tasks.clone()
    }

    /// Every note: its record, title and text.
    #[must_use]
    pub fn notes(&self) -> Vec<Value> {
        self.state().notes.clone()
    }

    /// Refuses notes from now on, as Attio does to a token without that permission.
    pub fn refuse_notes(&self) {
        self.state().refuses_notes = true;
    }

    /// Lets records be made without an attribute, as a tenant may decide.
    pub fn relax(&self, object: &str, attribute: &str) {
        self.state().relax(object, attribute);
    }

    /// Every request in order, whatever became of it: method, target and body.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        self.state().requests.clone()
    }

    /// Every write that was taken, in order.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        self.state().writes.clone()
    }

    /// What nobody should have sent.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.state().complaints.clone()
    }

    /// How many requests were answered how.
    #[must_use]
    pub fn answers(&self) -> Answers {
        self.state().answers
    }
}

impl Drop for FakeAttio {
    fn drop(&mut self) {
        self.server.abort();
    }
}
