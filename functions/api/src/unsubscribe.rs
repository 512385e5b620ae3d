//! `/api/unsubscribe/{tenant}/{address}/{token}`: the link in every e-mail. Who has it may use it.
//!
//! Opening it shows a button, since what scans e-mails opens links; mail programs with a button of
//! their own send the form at once (RFC 8058).

use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Response};
use paygraph_domain::email::Suppressed;
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::email::Emails;

use crate::answer::ApiError;
use crate::page::page;

/// The longest part of the link.
const LONGEST: usize = 64;

/// Answers who follows the link, and who confirms it.
pub async fn unsubscribe<S: Emails>(
    store: &S,
    method: &Method,
    parts: [&str; 3],
    now: Timestamp,
) -> Result<Response<Body>, ApiError> {
    let [tenant, address, token] = parts;
    let tenant = TenantId::parse(tenant).ok();
    let plain = |text: &str| {
        (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let Some(tenant) = tenant.filter(|_| plain(address) && plain(token)) else {
        return Ok(unknown());
    };
    match *method {
        Method::GET => Ok(page(
            StatusCode::OK,
            "No more e-mails?",
            "<p>You will get no more of these e-mails at this address.</p>\
             <form method=\"post\"><button type=\"submit\">Unsubscribe</button></form>",
        )),
        Method::POST => {
            let why = Suppressed::Unsubscribed;
            let noted = store.suppress(&tenant, address, Some(token), why, now);
            Ok(if noted.await? {
                let text = "<p>You will get no more of these e-mails at this address.</p>";
                page(StatusCode::OK, "Unsubscribed", text)
            } else {
                unknown()
            })
        }
        _ => Err(ApiError::NoRoute("/api/unsubscribe".to_owned())),
    }
}

fn unknown() -> Response<Body> {
    let text = "<p>This link is none of ours. Use the one in the newest e-mail.</p>";
    page(StatusCode::NOT_FOUND, "Not found", text)
}
