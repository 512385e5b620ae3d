//! Objects that a test has put, held in memory.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON that is not there reads as null"
)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::filter::is_listed;
use super::kind::Kind;
use super::query::Filter;
use super::source::{Key, Search, Source};

/// Objects by id, and their order.
#[derive(Debug, Default)]
pub(super) struct Held {
    objects: BTreeMap<String, (Key, Value)>,
    order: BTreeMap<(&'static str, Key), String>,
    /// What is no longer there, of here and of the computed world.
    gone: BTreeSet<String>,
    /// Events that an endpoint has not taken.
    undelivered: BTreeSet<String>,
    count: u64,
}

impl Held {
    /// Puts an object at its own place in the list, or else at the place that it had. Says whether
    /// it could: an object has an id and a known kind.
    pub(super) fn put(&mut self, object: Value, had: Option<Key>) -> bool {
        let kind = object["object"].as_str().and_then(Kind::of);
        let (Some(kind), Some(id)) = (kind, object["id"].as_str().map(str::to_owned)) else {
            return false;
        };
        let before = self.objects.get(&id).map(|(key, _)| *key);
        if let Some(before) = before {
            self.order.remove(&(kind.object, before));
        }
        let place = before.or(had).unwrap_or_else(|| {
            self.count += 1;
            Key {
                created: 0,
                put: true,
                number: self.count,
            }
        });
        let created = object["created"].as_i64().unwrap_or(place.created);
        let key = Key { created, ..place };
        self.gone.remove(&id);
        self.order.insert((kind.object, key), id.clone());
        self.objects.insert(id, (key, object));
        true
    }

    /// Deletes an object. Of a customer it stays known that there was one.
    pub(super) fn remove(&mut self, kind: &'static Kind, id: &str) {
        if let Some((key, _)) = self.objects.remove(id) {
            self.order.remove(&(kind.object, key));
        }
        self.gone.insert(id.to_owned());
        if kind.object == "customer" {
            self.put(
                json!({ "id": id, "object": "customer", "deleted": true }),
                None,
            );
        }
    }

    /// Whether what the computed world says of an object no longer counts.
    pub(super) fn hides(&self, id: &str) -> bool {
        self.objects.contains_key(id) || self.gone.contains(id)
    }

    /// Marks an event: an endpoint has taken it, or has not.
    pub(super) fn mark(&mut self, event: &str, delivered: bool) {
        if delivered {
            self.undelivered.remove(event);
        } else {
            self.undelivered.insert(event.to_owned());
        }
        if let Some((_, object)) = self.objects.get_mut(event) {
            object["pending_webhooks"] = json!(u8::from(!delivered));
        }
    }

    /// Events that no endpoint has taken, oldest first.
    pub(super) fn undelivered(&self) -> Vec<Value> {
        let ids = self.undelivered.iter();
        let mut events: Vec<_> = ids.filter_map(|id| self.objects.get(id)).collect();
        events.sort_by_key(|(key, _)| *key);
        events.into_iter().map(|(_, event)| event.clone()).collect()
    }

    fn fits(&self, object: &Value, filters: &[Filter]) -> bool {
        let asked = filters.iter().find(|f| f.name == "delivery_success");
        let delivered = || {
            object["id"]
                .as_str()
                .is_none_or(|id| !self.undelivered.contains(id))
        };
        is_listed(object, filters)
            && asked.is_none_or(|asked| asked.values.contains(&delivered().to_string()))
    }
}

impl Source for Held {
    fn key(&self, kind: &Kind, id: &str) -> Option<Key> {
        let (key, object) = self.objects.get(id)?;
        (object["object"] == kind.object).then_some(*key)
    }

    fn get(&self, kind: &Kind, id: &str) -> Option<Value> {
        let (_, object) = self.objects.get(id)?;
        (object["object"] == kind.object).then(|| object.clone())
    }

    fn page(&self, search: &Search<'_>, hidden: impl Fn(&str) -> bool) -> Vec<(Key, Value)> {
        let kind = search.kind.object;
        let place = |created, put, number| Key {
            created,
            put,
            number,
        };
        let first = (kind, place(search.created.from, false, 0));
        let last = (kind, place(search.created.to, false, 0));
        if first > last {
            return Vec::new();
        }
        let found = self.order.range(first..=last);
        let fitting = |(&(_, key), id): (&(&str, Key), &String)| {
            let (_, object) = self.objects.get(id)?;
            let fits = search.reaches(key) && !hidden(id) && self.fits(object, search.filters);
            fits.then(|| (key, object.clone()))
        };
        if search.upwards {
            found.filter_map(fitting).take(search.want).collect()
        } else {
            found.rev().filter_map(fitting).take(search.want).collect()
        }
    }
}
