//! HTTP: kept connections, a time-out for each attempt, and the headers that matter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use paygraph_domain::time::Timestamp;
use paygraph_runtime::http::{Connections, connections, retry_after};
use paygraph_runtime::telemetry::Chain;
use secrecy::{ExposeSecret as _, SecretString};
use stripe_client_core::{RequestBuilder, StripeMethod};
use uuid::Uuid;

use super::API_VERSION;
use super::error::InvalidUrl;
use super::in_process::InProcess;
use super::retry::http_date;

/// The most bytes of an answer. A hundred of the largest invoices have less.
const MAX_BYTES: usize = 64 << 20;

/// Connections to one place.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    way: Way,
    url: String,
}

/// How requests reach Stripe.
#[derive(Debug, Clone)]
enum Way {
    Http(Box<Connections>),
    InProcess(Arc<dyn InProcess>),
}

/// The headers of a request that identify the caller.
pub(super) struct Headers<'a> {
    pub key: &'a SecretString,
    pub account: Option<&'a str>,
    pub idempotency: Uuid,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub status: u16,
    pub body: Bytes,
    /// The second at which Stripe answered, by its clock.
    pub date: Timestamp,
    /// How long all of it took.
    pub took: Duration,
    /// How long it took until its headers came.
    pub headers_took: Duration,
    pub retry_after: Option<Duration>,
    pub should_retry: Option<bool>,
    pub request_id: Option<String>,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Transport {
    /// Connections to what is below a URL: the paths of requests are put after it.
    pub(super) fn new(url: &str) -> Result<Self, InvalidUrl> {
        let invalid = || InvalidUrl(url.to_owned());
        let url = url.trim_end_matches('/');
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(invalid());
        }
        let pool = connections().map_err(|_| invalid())?;
        Ok(Self {
            way: Way::Http(Box::new(pool)),
            url: url.to_owned(),
        })
    }

    /// A way to a Stripe in the same process.
    pub(super) fn in_process(stripe: Arc<dyn InProcess>) -> Self {
        Self {
            way: Way::InProcess(stripe),
            url: "/v1".to_owned(),
        }
    }

    /// Sends a request once. The error says what went wrong on the way.
    pub(super) async fn send(
        &self,
        request: &RequestBuilder,
        headers: &Headers<'_>,
        time: Duration,
    ) -> Result<Answer, String> {
        let begun = Instant::now();
        let request = self.request(request, headers)?;
        let answer = async {
            match &self.way {
                Way::Http(pool) => received(pool, request).await,
                Way::InProcess(stripe) => asked(stripe.as_ref(), request).await,
            }
        };
        let answer = tokio::time::timeout(time, answer).await;
        let (status, headers, headers_at, body) =
            answer.map_err(|_| format!("no answer within {} s", time.as_secs()))??;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let date = text(DATE.as_str()).and_then(http_date);
        let request_id = text("request-id").map(str::to_owned);
        tracing::debug!(
            request.id = request_id,
            status = status.as_u16(),
            "Stripe has answered"
        );
        Ok(Answer {
            status: status.as_u16(),
            date: date.ok_or("an answer without a date")?,
            took: begun.elapsed(),
            headers_took: headers_at.duration_since(begun),
            retry_after: retry_after(&headers),
            should_retry: text("stripe-should-retry").and_then(|text| text.parse().ok()),
            request_id,
            body,
        })
    }

    fn request(
        &self,
        request: &RequestBuilder,
        headers: &Headers<'_>,
    ) -> Result<Request<Full<Bytes>>, String> {
        let mut uri = format!("{}{}", self.url, request.path);
        if let Some(query) = &request.query {
            uri = format!("{uri}?{query}");
        }
        let method = match request.method {
            StripeMethod::Get => Method::GET,
            StripeMethod::Post => Method::POST,
            StripeMethod::Delete => Method::DELETE,
        };
        let mut built = Request::new(Full::from(request.body.clone().unwrap_or_default()));
        *built.method_mut() = method.clone();
        *built.uri_mut() = uri.parse().map_err(|_| format!("`{uri}` is no address"))?;
        put(built.headers_mut(), headers, &method)
            .map_err(|()| "a header cannot be sent".to_owned())?;
        Ok(built)
    }
}

/// Status, headers, when these came, and body.
type Parts = (StatusCode, HeaderMap, Instant, Bytes);

/// The answer of a server.
async fn received(pool: &Connections, request: Request<Full<Bytes>>) -> Result<Parts, String> {
    let answer = pool.request(request).await;
    let answer = answer.map_err(|error| Chain(&error).to_string())?;
    let headers_at = Instant::now();
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_BYTES).collect().await;
    let body = body.map_err(|error| Chain(error.as_ref()).to_string())?;
    Ok((head.status, head.headers, headers_at, body.to_bytes()))
}

/// The answer of a Stripe in the same process.
async fn asked(stripe: &dyn InProcess, request: Request<Full<Bytes>>) -> Result<Parts, String> {
    // As over a connection, others go on meanwhile.
    tokio::task::yield_now().await;
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?;
    let headers = head.headers.iter().map(|(name, value)| {
        let value = value.to_str().unwrap_or_default();
        (name.to_string(), value.to_owned())
    });
    let headers: Vec<_> = headers.collect();
    let path = head.uri.to_string();
    let reply = stripe.answer(head.method.as_str(), &path, &headers, &body.to_bytes());
    let unreadable = |error: hyper::http::Error| error.to_string();
    let mut map = HeaderMap::new();
    for (name, value) in &reply.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|error| unreadable(error.into()))?;
        let value = HeaderValue::from_str(value).map_err(|error| unreadable(error.into()))?;
        map.insert(name, value);
    }
    let status = StatusCode::from_u16(reply.status).map_err(|error| unreadable(error.into()))?;
    Ok((status, map, Instant::now(), reply.body.into()))
}

fn put(map: &mut HeaderMap, headers: &Headers<'_>, method: &Method) -> Result<(), ()> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| ());
    let mut key = value(&format!("Bearer {}", headers.key.expose_secret()))?;
    key.set_sensitive(true);
    map.insert(AUTHORIZATION, key);
    map.insert("stripe-version", HeaderValue::from_static(API_VERSION));
    if let Some(account) = headers.account {
        map.insert("stripe-account", value(account)?);
    }
    if *method == Method::POST {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        map.insert(CONTENT_TYPE, form);
        map.insert("idempotency-key", value(&headers.idempotency.to_string())?);
    }
    Ok(())
}
