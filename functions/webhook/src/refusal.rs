//! Why an event was not taken, and what its sender and the log hear of it.

use paygraph_domain::product::segment::NotSegment;
use paygraph_runtime::secrets::SecretsError;
use paygraph_runtime::telemetry::Chain;
use paygraph_stripe::envelope::EnvelopeError;
use paygraph_stripe::signature::SignatureError;

use crate::gateway::Response;
use crate::queue::QueueError;
use crate::scope::UnreadableSecret;
use crate::track::TrackSignatureError;

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such path.
    #[error("there is nothing here")]
    NotFound,
    /// Only POST is taken.
    #[error("only POST is taken here")]
    Method,
    /// It is not signed as it must be.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is not signed as Segment signs.
    #[error(transparent)]
    TrackSignature(#[from] TrackSignatureError),
    /// It is signed, but nothing that Segment sends.
    #[error(transparent)]
    NotSegment(#[from] NotSegment),
    /// The queue does not take so much at once.
    #[error("the body is too large")]
    TooLarge,
    /// No such tenant. The sender hears the same as for a wrong signature, so that nobody can find
    /// out which tenants there are.
    #[error("the tenant is not known")]
    UnknownTenant,
    /// The gateway's Base64 cannot be undone.
    #[error("the body is not Base64, although the gateway says so")]
    Encoding,
    /// It is signed, but no event.
    #[error("{error}")]
    Body {
        /// What is wrong with it.
        error: EnvelopeError,
        /// How long the body is.
        bytes: usize,
        /// The SHA-256 of the body in hex, to find it again in Stripe's or the gateway's logs.
        sha256: String,
    },
    /// A tenant's secret signed an event of an account that is not the tenant's.
    #[error("the event's account is not the tenant's")]
    Account,
    /// The secrets could not be fetched.
    #[error("the secrets are not available")]
    Secrets(#[from] SecretsError),
    /// The platform has no secret yet.
    #[error("the platform's secret does not exist")]
    NoSecret,
    /// The secret is not what it should be.
    #[error("the secret is not usable")]
    Unreadable(#[from] UnreadableSecret),
    /// The queue did not take the message.
    #[error("the queue did not take the event")]
    Queue(#[from] QueueError),
}

impl Refusal {
    /// The word for it in the log, which the template's metric filters count.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Method => "method_not_allowed",
            Self::Signature(_) | Self::TrackSignature(_) | Self::UnknownTenant => {
                "signature_invalid"
            }
            Self::Encoding | Self::Body { .. } | Self::NotSegment(_) => "body_invalid",
            Self::TooLarge => "body_too_large",
            Self::Account => "account_mismatch",
            Self::Secrets(_) => "secrets_unavailable",
            Self::NoSecret => "secret_missing",
            Self::Unreadable(_) => "secret_unreadable",
            Self::Queue(_) => "queue_unavailable",
        }
    }

    /// Whether it is the sender's doing: then the same request will never be taken.
    #[must_use]
    pub fn is_senders(&self) -> bool {
        self.status() < 500
    }

    fn status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Method => 405,
            Self::TooLarge => 413,
            Self::NotSegment(_) => 422,
            Self::Signature(_)
            | Self::TrackSignature(_)
            | Self::UnknownTenant
            | Self::Encoding
            | Self::Body { .. }
            | Self::Account => 400,
            Self::Secrets(_) | Self::NoSecret | Self::Unreadable(_) | Self::Queue(_) => 503,
        }
    }

    /// What the sender hears: of our own troubles only that they are ours.
    #[must_use]
    pub fn response(&self, request_id: &str) -> Response {
        let (code, message) = if !self.is_senders() {
            (
                "unavailable",
                "the event was not taken; please send it again".to_owned(),
            )
        } else if matches!(self, Self::UnknownTenant) {
            (self.code(), SignatureError::Mismatch.to_string())
        } else {
            (self.code(), self.to_string())
        };
        let mut response = Response::error(self.status(), code, &message, request_id);
        if matches!(self, Self::Method) {
            response.headers.insert("allow", "POST");
        }
        response
    }

    /// Writes it down, once.
    pub fn log(&self) {
        let code = self.code();
        if let Self::Body {
            error,
            bytes,
            sha256,
        } = self
        {
            tracing::warn!(
                code,
                reason = %error,
                body.bytes = bytes,
                body.sha256 = sha256,
                "A signed request was refused: its body is no event."
            );
        } else if self.is_senders() {
            tracing::warn!(code, reason = %self, "A request was refused.");
        } else {
            tracing::error!(
                code,
                error = %Chain(self),
                "An event could not be taken; its sender will send it again."
            );
        }
    }
}
