//! A request as API Gateway's HTTP API sends it, and the answer it takes (payload format 2.0).
//!
//! Only the fields that are needed: the format is API Gateway's to extend
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use paygraph_stripe::signature::SignatureError;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    raw_path: String,
    headers: BTreeMap<String, String>,
    request_context: RequestContext,
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RequestContext {
    http: Http,
    request_id: String,
    stage: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Http {
    method: String,
}

impl Request {
    /// `POST`, ….
    #[must_use]
    pub fn method(&self) -> &str {
        &self.request_context.http.method
    }

    /// The path, without the stage that API Gateway puts before it when the stage has a name.
    #[must_use]
    pub fn path(&self) -> &str {
        let stage = &self.request_context.stage;
        self.raw_path
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(stage.as_str()))
            .filter(|path| path.starts_with('/') && !stage.is_empty())
            .unwrap_or(&self.raw_path)
    }

    /// API Gateway's name for this request.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.request_context.request_id
    }

    /// The value of `Stripe-Signature`.
    ///
    /// # Errors
    /// [`SignatureError`] when it is missing or there are several. (Those that API Gateway joined
    /// with a comma are found where the value is read.)
    pub fn signature(&self) -> Result<&str, SignatureError> {
        let mut values = self.values("stripe-signature");
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (Some(_), Some(_)) => Err(SignatureError::Repeated),
            (None, _) => Err(SignatureError::Missing),
        }
    }

    /// The values of a header, whose name has any case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let headers = self.headers.iter();
        let its = headers.filter(move |(held, _)| held.eq_ignore_ascii_case(name));
        its.map(|(_, value)| value.as_str())
    }

    /// The bytes as they were sent; none when the gateway's Base64 cannot be undone.
    #[must_use]
    pub fn body(&self) -> Option<Cow<'_, [u8]>> {
        let body = self.body.as_deref().unwrap_or_default();
        if self.is_base64_encoded {
            STANDARD.decode(body).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(body.as_bytes()))
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, &'static str>,
    /// JSON.
    pub body: String,
    is_base64_encoded: bool,
}

impl Response {
    /// The event is in the queue.
    #[must_use]
    pub fn received() -> Self {
        Self::json(200, &json!({ "received": true }))
    }

    /// The event was not taken.
    #[must_use]
    pub fn error(status_code: u16, code: &str, message: &str, request_id: &str) -> Self {
        let error = json!({ "code": code, "message": message, "request_id": request_id });
        Self::json(status_code, &json!({ "error": error }))
    }

    fn json(status_code: u16, body: &serde_json::Value) -> Self {
        Self {
            status_code,
            headers: BTreeMap::from([("content-type", "application/json")]),
            body: body.to_string(),
            is_base64_encoded: false,
        }
    }
}
