//! What can go wrong between Stripe and us, in words that say what to do.

use serde::Deserialize;
use stripe_client_core::StripeClientErr;

/// There can be no such place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address of an API: it needs http:// or https:// and a host")]
pub struct InvalidUrl(pub String);

/// Why Stripe could not be asked, or did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// 401: the key is wrong, or was revoked.
    #[error("Stripe does not know the key: {0}")]
    Unauthorized(String),
    /// 403: the key may not do this.
    #[error("the key lacks {}: {message}", .permission.as_deref().unwrap_or("a permission"))]
    Forbidden {
        /// The permission's name, where Stripe gives it.
        permission: Option<String>,
        /// Stripe's own words.
        message: String,
    },
    /// 404: there is no such object.
    #[error("Stripe has no such object: {0}")]
    Missing(String),
    /// Any other 4xx: the question is wrong.
    #[error("Stripe refused the request ({status}): {message}")]
    Refused {
        /// HTTP's.
        status: u16,
        /// Stripe's own words.
        message: String,
    },
    /// 429, however often it was asked.
    #[error("Stripe limits the rate: {0}")]
    Limited(String),
    /// No answer, 5xx, HTML, or half a body, however often it was asked.
    #[error("Stripe does not answer: {0}")]
    Unavailable(String),
}

impl ClientError {
    /// Whether it may go better later, without anybody doing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Limited(_) | Self::Unavailable(_) => true,
            Self::Unauthorized(_)
            | Self::Forbidden { .. }
            | Self::Missing(_)
            | Self::Refused { .. } => false,
        }
    }

    /// Whether the key was revoked, or may not do what it is needed for: nobody but its owner can
    /// mend that.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        match self {
            Self::Unauthorized(_) | Self::Forbidden { .. } => true,
            Self::Missing(_) | Self::Refused { .. } | Self::Limited(_) | Self::Unavailable(_) => {
                false
            }
        }
    }

    /// Reads an answer that is not 2xx.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let message = message(body);
        match status {
            401 => Self::Unauthorized(message),
            403 => Self::Forbidden {
                permission: permission(&message),
                message,
            },
            404 => Self::Missing(message),
            429 => Self::Limited(message),
            409 | 424 | 500.. => Self::Unavailable(format!("{status} {message}")),
            _ => Self::Refused { status, message },
        }
    }
}

impl StripeClientErr for ClientError {
    fn deserialize_err(message: impl std::fmt::Display) -> Self {
        Self::Unavailable(message.to_string())
    }
}

/// Stripe's own words, as its API or its OAuth says them; of what is not Stripe's, its length.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Api {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    #[derive(Deserialize)]
    struct OAuth {
        error_description: String,
    }
    let api = serde_json::from_slice(body).map(|Api { error }| error.message);
    api.or_else(|_| {
        serde_json::from_slice(body).map(
            |OAuth {
                 error_description: told,
             }| told,
        )
    })
    .unwrap_or_else(|_| format!("an answer of {} bytes that is not Stripe's", body.len()))
}

/// The name of a restricted key's permission, as in `rak_customer_read`.
fn permission(message: &str) -> Option<String> {
    message
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .find(|word| word.starts_with("rak_"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n13_the_missing_permission_is_named() {
        let body = br#"{ "error": { "type": "invalid_request_error", "message":
            "The provided key 'rk_test_***' does not have the required permissions for this endpoint. Having the 'rak_subscription_read' permission would allow this request to continue." } }"#;
        let error = ClientError::read(403, body);
        let told = error.to_string();
        assert!(
            told.starts_with("the key lacks rak_subscription_read: "),
            "{told}"
        );
        assert!(!error.is_passing());
        assert!(
            ClientError::read(401, b"{}")
                .to_string()
                .contains("the key")
        );
    }

    #[test]
    fn n8_what_is_not_stripes_may_pass() {
        let error = ClientError::read(502, b"<html>Bad gateway</html>");
        assert!(error.is_passing());
        assert_eq!(
            error.to_string(),
            "Stripe does not answer: 502 an answer of 24 bytes that is not Stripe's"
        );
    }
}
