//! A place where people are told of alerts.

use std::future::Future;

use tokio::time::Instant;

use crate::message::Message;

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
    /// No attempt will.
    #[error("{0}")]
    Never(String),
}

/// A place where people are told of alerts. It may hear of one twice.
pub trait Tell: Sync {
    /// Tells of an alert, and tries again as long as that may help and there is time.
    fn tell(
        &self,
        message: &Message<'_>,
        until: Instant,
    ) -> impl Future<Output = Result<Told, TellError>>;
}
