//! The pages that somebody sees who connects by OAuth: plain HTML, without a script or a style.

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use paygraph_engine::connect::{Asked, ConnectError, Done};

use crate::page::{escaped, page};

/// The account that was found, with a button.
pub fn confirm(asked: &Asked) -> Response<Body> {
    let tenant = escaped(asked.tenant.as_str());
    let account = account(asked.name.as_deref(), &asked.account);
    let ticket = escaped(&asked.ticket);
    page(
        StatusCode::OK,
        "Connect this Stripe account?",
        &format!(
            "<p>{account} will be read for <strong>{tenant}</strong>. Nothing is kept until you \
             confirm; to leave it, close this page.</p>\
             <form method=\"post\" action=\"callback\">\
             <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\
             <button type=\"submit\">Connect</button></form>"
        ),
    )
}

/// It is connected. The cookie is taken back.
pub fn connected(done: &Done, cookie: &str) -> Response<Body> {
    let connection = &done.connection;
    let account = account(connection.name.as_deref(), connection.account.as_str());
    let import = if done.import_started {
        "Its history is being imported."
    } else {
        "Its history can be imported now: <code>paygraph backfill</code>."
    };
    let text = format!("<p>{account} is connected. {import} You can close this page.</p>");
    let mut response = page(StatusCode::OK, "Connected", &text);
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// It is not, and why.
pub fn refused(status: StatusCode, error: &ConnectError) -> Response<Body> {
    let why = if status.is_server_error() {
        "it does not work now: try again later".to_owned()
    } else {
        escaped(&error.to_string())
    };
    let text = format!("<p>Nothing was connected: {why}.</p>");
    page(status, "Not connected", &text)
}

/// The ticket in a form; nothing where there is none. It has only letters that forms leave alone.
pub fn ticket(form: &[u8]) -> String {
    let form = String::from_utf8_lossy(form);
    let mut fields = form.split('&');
    let ticket = fields.find_map(|field| field.strip_prefix("ticket="));
    ticket.unwrap_or_default().to_owned()
}

fn account(name: Option<&str>, id: &str) -> String {
    let id = escaped(id);
    match name {
        Some(name) => format!("<strong>{}</strong> ({id})", escaped(name)),
        None => format!("<strong>{id}</strong>"),
    }
}

#[cfg(test)]
mod tests {
    use paygraph_domain::id::TenantId;

    use super::*;

    #[test]
    fn an_accounts_name_is_no_html() {
        let response = confirm(&Asked {
            tenant: TenantId::parse("a\"b").unwrap(),
            account: "acct_1".to_owned(),
            name: Some("<script>alert('x')</script> & Co".to_owned()),
            ticket: "abc.def".to_owned(),
        });
        let Body::Text(html) = response.body() else {
            panic!("no text");
        };
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; Co"));
        assert!(html.contains("a&quot;b"));
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(ticket(b"x=1&ticket=abc.def"), "abc.def");
        assert_eq!(ticket(b"\xff"), "");
    }
}
