//! A client for a function that calls a single operation of an AWS service.
//!
//! An SDK contains every operation of its service, and each first build compiles all of them. The SDK
//! of SES took a CPU minute. This client signs a request with `aws-sigv4`, the signer of the SDKs.

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

/// The most bytes of a response body.
const MAX_BYTES: usize = 1 << 20;
/// The response header with the name of an error.
/// (<https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization>)
const ERROR_TYPE: &str = "x-amzn-errortype";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The names of an AWS service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceNames {
    /// The first label of its host: `email` in `email.eu-west-1.amazonaws.com`.
    pub host: &'static str,
    /// The service name in signatures: `ses`.
    pub signing: &'static str,
    /// The environment variable with another endpoint: `AWS_ENDPOINT_URL_SESV2`.
    pub endpoint_variable: &'static str,
}

/// A client of one AWS service that takes JSON or forms over HTTP.
#[derive(Debug, Clone)]
pub struct SignedClient {
    pool: Connections,
    endpoint: String,
    region: String,
    names: ServiceNames,
    credentials: Credentials,
}

/// A response with any HTTP status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceResponse {
    /// The HTTP status.
    pub status: u16,
    /// The name of the error if AWS names one: `ThrottlingException`.
    pub error: Option<String>,
    /// The response body.
    pub body: Bytes,
}

/// The reason for a missing response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Signing failed, and the client sent nothing.
    #[error("the request cannot be signed: {0}")]
    Unsigned(String),
    /// The connection failed, and the service received nothing.
    #[error("not connected: {0}")]
    NotConnected(String),
    /// The service may have received the request.
    #[error("no response: {0}")]
    NoResponse(String),
}

impl SignedClient {
    /// Makes a client with the function's own credentials.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: &AwsConfig, names: ServiceNames) -> Result<Self, rustls::Error> {
        Ok(Self {
            pool: connections()?,
            endpoint: endpoint_of(config, names),
            region: config.region.clone(),
            names,
            credentials: super::credentials(config),
        })
    }

    /// Posts JSON in a single attempt. A response with an error status is a response.
    ///
    /// # Errors
    /// [`RequestError`] after `time`, or when no response comes.
    pub async fn post_json(
        &self,
        path: &str,
        body: Vec<u8>,
        time: Duration,
    ) -> Result<ServiceResponse, RequestError> {
        self.post(path, JSON, body, time).await
    }

    /// Posts the form of a service with AWS's query protocol in a single attempt. A response with an
    /// error status is a response; its body is XML.
    /// (<https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>)
    ///
    /// # Errors
    /// [`RequestError`] after `time`, or when no response comes.
    pub async fn post_form(
        &self,
        form: String,
        time: Duration,
    ) -> Result<ServiceResponse, RequestError> {
        self.post("/", FORM, form.into_bytes(), time).await
    }

    async fn post(
        &self,
        path: &str,
        content_type: &'static str,
        body: Vec<u8>,
        time: Duration,
    ) -> Result<ServiceResponse, RequestError> {
        let request = self.sign_request(path, content_type, body, SystemClock.now())?;
        let response = async {
            let response = self.pool.request(request).await.map_err(|error| {
                let problem = Chain(&error).to_string();
                match error.is_connect() {
                    true => RequestError::NotConnected(problem),
                    false => RequestError::NoResponse(problem),
                }
            })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BYTES).collect().await;
            let body =
                body.map_err(|error| RequestError::NoResponse(Chain(error.as_ref()).to_string()))?;
            let error = head.headers.get(ERROR_TYPE);
            Ok(ServiceResponse {
                status: head.status.as_u16(),
                error: error.and_then(|name| parse_error_name(name.to_str().ok()?)),
                body: body.to_bytes(),
            })
        };
        let late = |_| RequestError::NoResponse(format!("none within {} s", time.as_secs()));
        tokio::time::timeout(time, response).await.map_err(late)?
    }

    /// Makes a request with a signature of an instant (Unix seconds).
    fn sign_request(
        &self,
        path: &str,
        content_type: &'static str,
        body: Vec<u8>,
        at: i64,
    ) -> Result<Asked, RequestError> {
        fn unsigned(error: impl std::error::Error) -> RequestError {
            RequestError::Unsigned(error.to_string())
        }
        let url = format!("{}{path}", self.endpoint);
        let identity = self.credentials.clone().into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.names.signing)
            .time(UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap_or_default()))
            .settings(SigningSettings::default())
            .build()
            .map_err(unsigned)?
            .into();
        let headers = [(CONTENT_TYPE.as_str(), content_type)];
        let signed_body = SignableBody::Bytes(&body);
        let signable = SignableRequest::new("POST", &url, headers.into_iter(), signed_body);
        let signed = sign(signable.map_err(unsigned)?, &parameters).map_err(unsigned)?;
        let (instructions, _) = signed.into_parts();
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.parse().map_err(unsigned)?;
        let content_type = HeaderValue::from_static(content_type);
        request.headers_mut().insert(CONTENT_TYPE, content_type);
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// The URL of a service in the configured region, or of its replacement.
fn endpoint_of(config: &AwsConfig, names: ServiceNames) -> String {
    let places = &config.service_endpoint_urls;
    let other = places
        .get(names.endpoint_variable)
        .or(config.endpoint_url.as_ref());
    if let Some(url) = other {
        return url.trim_end_matches('/').to_owned();
    }
    let region = &config.region;
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://{}.{region}.amazonaws.com{china}", names.host)
}

/// Reads the name of an error, which stands before `:` and after `#`.
fn parse_error_name(told: &str) -> Option<String> {
    let name = told.split(':').next()?.rsplit('#').next()?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
#[path = "signed_tests.rs"]
mod tests;
