//! A request as API Gateway hands it on, and an answer as a golden file has it.

use lambda_http::http::HeaderMap;
use lambda_http::{Body, Request, Response};
use serde_json::{Map, Value, json};

/// A token that may read and write.
pub const TOKEN: &str = "pgt_acme_00000000000000000000000000000001";
/// A token that may only read.
pub const READER: &str = "pgt_acme_00000000000000000000000000000002";

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub method: &'static str,
    /// With its query.
    pub path: String,
    pub token: Option<&'static str>,
    pub body: Option<String>,
    pub cookie: Option<String>,
}

pub fn get(path: &str) -> Asked {
    asked("GET", path)
}

pub fn asked(method: &'static str, path: &str) -> Asked {
    Asked {
        method,
        path: path.to_owned(),
        token: Some(TOKEN),
        ..Asked::default()
    }
}

impl Asked {
    pub fn with(self, body: &Value) -> Self {
        Self {
            body: Some(body.to_string()),
            ..self
        }
    }

    pub fn request(&self) -> Request {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let parameters: Map<String, Value> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        let mut headers = Map::from_iter([("host".to_owned(), json!("api.example"))]);
        if let Some(token) = self.token {
            headers.insert("authorization".to_owned(), json!(format!("Bearer {token}")));
        }
        let cookies: Vec<_> = self.cookie.iter().collect();
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
            "headers": headers, "cookies": cookies, "queryStringParameters": parameters,
            "requestContext": {
                "accountId": "123456789012", "apiId": "example", "domainName": "api.example",
                "domainPrefix": "api", "requestId": "request-1", "routeKey": "$default",
                "stage": "$default", "time": "15/Oct/2026:00:00:00 +0000", "timeEpoch": 0,
                "http": { "method": self.method, "path": path, "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1", "userAgent": "example" },
            },
            "body": self.body, "isBase64Encoded": false,
        });
        lambda_http::request::from_str(&event.to_string()).unwrap()
    }

    /// The request and its answer, in one line of JSON. What is random is left out.
    pub fn shown(&self, response: &Response<Body>) -> String {
        let headers: Map<_, _> = headers(response.headers());
        let body = std::str::from_utf8(response.body().as_ref()).unwrap();
        let is_json = body.starts_with(['{', '[']);
        let body = if is_json {
            body.to_owned()
        } else {
            json!(body).to_string()
        };
        let shown = format!(
            r#"{{"request":{},"body":{},"status":{},"headers":{},"answer":{body}}}"#,
            json!(format!("{} {}", self.method, self.path)),
            self.body
                .as_deref()
                .map_or("null".to_owned(), |body| json!(body).to_string()),
            response.status().as_u16(),
            json!(headers),
        );
        masked(&shown)
    }
}

fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let text = |(name, value): (
        &lambda_http::http::HeaderName,
        &lambda_http::http::HeaderValue,
    )| { (name.to_string(), json!(value.to_str().unwrap())) };
    headers.iter().map(text).collect()
}

/// A text without states, cookies, tickets and ports.
pub fn masked(text: &str) -> String {
    let mut text = text.to_owned();
    for start in [
        "state=",
        "__Host-paygraph-connect=",
        r#"value=\""#,
        "ticket=",
        "127.0.0.1:",
    ] {
        let mut parts = text.split(start);
        let mut next = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_random = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
            let rest = part.trim_start_matches(is_random);
            let mask = if part.len() - rest.len() > 3 {
                "(random)"
            } else {
                ""
            };
            next.push_str(&format!("{start}{mask}{rest}"));
        }
        text = next;
    }
    text
}
