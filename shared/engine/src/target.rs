//! What targets have in common: which events are news to them, and effects that happen once.
//!
//! The bus has no order and may deliver twice, so a target takes an event as a hint, looks at the
//! contact as it is now, and claims what it is about to do. A claim has a lease: whoever dies
//! between the claim and the effect is followed by the next delivery.

use std::future::Future;

use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;

use crate::envelope::Envelope;
use crate::ports::{Clock, StoreError};

/// How long a claim holds, in seconds: longer than any function of a target may run.
pub const LEASE: i64 = 60;

/// Something outside that a target does once, as part of a key: `{target}#{what}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Effect(String);

impl Effect {
    /// What a target does, by a name that no other effect of its has.
    #[must_use]
    pub fn new(target: &'static str, what: impl std::fmt::Display) -> Self {
        Self(format!("{target}#{what}"))
    }

    /// As part of a key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether an effect is ours to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is, by this token.
    Ours(u64),
    /// It has happened.
    Done,
    /// Somebody else is about to.
    Held,
}

/// Where claims are kept.
pub trait Effects: Sync {
    /// Claims an effect until an instant, if it has not happened and nobody's claim is still good.
    fn claim(
        &self,
        tenant: &TenantId,
        effect: &Effect,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Claim, StoreError>> + Send;

    /// Notes that it has happened. A claim that was taken over since changes nothing.
    fn done(
        &self,
        tenant: &TenantId,
        effect: &Effect,
        token: u64,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What became of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Once {
    /// It has happened just now.
    Happened,
    /// It had happened before.
    Before,
}

/// Why an effect has not happened.
#[derive(Debug, thiserror::Error)]
pub enum OnceError<E> {
    /// Somebody else is about to: the next delivery sees whether they did.
    #[error("somebody else is at it")]
    Held,
    /// Its claim could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It failed.
    #[error(transparent)]
    Effect(E),
}

/// Brings an effect about, unless it has happened.
///
/// Whoever dies after the effect and before it is noted lets it happen again: what is called must
/// take repeats, or be said to be at least once.
///
/// # Errors
/// [`OnceError`]; the claim runs out by itself.
pub async fn once<S: Effects, C: Clock, E>(
    store: &S,
    clock: &C,
    tenant: &TenantId,
    effect: &Effect,
    happen: impl AsyncFnOnce() -> Result<(), E>,
) -> Result<Once, OnceError<E>> {
    let now = clock.now();
    match store.claim(tenant, effect, now, now.plus(LEASE)).await? {
        Claim::Done => Ok(Once::Before),
        Claim::Held => Err(OnceError::Held),
        Claim::Ours(token) => {
            happen().await.map_err(OnceError::Effect)?;
            store.done(tenant, effect, token, clock.now()).await?;
            Ok(Once::Happened)
        }
    }
}

/// Why an event is not news to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Old {
    /// It tells history that is being imported.
    Imported,
    /// It happened too long ago.
    Past,
}

impl Old {
    /// Its name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Past => "past",
        }
    }
}

/// Whether an event is too old for somebody to be told of it; `hours` is how long it is news.
#[must_use]
pub fn old(event: &Envelope, now: Timestamp, hours: u16) -> Option<Old> {
    if event.source == Source::Backfill {
        return Some(Old::Imported);
    }
    let past = event.occurred_at < now.plus(-3_600 * i64::from(hours));
    past.then_some(Old::Past)
}
