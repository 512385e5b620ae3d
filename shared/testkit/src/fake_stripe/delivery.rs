//! Webhooks: events sent to endpoints, signed; some get lost and some come twice.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::account::Account;
use super::state::State;
use crate::signer::sign;

/// How events are sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Delivery {
    /// Where to, with the secret to sign with; none for the account's webhook endpoints.
    pub to: Option<Target>,
    /// How many of a hundred events are not sent.
    pub dropped_percent: u8,
    /// How many of a hundred events are sent twice.
    pub doubled_percent: u8,
    /// Which ones: the same seed picks the same.
    pub seed: u64,
}

/// An endpoint that events are sent to.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// The URL.
    pub url: String,
    /// `whsec_…`.
    pub secret: String,
}

/// What came of a delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// Events that every endpoint took.
    pub taken: u32,
    /// Events that were not sent.
    pub dropped: u32,
    /// Events that were sent twice.
    pub doubled: u32,
    /// Events that an endpoint did not answer with 2xx, or did not answer at all.
    pub failed: u32,
}

/// Sends every event that waits, oldest first, and marks those that were taken.
pub(super) async fn deliver(state: &State, account: &Account, delivery: &Delivery) -> Delivered {
    let mut chance = fastrand::Rng::with_seed(delivery.seed);
    let mut done = Delivered::default();
    let waiting = account.held().undelivered();
    for event in waiting {
        let dropped = chance.u8(0..100) < delivery.dropped_percent;
        let doubled = chance.u8(0..100) < delivery.doubled_percent;
        if dropped {
            done.dropped += 1;
            continue;
        }
        let mut taken = send(state, account, delivery, &event).await;
        if doubled {
            done.doubled += 1;
            taken &= send(state, account, delivery, &event).await;
        }
        if taken {
            done.taken += 1;
        } else {
            done.failed += 1;
        }
        if let Some(id) = event.get("id").and_then(Value::as_str) {
            account.held_mut().mark(id, taken);
        }
    }
    done
}

async fn send(state: &State, account: &Account, delivery: &Delivery, event: &Value) -> bool {
    let kind = event.get("type").and_then(Value::as_str);
    let targets = match &delivery.to {
        Some(target) => [(target.url.clone(), target.secret.clone())].into(),
        None => account.endpoints(kind.unwrap_or_default()),
    };
    let body = event.to_string();
    let mut taken = true;
    for (url, secret) in targets {
        let signature = sign(body.as_bytes(), &secret, state.now());
        let body = body.clone();
        let sent = tokio::task::spawn_blocking(move || post(&url, &signature, &body)).await;
        taken &= sent.unwrap_or_default();
    }
    taken
}

fn post(url: &str, signature: &str, body: &str) -> bool {
    let request = ureq::post(url)
        .header("stripe-signature", signature)
        .content_type("application/json; charset=utf-8");
    request.send(body).is_ok()
}
