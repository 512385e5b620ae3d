//! A place where people are told of alerts.

use std::future::Future;
use std::time::Duration;

use paygraph_domain::id::TenantId;
use tokio::time::Instant;

use crate::message::{Digest, Message};

/// Whether somebody was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// They were.
    Yes,
    /// The tenant, or the deployment, has no such place.
    Nowhere,
}

/// Why nobody was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TellError {
    /// Another attempt may succeed.
    #[error("{0}")]
    Again(String),
    /// Another attempt may succeed after this wait: the place asks to be left alone so long.
    #[error("{1}")]
    Limited(Duration, String),
    /// No attempt will.
    #[error("{0}")]
    Never(String),
}

/// A place where people are told of alerts. It may hear of one twice.
pub trait Tell: Sync {
    /// Tells of an alert. `until` ends the attempt.
    fn tell(
        &self,
        message: &Message<'_>,
        until: Instant,
    ) -> impl Future<Output = Result<Told, TellError>>;

    /// Whether the tenant's place takes one message a second: many alerts of a kind are then one
    /// digest.
    ///
    /// # Errors
    /// [`TellError::Again`] when nobody can say now.
    fn is_limited(&self, _tenant: &TenantId) -> impl Future<Output = Result<bool, TellError>> {
        std::future::ready(Ok(false))
    }

    /// Tells of several alerts at once. Only a limited place has digests.
    fn tell_digest(
        &self,
        _digest: &Digest<'_>,
        _until: Instant,
    ) -> impl Future<Output = Result<Told, TellError>> {
        std::future::ready(Ok(Told::Nowhere))
    }
}
