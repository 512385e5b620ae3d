//! Answers that say no, in Stripe's words.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// What is answered instead of what was asked for.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, String)>,
    pub body: Value,
}

impl Refusal {
    fn new(status: StatusCode, code: Option<&str>, message: &str, param: Option<&str>) -> Self {
        let mut error = json!({ "type": "invalid_request_error", "message": message });
        for (field, value) in [("code", code), ("param", param)] {
            if let (Some(value), Some(error)) = (value, error.as_object_mut()) {
                error.insert(field.to_owned(), json!(value));
            }
        }
        Self {
            status,
            headers: Vec::new(),
            body: json!({ "error": error }),
        }
    }

    /// 400 for a parameter's value.
    pub(super) fn invalid(code: &str, param: &str, message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Some(code), message, Some(param))
    }

    /// 400 for what has no code.
    pub(super) fn bad(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, None, message, None)
    }

    /// 400 for parameters that do not exist.
    pub(super) fn unknown_parameter(name: &str) -> Self {
        let message = format!("Received unknown parameter: {name}");
        Self::invalid("parameter_unknown", name, &message)
    }

    /// An id that leads to nothing: 404, or 400 where it is a parameter.
    pub(super) fn missing(object: &str, id: &str, param: &str) -> Self {
        let status = match param {
            "id" => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        let message = format!("No such {}: '{id}'", object.replace('_', " "));
        Self::new(status, Some("resource_missing"), &message, Some(param))
    }

    /// 404 for a path that does not exist.
    pub(super) fn no_such_path(method: &str, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Self::new(StatusCode::NOT_FOUND, None, &message, None)
    }

    /// 401: no key, or one that is not known.
    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, None, message, None)
    }

    /// 403: the key may not do this.
    pub(super) fn forbidden(key: &str, account: &str, permission: &str) -> Self {
        let message = format!(
            "The provided key '{}' does not have the required permissions for this endpoint on \
             account '{account}'. Having the '{permission}' permission would allow this request \
             to continue.",
            masked(key)
        );
        Self::new(StatusCode::FORBIDDEN, None, &message, None)
    }

    /// 403: the key has nothing to do with the account.
    pub(super) fn foreign_account(key: &str, account: &str) -> Self {
        let message = format!(
            "The provided key '{}' does not have access to account '{account}' (or that account \
             does not exist). Application access may have been revoked.",
            masked(key)
        );
        Self::new(
            StatusCode::FORBIDDEN,
            Some("account_invalid"),
            &message,
            None,
        )
    }

    /// 429, with or without a word on when to come again.
    pub(super) fn too_many(reason: &str, retry_after: Option<&str>) -> Self {
        let message = "Request rate limit exceeded. Learn more about rate limits here \
                       https://docs.stripe.com/rate-limits.";
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut refusal = Self::new(status, Some("rate_limit"), message, None);
        let headers = &mut refusal.headers;
        headers.push(("stripe-rate-limited-reason", reason.to_owned()));
        if let Some(after) = retry_after {
            headers.push(("retry-after", after.to_owned()));
        }
        refusal
    }

    /// 500, as Stripe says it in JSON.
    pub(super) fn broken() -> Self {
        let message = "An unknown error occurred";
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            headers: Vec::new(),
            body: json!({ "error": { "type": "api_error", "message": message } }),
        }
    }

    /// A refusal as OAuth words it.
    pub(super) fn oauth(error: &str, description: &str) -> Self {
        let status = match error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self {
            status,
            headers: Vec::new(),
            body: json!({ "error": error, "error_description": description }),
        }
    }
}

/// A key as Stripe shows it: its kind and its last four characters.
pub(super) fn masked(key: &str) -> String {
    let length = key.chars().count();
    let shown = |(place, character)| {
        if place < 8 || place + 4 >= length {
            character
        } else {
            '*'
        }
    };
    key.chars().enumerate().map(shown).collect()
}
