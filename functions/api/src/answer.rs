//! Answers and errors, as the contract has them.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use paygraph_engine::connect::ConnectError;
use paygraph_engine::identity::IdentityError;
use paygraph_engine::ports::StoreError;
use paygraph_runtime::telemetry::Chain;
use serde::Serialize;
use serde_json::{Value, json};

use crate::connect;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No token, or one that is not known.
    #[error("a valid bearer token is needed")]
    Unauthorized,
    /// The token may not do this.
    #[error("the token does not allow this")]
    Forbidden,
    /// There is no such customer.
    #[error("there is no customer {0:?}")]
    NotFound(String),
    /// There is no such segment.
    #[error("there is no segment {0:?}")]
    NoSegment(String),
    /// There is no such run.
    #[error("there is no run {0:?}")]
    NoRun(String),
    /// There is no such alert.
    #[error("there is no alert {0:?}")]
    NoAlert(String),
    /// There is no such subscription.
    #[error("there is no subscription {0:?}")]
    NoSubscription(String),
    /// There is no such path.
    #[error("there is nothing at {0}")]
    NoRoute(String),
    /// The request cannot be understood.
    #[error("{0}")]
    Invalid(String),
    /// The tenant's connection to Stripe is not as asked.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The table cannot be read or written now.
    #[error("the store is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::NotFound(id) => Self::NotFound(id),
            IdentityError::Full(_) | IdentityError::Limit { .. } | IdentityError::Refused(_) => {
                Self::Invalid(error.to_string())
            }
            IdentityError::Busy => Self::Unavailable(Box::new(error)),
            IdentityError::Store(error) => error.into(),
        }
    }
}

impl ApiError {
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_)
            | Self::NoSegment(_)
            | Self::NoRun(_)
            | Self::NoAlert(_)
            | Self::NoSubscription(_)
            | Self::NoRoute(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::Connect(error) => connect::status(error),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }

    /// The answer that tells of the error.
    #[must_use]
    pub fn respond(&self, request_id: &str) -> Response<Body> {
        let (status, code) = self.status();
        if status.is_server_error() {
            tracing::error!(code, request.id = request_id, error = %Chain(self), "A request failed");
        }
        let mut error = json!({
            "code": code, "message": self.to_string(), "request_id": request_id,
        });
        if let (Self::Connect(ConnectError::Permissions(missing)), Some(error)) =
            (self, error.as_object_mut())
        {
            error.insert("missing".to_owned(), json!(missing));
        }
        write(status, &json!({ "error": error }))
    }
}

/// An answer with its JSON.
pub fn ok(body: &impl Serialize) -> Result<Response<Body>, ApiError> {
    let body: Value =
        serde_json::to_value(body).map_err(|error| ApiError::Unavailable(error.into()))?;
    Ok(write(StatusCode::OK, &body))
}

fn write(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::Text(body.to_string()));
    *response.status_mut() = status;
    let json = lambda_http::http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(lambda_http::http::header::CONTENT_TYPE, json);
    response
}
