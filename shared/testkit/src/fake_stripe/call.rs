//! A request, read.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::query::Pairs;

/// A request, read.
#[derive(Debug)]
pub(super) struct Call {
    pub method: String,
    pub path: String,
    pub query: Pairs,
    pub body: Vec<u8>,
    parts: Vec<String>,
    headers: HeaderMap,
}

impl Call {
    pub(super) fn new(
        method: &str,
        uri: &axum::http::Uri,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Self {
        Self {
            method: method.to_owned(),
            path: uri.path().to_owned(),
            parts: parts(uri.path()),
            query: pairs(uri.query().unwrap_or_default().as_bytes()),
            body,
            headers,
        }
    }

    /// The fields of a form.
    pub(super) fn form(&self) -> Pairs {
        pairs(&self.body)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The key, as a bearer token or as the user of basic authentication.
    pub(super) fn key(&self) -> Option<String> {
        let (scheme, value) = self.header("authorization")?.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(value.trim().to_owned());
        }
        let decoded = STANDARD.decode(value.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let user = text.split(':').next().unwrap_or_default().to_owned();
        (scheme.eq_ignore_ascii_case("basic") && !user.is_empty()).then_some(user)
    }

    /// The parts of the path, without their encoding: an id may contain anything.
    pub(super) fn parts(&self) -> Vec<&str> {
        self.parts.iter().map(String::as_str).collect()
    }

    /// The endpoint: the method, and the path without ids.
    pub(super) fn endpoint(&self) -> String {
        let named = |part: &&str| {
            let is_word = part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let is_version = *part == "v1";
            let is_id = !is_version && !is_word;
            if is_id {
                ":id".to_owned()
            } else {
                (*part).to_owned()
            }
        };
        let parts: Vec<_> = self.parts().iter().map(named).collect();
        format!("{} /{}", self.method, parts.join("/"))
    }
}

fn parts(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(decoded).collect()
}

/// A part of a path without its percent encoding.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(decoded) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(decoded);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn pairs(text: &[u8]) -> Pairs {
    form_urlencoded::parse(text).into_owned().collect()
}
