//! Stripe's part of a delivery: the signature, and the request as API Gateway hands it on.
//!
//! Written apart from `paygraph_stripe::signature`, so that a mistake there is not repeated here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;

/// The path of the platform's endpoint.
pub const PLATFORM_PATH: &str = "/api/integrations/stripe/webhook";

/// The value of `Stripe-Signature` for these bytes: `t=<t>,v1=<hex>`.
#[must_use]
pub fn sign(body: &[u8], secret: &str, t: i64) -> String {
    format!("t={t},v1={}", v1(body, secret, t))
}

/// The hexadecimal `v1` of these bytes at Unix second `t`.
///
/// # Panics
/// Never: an HMAC takes a key of any length.
#[must_use]
pub fn v1(body: &[u8], secret: &str, t: i64) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        unreachable!("an HMAC takes a key of any length")
    };
    mac.update(format!("{t}.").as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// Segment's `X-Signature` for these bytes: their HMAC-SHA1 in hex.
///
/// # Panics
/// Never: an HMAC takes a key of any length.
#[must_use]
pub fn sign_as_segment(body: &[u8], secret: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else {
        unreachable!("an HMAC takes a key of any length")
    };
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// A request as API Gateway's HTTP API sends it to a function (payload format 2.0).
#[derive(Debug, Clone)]
pub struct GatewayRequest {
    method: String,
    path: String,
    stage: String,
    signature: Option<String>,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    base64: bool,
}

impl GatewayRequest {
    /// A POST of these bytes to the platform's path, not signed.
    #[must_use]
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST".to_owned(),
            path: PLATFORM_PATH.to_owned(),
            stage: "$default".to_owned(),
            signature: None,
            headers: Vec::new(),
            body: body.into(),
            base64: false,
        }
    }

    /// To the path of one tenant.
    #[must_use]
    pub fn to_tenant(self, tenant: &str) -> Self {
        self.path(&format!("{PLATFORM_PATH}/{tenant}"))
    }

    /// To another path.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Through a stage with a name, which API Gateway puts before the path.
    #[must_use]
    pub fn stage(mut self, stage: &str) -> Self {
        stage.clone_into(&mut self.stage);
        self
    }

    /// Signed with this secret at Unix second `t`.
    #[must_use]
    pub fn signed(self, secret: &str, t: i64) -> Self {
        let header = sign(&self.body, secret, t);
        self.signature(&header)
    }

    /// With this text as `Stripe-Signature`; API Gateway joins repeated headers with a comma.
    #[must_use]
    pub fn signature(mut self, header: &str) -> Self {
        self.signature = Some(header.to_owned());
        self
    }

    /// With another header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// With the body in Base64, as API Gateway sends what it takes for binary.
    #[must_use]
    pub fn base64(mut self) -> Self {
        self.base64 = true;
        self
    }

    /// The payload of the function's invocation. A body that is no UTF-8 goes as Base64.
    #[must_use]
    pub fn build(&self) -> Value {
        let text = std::str::from_utf8(&self.body)
            .ok()
            .filter(|_| !self.base64);
        let mut headers = json!({ "content-type": "application/json; charset=utf-8" });
        if let (Some(signature), Some(headers)) = (&self.signature, headers.as_object_mut()) {
            headers.insert("stripe-signature".to_owned(), json!(signature));
        }
        for (name, value) in &self.headers {
            if let Some(headers) = headers.as_object_mut() {
                headers.insert((*name).to_owned(), json!(value));
            }
        }
        let raw_path = match self.stage.as_str() {
            "$default" => self.path.clone(),
            stage => format!("/{stage}{}", self.path),
        };
        json!({
            "version": "2.0",
            "routeKey": format!("{} {}", self.method, self.path),
            "rawPath": raw_path,
            "rawQueryString": "",
            "headers": headers,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "api",
                "domainName": "api.execute-api.eu-west-1.amazonaws.com",
                "domainPrefix": "api",
                "http": {
                    "method": self.method,
                    "path": raw_path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "3.18.12.63",
                    "userAgent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)"
                },
                "requestId": "request-1",
                "routeKey": format!("{} {}", self.method, self.path),
                "stage": self.stage,
                "time": "21/Nov/2026:04:43:03 +0000",
                "timeEpoch": 1_795_236_183_000_i64
            },
            "body": text.map_or_else(|| STANDARD.encode(&self.body), str::to_owned),
            "isBase64Encoded": text.is_none(),
        })
    }
}
