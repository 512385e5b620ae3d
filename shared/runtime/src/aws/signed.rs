//! Signed requests to a service of AWS, for a function that makes a single call of it.
//!
//! An SDK holds every operation of its service, and a build pays for all of them: SES's took a CPU
//! minute. A function that makes one call signs it here instead, with the signer of the SDKs.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request};

use crate::clock::{Clock as _, SystemClock};
use crate::config::AwsConfig;
use crate::http::{Asked, Connections, connections};
use crate::telemetry::Chain;

/// The most bytes of an answer.
const MAX_BYTES: usize = 1 << 20;
/// The header in which AWS names an error.
/// (<https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization>)
const ERROR_TYPE: &str = "x-amzn-errortype";

/// The names of a service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceName {
    /// The first word of its host: `email` in `email.eu-west-1.amazonaws.com`.
    pub host: &'static str,
    /// The name that signatures have.
    pub signing: &'static str,
    /// The variable that says that it is at another place.
    pub variable: &'static str,
}

/// A service of AWS that takes JSON.
#[derive(Debug, Clone)]
pub struct Service {
    pool: Connections,
    url: String,
    region: String,
    name: ServiceName,
    credentials: Credentials,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The name of the error, if AWS names one: `ThrottlingException`.
    pub error: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The request cannot be sent as it is.
    #[error("the request cannot be signed: {0}")]
    Unsendable(String),
    /// The service was not reached, and has no part of the request.
    #[error("not connected: {0}")]
    NotConnected(String),
    /// The service may have the request.
    #[error("no answer: {0}")]
    Lost(String),
}

impl Service {
    /// A service with the function's own credentials.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: &AwsConfig, name: ServiceName) -> Result<Self, rustls::Error> {
        Ok(Self {
            pool: connections()?,
            url: url(config, name),
            region: config.region.clone(),
            name,
            credentials: super::credentials(config),
        })
    }

    /// Posts JSON once: it never makes a second attempt.
    ///
    /// # Errors
    /// [`Unanswered`]. Any answer is an answer.
    pub async fn post(
        &self,
        path: &str,
        body: Vec<u8>,
        time: Duration,
    ) -> Result<Answer, Unanswered> {
        let request = self.signed(path, body, SystemClock.now())?;
        let answer = async {
            let answer = self.pool.request(request).await.map_err(|error| {
                let problem = Chain(&error).to_string();
                match error.is_connect() {
                    true => Unanswered::NotConnected(problem),
                    false => Unanswered::Lost(problem),
                }
            })?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_BYTES).collect().await;
            let body = body.map_err(|error| Unanswered::Lost(Chain(error.as_ref()).to_string()))?;
            let error = head.headers.get(ERROR_TYPE);
            Ok(Answer {
                status: head.status.as_u16(),
                error: error.and_then(|name| error_name(name.to_str().ok()?)),
                body: body.to_bytes(),
            })
        };
        let late = |_| Unanswered::Lost(format!("none within {} s", time.as_secs()));
        tokio::time::timeout(time, answer).await.map_err(late)?
    }

    /// A request that is signed at an instant (Unix seconds).
    fn signed(&self, path: &str, body: Vec<u8>, at: i64) -> Result<Asked, Unanswered> {
        fn unsendable(error: impl std::error::Error) -> Unanswered {
            Unanswered::Unsendable(error.to_string())
        }
        let url = format!("{}{path}", self.url);
        let identity = self.credentials.clone().into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.name.signing)
            .time(UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap_or_default()))
            .settings(SigningSettings::default())
            .build()
            .map_err(unsendable)?
            .into();
        let json = "application/json";
        let headers = [(CONTENT_TYPE.as_str(), json)];
        let signed_body = SignableBody::Bytes(&body);
        let signable = SignableRequest::new("POST", &url, headers.into_iter(), signed_body);
        let signed = sign(signable.map_err(unsendable)?, &parameters).map_err(unsendable)?;
        let (instructions, _) = signed.into_parts();
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.parse().map_err(unsendable)?;
        let json = HeaderValue::from_static(json);
        request.headers_mut().insert(CONTENT_TYPE, json);
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// Where the service is.
fn url(config: &AwsConfig, name: ServiceName) -> String {
    let places = &config.service_endpoint_urls;
    let other = places.get(name.variable).or(config.endpoint_url.as_ref());
    if let Some(url) = other {
        return url.trim_end_matches('/').to_owned();
    }
    let region = &config.region;
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://{}.{region}.amazonaws.com{china}", name.host)
}

/// The name of an error: what comes before `:` and after `#`.
fn error_name(told: &str) -> Option<String> {
    let name = told.split(':').next()?.rsplit('#').next()?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
#[path = "signed_tests.rs"]
mod tests;
