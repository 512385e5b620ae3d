use std::sync::Mutex as StdMutex;

use secrecy::ExposeSecret;

use super::*;

/// A store that a test changes under the cache.
#[derive(Default)]
struct Store {
    secrets: StdMutex<BTreeMap<String, String>>,
    asked: StdMutex<Vec<String>>,
    down: StdMutex<bool>,
}

impl Store {
    fn set(&self, name: &str, secret: &str) {
        self.secrets
            .lock()
            .unwrap()
            .insert(name.to_owned(), secret.to_owned());
    }
    fn down(&self, down: bool) {
        *self.down.lock().unwrap() = down;
    }
    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl SecretSource for &Store {
    async fn fetch(&self, name: &str) -> Result<Option<SecretString>, SecretsError> {
        self.asked.lock().unwrap().push(name.to_owned());
        if *self.down.lock().unwrap() {
            return Err(SecretsError("down".into()));
        }
        Ok(self
            .secrets
            .lock()
            .unwrap()
            .get(name)
            .map(|secret| secret.clone().into()))
    }
}

fn text(secret: Result<Option<Arc<SecretString>>, SecretsError>) -> Option<String> {
    secret
        .unwrap()
        .map(|secret| secret.expose_secret().to_owned())
}

#[tokio::test]
async fn a_secret_is_fetched_once_in_five_minutes() {
    let store = Store::default();
    store.set("a", "one");
    let cache = SecretCache::new(&store);
    assert_eq!(text(cache.get("a", 0).await).as_deref(), Some("one"));
    store.set("a", "two");
    assert_eq!(
        text(cache.get("a", TTL_SECONDS - 1).await).as_deref(),
        Some("one")
    );
    assert_eq!(store.asked(), 1);
    assert_eq!(
        text(cache.get("a", TTL_SECONDS).await).as_deref(),
        Some("two")
    );
    assert_eq!(store.asked(), 2);
}

#[tokio::test]
async fn an_unknown_name_is_asked_for_once_a_minute() {
    let store = Store::default();
    let cache = SecretCache::new(&store);
    assert_eq!(text(cache.get("a", 0).await), None);
    assert_eq!(text(cache.get("a", 59).await), None);
    assert_eq!(text(cache.refresh("a", 59).await), None);
    assert_eq!(store.asked(), 1);
    store.set("a", "one");
    assert_eq!(text(cache.get("a", 60).await).as_deref(), Some("one"));
}

#[tokio::test]
async fn n15_a_secret_is_refreshed_at_most_once_a_minute() {
    let store = Store::default();
    store.set("a", "one");
    let cache = SecretCache::new(&store);
    assert_eq!(
        text(cache.refresh("a", 0).await),
        None,
        "what was never fetched is no refresh"
    );
    cache.get("a", 0).await.unwrap();
    store.set("a", "two");
    assert_eq!(text(cache.refresh("a", 0).await).as_deref(), Some("two"));
    assert_eq!(text(cache.get("a", 1).await).as_deref(), Some("two"));
    store.set("a", "three");
    assert_eq!(text(cache.refresh("a", 59).await), None);
    assert_eq!(text(cache.refresh("a", 60).await).as_deref(), Some("three"));
    assert_eq!(store.asked(), 3);
}

#[tokio::test]
async fn a_failed_refresh_counts_too() {
    let store = Store::default();
    store.set("a", "one");
    let cache = SecretCache::new(&store);
    cache.get("a", 0).await.unwrap();
    store.down(true);
    assert!(cache.refresh("a", 10).await.is_err());
    assert_eq!(text(cache.refresh("a", 11).await), None);
    assert_eq!(store.asked(), 2);
}

#[tokio::test]
async fn a_store_that_is_down_is_outlived_for_an_hour() {
    let store = Store::default();
    store.set("a", "one");
    let cache = SecretCache::new(&store);
    cache.get("a", 0).await.unwrap();
    store.down(true);
    assert!(cache.get("b", 0).await.is_err());
    assert_eq!(store.asked(), 2);
    assert_eq!(text(cache.get("a", 300).await).as_deref(), Some("one"));
    assert_eq!(text(cache.get("a", 359).await).as_deref(), Some("one"));
    assert_eq!(
        store.asked(),
        3,
        "after a failure the store has a minute of rest"
    );
    assert!(cache.get("a", STALE_SECONDS).await.is_err());
    store.down(false);
    store.set("a", "two");
    assert_eq!(
        text(cache.get("a", STALE_SECONDS).await).as_deref(),
        Some("two")
    );
}

#[tokio::test]
async fn memory_is_bounded_and_known_names_stay() {
    let store = Store::default();
    store.set("known", "one");
    let cache = SecretCache::new(&store);
    cache.get("known", 0).await.unwrap();
    for n in 0..2 * MAX_NAMES {
        cache.get(&format!("unknown-{n}"), 1).await.unwrap();
    }
    let entries = cache.entries.lock().await;
    assert_eq!(entries.len(), MAX_NAMES);
    assert!(entries.contains_key("known"));
}

#[tokio::test]
async fn two_callers_at_once_fetch_once() {
    let store = Store::default();
    store.set("a", "one");
    let cache = SecretCache::new(&store);
    let (a, b) = tokio::join!(cache.get("a", 0), cache.get("a", 0));
    assert_eq!(text(a), text(b));
    assert_eq!(store.asked(), 1);
}

/// U12: a secret that was refused is read again at once, and then at most every few seconds.
#[tokio::test]
async fn u12_a_refused_secret_is_read_again_every_few_seconds() {
    let store = Store::default();
    store.set("a", "old");
    let cache = SecretCache::new(&store);
    assert_eq!(
        text(cache.reread("a", 0).await),
        None,
        "nobody asked for it"
    );
    assert_eq!(text(cache.get("a", 0).await).as_deref(), Some("old"));
    assert_eq!(text(cache.reread("a", 1).await).as_deref(), Some("old"));
    store.set("a", "new");
    assert_eq!(text(cache.reread("a", 2).await).as_deref(), Some("old"));
    assert_eq!(store.asked(), 2);
    assert_eq!(text(cache.reread("a", 6).await).as_deref(), Some("new"));
    assert_eq!(text(cache.get("a", 6).await).as_deref(), Some("new"));
    assert_eq!(store.asked(), 3);
}
