//! What may be some seconds old: settings and the catalog.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most entries of a cache; a full one starts anew.
const MOST: usize = 10_000;

/// Values by key, each for a while.
#[derive(Debug)]
pub struct Cache<K, V> {
    keep: Duration,
    held: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// A cache that keeps a value so long.
    pub fn new(keep: Duration) -> Self {
        Self {
            keep,
            held: Mutex::default(),
        }
    }

    /// A value that is not too old.
    pub fn get(&self, key: &K) -> Option<V> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(key)
            .filter(|(since, _)| since.elapsed() < self.keep)
            .map(|(_, v)| v.clone())
    }

    /// Keeps a value.
    pub fn put(&self, key: K, value: V) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MOST {
            held.clear();
        }
        held.insert(key, (Instant::now(), value));
    }

    /// Drops a value that has changed.
    pub fn forget(&self, key: &K) {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}
