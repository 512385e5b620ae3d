//! The HTTP server: counts, limits, breaks, answers.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, Request as HttpRequest, StatusCode};
use axum::response::Response;
use axum::routing::any;
use futures::{FutureExt as _, stream};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower_service::Service as _;

use super::access::Access;
use super::call::Call;
use super::fault::FaultKind;
use super::refusal::Refusal;
use super::state::State;
use super::{api, control, oauth};

/// No request has a longer body, but for objects that are put.
const LONGEST: usize = 256 << 20;

/// Marks an answer that is not to be given: the connection is closed instead.
#[derive(Debug, Clone, Copy)]
struct Unanswered;

/// Serves until the task is dropped, with all connections.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let router = Router::new()
        .route("/_control/{*path}", any(control))
        .fallback(any(stripe))
        .with_state(state);
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(connection(stream, router.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut router = router.clone();
        async move {
            let Ok(answer) = router.call(request.map(Body::new)).await;
            match answer.extensions().get::<Unanswered>() {
                Some(_) => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                None => Ok(answer),
            }
        }
    });
    // A client may break off, and is broken off on purpose.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn control(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    match read(request).await {
        Ok(call) => match control::answer(&state, &call).await {
            Ok(value) => json(StatusCode::OK, &value),
            Err(refusal) => refused(refusal),
        },
        Err(refusal) => refused(refusal),
    }
}

async fn stripe(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let call = match read(request).await {
        Ok(call) => call,
        Err(refusal) => return refused(refusal),
    };
    let (endpoint, came) = (call.endpoint(), Instant::now());
    state.traffic.see(&endpoint, came);
    let fault = state.faults.strike(&call.path);
    // It counts when it comes, however long the answer takes.
    let access = access(&state, &call, &endpoint);
    let mut answer = match fault {
        None => computed(&state, call, access).await,
        Some(FaultKind::TooMany { retry_after }) => {
            refused(Refusal::too_many("global-rate", retry_after.as_deref()))
        }
        Some(FaultKind::Broken) => refused(Refusal::broken()),
        Some(FaultKind::Revoked) => refused(Refusal::unauthorized("Expired API Key provided")),
        Some(FaultKind::Html) => html(),
        Some(FaultKind::Silence) => std::future::pending().await,
        Some(FaultKind::HalfBody) => half(computed(&state, call, access).await).await,
        Some(FaultKind::Closed) => {
            let mut answer = Response::new(Body::empty());
            answer.extensions_mut().insert(Unanswered);
            return answer;
        }
    };
    if answer.status() == StatusCode::TOO_MANY_REQUESTS {
        state.traffic.limit(&endpoint);
    }
    // A page of many objects takes no longer than one of few.
    tokio::time::sleep_until((came + state.latency).into()).await;
    sign(&state, &mut answer);
    answer
}

/// Answers a request in the same process. Failures that only a connection can have are 500s.
pub(super) fn answer_in_process(
    state: &State,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> super::Answered {
    let mut request = HttpRequest::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let (parts, ()) = request.body(()).unwrap_or_default().into_parts();
    let call = Call::new(method, &parts.uri, parts.headers, body.to_vec());
    let endpoint = call.endpoint();
    state.traffic.see(&endpoint, Instant::now());
    let fault = state.faults.strike(&call.path);
    let access = access(state, &call, &endpoint);
    let mut answer = match fault {
        None => answer(state, &call, access).unwrap_or_else(refused),
        Some(FaultKind::TooMany { retry_after }) => {
            refused(Refusal::too_many("global-rate", retry_after.as_deref()))
        }
        Some(FaultKind::Revoked) => refused(Refusal::unauthorized("Expired API Key provided")),
        Some(
            FaultKind::Broken
            | FaultKind::Html
            | FaultKind::Silence
            | FaultKind::HalfBody
            | FaultKind::Closed,
        ) => refused(Refusal::broken()),
    };
    sign(state, &mut answer);
    let (parts, body) = answer.into_parts();
    // The body is in memory: nothing is waited for.
    let body = to_bytes(body, LONGEST).now_or_never();
    let body = body.and_then(Result::ok).unwrap_or_default();
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), text(value)));
    (parts.status.as_u16(), headers.collect(), body.to_vec())
}

async fn read(request: Request) -> Result<Call, Refusal> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LONGEST).await;
    let body = body.map_err(|_| Refusal::bad("The body cannot be read."))?;
    let method = parts.method.as_str();
    Ok(Call::new(method, &parts.uri, parts.headers, body.to_vec()))
}

/// Who asks, where a key is needed.
fn access(state: &State, call: &Call, endpoint: &str) -> Result<Option<Access>, Refusal> {
    if call.parts().first() != Some(&"v1") {
        return Ok(None);
    }
    let access = Access::of(state, call)?;
    let of = (access.account.id.as_str(), access.is_live());
    state.traffic.admit(of, endpoint, Instant::now())?;
    Ok(Some(access))
}

/// The answer, computed beside what comes and goes: nothing that arrives waits for it.
async fn computed(
    state: &Arc<State>,
    call: Call,
    access: Result<Option<Access>, Refusal>,
) -> Response {
    let state = Arc::clone(state);
    let compute = move || answer(&state, &call, access).unwrap_or_else(refused);
    let answer = tokio::task::spawn_blocking(compute).await;
    answer.unwrap_or_else(|_| refused(Refusal::broken()))
}

/// The answer of a Stripe that works.
fn answer(
    state: &State,
    call: &Call,
    access: Result<Option<Access>, Refusal>,
) -> Result<Response, Refusal> {
    if let Some(access) = access? {
        return of_api(state, call, &access);
    }
    match call.parts().first() {
        Some(&"oauth") => {
            let value = match (call.method.as_str(), call.path.as_str()) {
                ("POST", "/oauth/token") => oauth::token(state, call)?,
                ("POST", "/oauth/deauthorize") => oauth::deauthorize(state, call)?,
                _ => return Err(Refusal::no_such_path(&call.method, &call.path)),
            };
            Ok(json(StatusCode::OK, &value))
        }
        _ => Err(Refusal::no_such_path(&call.method, &call.path)),
    }
}

/// The answer of the API.
fn of_api(state: &State, call: &Call, access: &Access) -> Result<Response, Refusal> {
    let account = &access.account;
    let version = api::version(account, call)?;
    let mut answer = match api::answer(state, access, call) {
        Ok(value) => json(StatusCode::OK, &value),
        Err(refusal) => refused(refusal),
    };
    put_header(&mut answer, "stripe-version", &version);
    if call.header("stripe-account").is_some() {
        put_header(&mut answer, "stripe-account", &account.id);
    }
    Ok(answer)
}

/// What every answer carries.
fn sign(state: &State, answer: &mut Response) {
    put_header(answer, "request-id", &state.request_id());
    let seconds = u64::try_from(state.now()).unwrap_or_default();
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    put_header(answer, "date", &date);
}

fn json(status: StatusCode, value: &Value) -> Response {
    let mut answer = Response::new(Body::from(value.to_string()));
    *answer.status_mut() = status;
    put_header(&mut answer, "content-type", "application/json");
    answer
}

fn refused(refusal: Refusal) -> Response {
    let mut answer = json(refusal.status, &refusal.body);
    for (name, value) in &refusal.headers {
        put_header(&mut answer, name, value);
    }
    answer
}

fn html() -> Response {
    let page = "<html><head><title>502 Bad Gateway</title></head><body>\
                <center><h1>502 Bad Gateway</h1></center></body></html>";
    let mut answer = Response::new(Body::from(page));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    put_header(&mut answer, "content-type", "text/html");
    answer
}

/// The answer with half its body, whose length is promised in full.
async fn half(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let whole = to_bytes(body, LONGEST).await.unwrap_or_default();
    parts.headers.insert("content-length", whole.len().into());
    let start = whole.slice(..whole.len() / 2);
    let pieces = stream::unfold(Some(start), |start| async move {
        match start {
            Some(start) => Some((Ok::<Bytes, io::Error>(start), None)),
            None => {
                // What was written so far is to reach the client before the connection breaks.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(io::ErrorKind::ConnectionReset.into()), None))
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}

fn put_header(answer: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        let name = HeaderName::from_static(name);
        answer.headers_mut().insert(name, value);
    }
}
