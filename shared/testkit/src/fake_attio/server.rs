//! The HTTP server: counts, limits, breaks, answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::any;
use serde_json::{Value, json};

use super::TOKEN;
use super::state::{Fault, Refusal, State};

const LONGEST: usize = 1 << 20;

type Held = Arc<Mutex<State>>;

pub(super) fn router(state: Held) -> Router {
    Router::new().fallback(any(answer)).with_state(state)
}

fn locked(state: &Held) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(Shared(state): Shared<Held>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LONGEST).await.unwrap_or_default();
    let token = parts.headers.get("authorization");
    if token.and_then(|token| token.to_str().ok()) != Some(&format!("Bearer {TOKEN}")) {
        return refused((401, "unauthorized"));
    }
    let method = parts.method.as_str();
    let path = parts.uri.path().trim_start_matches("/v2/");
    let query = parts.uri.query().unwrap_or_default();
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let asked = Asked {
        method,
        path: path.split('/').collect(),
        query: query.collect(),
        body: &body,
    };
    let (fault, latency) = {
        let mut state = locked(&state);
        let target = parts.uri.path_and_query().map(ToString::to_string);
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        state
            .requests
            .push(json!({ "method": method, "target": target, "body": body }));
        let fault = state.fault(method != "GET", Instant::now());
        (fault, state.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match fault {
        Some(Fault::Seconds | Fault::Limited) => too_many("1".to_owned()),
        Some(Fault::Date) => too_many(soon()),
        Some(Fault::Broken) => refused((500, "internal_error")),
        Some(Fault::BrokenAfter) => {
            let _ = done(&state, &asked);
            refused((500, "internal_error"))
        }
        None => match done(&state, &asked) {
            Ok(value) => said(200, &value),
            Err(refusal) => refused(refusal),
        },
    }
}

/// A request.
struct Asked<'a> {
    method: &'a str,
    path: Vec<&'a str>,
    query: BTreeMap<&'a str, &'a str>,
    body: &'a Bytes,
}

fn done(state: &Held, asked: &Asked<'_>) -> Result<Value, Refusal> {
    let mut state = locked(state);
    let body: Value = serde_json::from_slice(asked.body).unwrap_or_default();
    if has_null(&body) && asked.method != "GET" {
        let complaint = format!("{} {} has a null", asked.method, asked.path.join("/"));
        state.complaints.push(complaint);
    }
    let data = body.get("data").cloned().unwrap_or_default();
    let values = data.get("values").cloned().unwrap_or_default();
    match (asked.method, asked.path.as_slice()) {
        ("PUT", ["objects", object, "records"]) => {
            let by = asked.query.get("matching_attribute").copied();
            state.assert(object, by.unwrap_or_default(), &values)
        }
        ("PATCH", ["objects", object, "records", record]) => state.append(object, record, &values),
        ("POST", ["objects", _, "attributes", list, "options"]) => {
            let title = data.get("title").and_then(Value::as_str);
            state.option(list, title.ok_or((400, "missing_value"))?)
        }
        ("GET", ["objects", object, "attributes"]) => state.attributes(object),
        ("POST", ["objects", object, "records", "query"]) => {
            state.query(object, body.get("filter").unwrap_or(&Value::Null))
        }
        ("POST", ["notes"]) => state.make_note(&data),
        ("GET", ["notes"]) => {
            let value = |name: &str| asked.query.get(name).copied().unwrap_or_default();
            state.notes_of(value("parent_object"), value("parent_record_id"))
        }
        ("POST", ["tasks"]) => state.task(&data),
        ("GET", ["tasks"]) => {
            let record = asked
                .query
                .get("linked_record_id")
                .copied()
                .unwrap_or_default();
            let about = |task: &&Value| task["linked_records"].to_string().contains(record);
            let tasks: Vec<_> = state.tasks.iter().filter(about).collect();
            Ok(json!({ "data": tasks }))
        }
        _ => Err((404, "not_found")),
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn said(status: u16, value: &Value) -> Response {
    let mut answer = Response::new(Body::from(value.to_string()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert("content-type", json);
    answer
}

fn refused((status, code): Refusal) -> Response {
    said(
        status,
        &json!({ "status_code": status, "type": "invalid_request_error", "code": code,
            "message": "It quotes ann@acme.example" }),
    )
}

/// In a second, by the clock that answers show as `Date`.
#[expect(clippy::disallowed_methods, reason = "a server tells its own time")]
fn soon() -> String {
    httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1))
}

fn too_many(retry_after: String) -> Response {
    let mut answer = refused((429, "rate_limit_exceeded"));
    if let Ok(retry_after) = HeaderValue::try_from(retry_after) {
        answer.headers_mut().insert("retry-after", retry_after);
    }
    answer
}
