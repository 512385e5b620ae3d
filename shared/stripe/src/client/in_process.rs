//! A Stripe in the same process, without a connection.

use std::fmt::Debug;

/// An answer of a Stripe in the same process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers, by their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Answers requests in place of a server.
pub trait InProcess: Debug + Send + Sync {
    /// Answers a request. `path` begins with `/v1` and may have a query.
    fn answer(&self, method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Reply;
}
