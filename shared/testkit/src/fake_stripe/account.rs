//! An account: what was put into it over what is computed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::{Value, json};

use super::config::AccountConfig;
use super::held::Held;
use super::kind::Kind;
use super::lazy::LazyWorld;
use super::query::{From, Query};
use super::refusal::Refusal;
use super::render::{Expansion, View};
use super::source::{Key, Search, Source};
use super::{catalog, is_old};
use crate::world::replaced;

/// An account and what it holds.
#[derive(Debug)]
pub(super) struct Account {
    pub id: String,
    pub api_version: String,
    connected: AtomicBool,
    world: Option<LazyWorld>,
    held: RwLock<Held>,
    count: AtomicU64,
}

impl Account {
    pub(super) fn new(config: AccountConfig) -> Self {
        let mut held = Held::default();
        if let Some(world) = &config.world {
            for object in catalog::all(world.first_created) {
                held.put(object, None);
            }
        }
        Self {
            id: config.id,
            api_version: config.api_version,
            connected: AtomicBool::new(config.connected),
            world: config.world.map(LazyWorld::new),
            held: RwLock::new(held),
            count: AtomicU64::new(0),
        }
    }

    /// Whether the platform may act for it.
    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(super) fn connect(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }

    /// How many objects of the computed world have been computed.
    pub(super) fn computed(&self) -> u64 {
        self.world.as_ref().map_or(0, LazyWorld::computed)
    }

    pub(super) fn held(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn held_mut(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new id.
    pub(super) fn new_id(&self, prefix: &str) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let account = self.id.trim_start_matches("acct_");
        format!("{prefix}_{account}{number:06}")
    }

    /// An object in full, in the newest shape.
    pub(super) fn get(&self, kind: &Kind, id: &str) -> Option<Value> {
        let held = self.held();
        match held.get(kind, id) {
            Some(object) => Some(object),
            None if held.hides(id) => None,
            None => self.world.as_ref()?.get(kind, id),
        }
    }

    fn key(&self, kind: &Kind, id: &str) -> Option<Key> {
        let held = self.held();
        match held.key(kind, id) {
            Some(key) => Some(key),
            None if held.hides(id) => None,
            None => self.world.as_ref()?.key(kind, id),
        }
    }

    /// A page from newer to older, and whether there is more beyond it.
    pub(super) fn page(
        &self,
        kind: &'static Kind,
        query: &Query,
    ) -> Result<(Vec<Value>, bool), Refusal> {
        let (beyond, upwards) = match &query.from {
            From::Start => (None, false),
            From::After(id) => (Some(self.cursor(kind, id, "starting_after")?), false),
            From::Before(id) => (Some(self.cursor(kind, id, "ending_before")?), true),
        };
        let search = Search {
            kind,
            created: query.created,
            filters: &query.filters,
            beyond,
            upwards,
            want: query.limit + 1,
        };
        let held = self.held();
        let mut found = held.page(&search, |_| false);
        if let Some(world) = &self.world {
            found.extend(world.page(&search, |id| held.hides(id)));
        }
        found.sort_by_key(|(key, _)| *key);
        if !upwards {
            found.reverse();
        }
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        if upwards {
            found.reverse();
        }
        Ok((found.into_iter().map(|(_, object)| object).collect(), more))
    }

    fn cursor(&self, kind: &Kind, id: &str, param: &str) -> Result<Key, Refusal> {
        let is_deleted = |object: Value| object.get("deleted") == Some(&json!(true));
        self.key(kind, id)
            .filter(|_| !self.get(kind, id).is_some_and(is_deleted))
            .ok_or_else(|| Refusal::missing(kind.object, id, param))
    }

    /// Puts an object over what was there. Says whether it could.
    pub(super) fn put(&self, object: Value) -> bool {
        let of = |field: &str| object.get(field).and_then(Value::as_str);
        let kind = of("object").and_then(Kind::of);
        let had = kind
            .zip(of("id"))
            .and_then(|(kind, id)| self.world.as_ref()?.key(kind, id));
        self.held_mut().put(object, had)
    }

    /// Deletes an object.
    pub(super) fn remove(&self, id: &str) {
        let found = super::kind::KINDS.iter();
        let kind = found.into_iter().find(|kind| self.get(kind, id).is_some());
        if let Some(kind) = kind {
            self.held_mut().remove(kind, id);
        }
    }

    /// Puts an object and the event of it, which waits to be delivered. Gives the event.
    pub(super) fn happen(&self, kind: &str, object: Value, now: i64) -> Option<Value> {
        let id = object.get("id")?.as_str()?;
        let of = Kind::of(object.get("object")?.as_str()?)?;
        let shown = self.get(of, id).map(|before| self.shown(&before));
        let shaped = self.shown(&object);
        let mut data = json!({ "object": shaped });
        if let (Some(before), Some(data)) = (shown, data.as_object_mut())
            && kind.ends_with(".updated")
        {
            let previous = replaced(&before, &shaped);
            data.insert("previous_attributes".to_owned(), previous.into());
        }
        let event = json!({
            "id": self.new_id("evt"), "object": "event", "api_version": self.api_version,
            "created": now, "livemode": false, "pending_webhooks": 1, "type": kind, "data": data,
            "request": { "id": null, "idempotency_key": null },
        });
        if kind == "customer.deleted" {
            self.held_mut().remove(of, id);
        } else if !self.put(object) {
            return None;
        }
        self.add_event(event.clone(), false);
        Some(event)
    }

    /// An object as an event shows it: cut, and with ids for discounts.
    fn shown(&self, object: &Value) -> Value {
        let view = View {
            account: self,
            old: is_old(&self.api_version),
        };
        let shown = view.object(object, &Expansion::default());
        shown.unwrap_or_default()
    }

    /// Puts an event that endpoints have taken, or have not.
    pub(super) fn add_event(&self, event: Value, delivered: bool) {
        let id = event.get("id").and_then(Value::as_str).map(str::to_owned);
        let mut held = self.held_mut();
        if let Some(id) = id.filter(|_| held.put(event, None)) {
            held.mark(&id, delivered);
        }
    }

    /// The webhook endpoints that an event of this type goes to: URL and secret.
    pub(super) fn endpoints(&self, kind: &str) -> BTreeSet<(String, String)> {
        let Some(of) = Kind::of("webhook_endpoint") else {
            return BTreeSet::new();
        };
        let search = Search {
            kind: of,
            created: super::query::Interval::ALL,
            filters: &[],
            beyond: None,
            upwards: true,
            want: usize::MAX,
        };
        let takes = |endpoint: &Value| {
            let types = endpoint.get("enabled_events").and_then(Value::as_array);
            let mut types = types.into_iter().flatten();
            endpoint.get("status") == Some(&json!("enabled"))
                && types.any(|name| name == "*" || name == kind)
        };
        let found = self.held().page(&search, |_| false);
        let of = |endpoint: &Value, field| {
            let text = endpoint.get(field).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let taking = found
            .iter()
            .map(|(_, endpoint)| endpoint)
            .filter(|e| takes(e));
        taking.map(|e| (of(e, "url"), of(e, "secret"))).collect()
    }
}
