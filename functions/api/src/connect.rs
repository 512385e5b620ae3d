//! Connecting the tenant to Stripe: `/api/integrations/stripe/…`.

mod page;

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, RequestExt, Response};
use paygraph_bus::Queue;
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::connect::{
    Back, ConnectError, Connector, Done, Offer, RestrictedKey, TicketError,
};
use paygraph_engine::connection::{Connection, ConnectionStore as _};
use paygraph_runtime::secrets::SecretsManager;
use paygraph_store::DynamoStore;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{ApiError, ok};

/// The cookie that binds a state to the browser that began. Its name keeps other hosts and plain
/// HTTP from setting it.
const COOKIE: &str = "__Host-paygraph-connect";

/// Connecting, over AWS.
#[derive(Debug)]
pub struct Connect {
    /// What connects.
    pub connector: Connector<DynamoStore, SecretsManager, Queue>,
    /// What our own URLs begin with; none for the host that was asked.
    pub public_url: Option<String>,
}

/// The body of a request to connect. Without a key it is by OAuth.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Given {
    restricted_key: Option<SecretString>,
    webhook_secret: Option<SecretString>,
}

impl Connect {
    /// `POST …/connect`: where to go for OAuth, or connected by a restricted key.
    pub async fn connect(
        &self,
        request: &Request,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<Response<Body>, ApiError> {
        let given: Given = match request.body().as_ref() {
            [] => Given::default(),
            // What cannot be read may hold a key, so it is not told.
            body => serde_json::from_slice(body).map_err(|_| {
                let fields = "{} or {\"restricted_key\", \"webhook_secret\"}";
                ApiError::Invalid(format!("the body must be {fields}"))
            })?,
        };
        let public_url = self.public_url(request);
        match given.restricted_key {
            Some(key) => {
                let offer = Offer {
                    key: RestrictedKey::parse(key).map_err(ConnectError::from)?,
                    webhook_secret: given.webhook_secret,
                };
                let done = self.connector.by_key(tenant, &offer, &public_url).await?;
                ok(&shown_done(&done))
            }
            None => {
                let start = self.connector.authorize(tenant, &public_url, now).await?;
                let mut response = ok(&json!({ "authorize_url": start.authorize_url }))?;
                let cookie = set_cookie(start.cookie.expose_secret(), start.lasts);
                if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
                    cookie.set_sensitive(true);
                    response.headers_mut().insert(header::SET_COOKIE, cookie);
                }
                let no_store = HeaderValue::from_static("no-store");
                response
                    .headers_mut()
                    .insert(header::CACHE_CONTROL, no_store);
                Ok(response)
            }
        }
    }

    /// `GET …/connection`: how the tenant is connected.
    pub async fn connection(&self, tenant: &TenantId) -> Result<Response<Body>, ApiError> {
        let connection = self.connector.store.connection(tenant).await?;
        let connection = connection.ok_or(ConnectError::NotConnected)?;
        ok(&shown(&connection))
    }

    /// `DELETE …/connection`: no more.
    pub async fn disconnect(
        &self,
        request: &Request,
        tenant: &TenantId,
    ) -> Result<Response<Body>, ApiError> {
        let public_url = self.public_url(request);
        ok(&shown(
            &self.connector.disconnect(tenant, &public_url).await?,
        ))
    }

    /// `GET …/callback`: somebody comes back from Stripe. Answers with a page, whatever it is.
    pub async fn callback(&self, request: &Request, now: Timestamp) -> Response<Body> {
        let query = request.query_string_parameters();
        let field = |name| query.first(name).map(str::to_owned);
        let back = Back {
            code: field("code"),
            error: field("error_description").or_else(|| field("error")),
            state: field("state"),
            cookie: cookie(request),
        };
        match self.connector.returned(&back, now).await {
            Ok(asked) => page::confirm(&asked),
            Err(error) => self.refused(&error),
        }
    }

    /// `POST …/callback`: somebody has confirmed the account. Answers with a page, whatever it is.
    pub async fn confirm(&self, request: &Request, now: Timestamp) -> Response<Body> {
        let ticket = page::ticket(request.body().as_ref());
        let cookie = cookie(request);
        let done = self.connector.confirmed(&ticket, cookie.as_ref(), now);
        match done.await {
            Ok(done) => page::connected(&done, &set_cookie("", 0)),
            Err(error) => self.refused(&error),
        }
    }

    fn refused(&self, error: &ConnectError) -> Response<Body> {
        let (status, code) = status(error);
        if status.is_server_error() {
            let error = paygraph_runtime::telemetry::Chain(error);
            tracing::error!(code, %error, "Somebody could not be connected");
        }
        page::refused(status, error)
    }

    /// What our own URLs begin with.
    fn public_url(&self, request: &Request) -> String {
        let host = || request.uri().host().unwrap_or_default();
        let own = self.public_url.clone();
        own.unwrap_or_else(|| format!("https://{}", host()))
    }
}

/// The status and code of an error.
pub(crate) fn status(error: &ConnectError) -> (StatusCode, &'static str) {
    match error {
        ConnectError::Key(_) => (StatusCode::UNPROCESSABLE_ENTITY, "key_invalid"),
        ConnectError::Livemode(_) => (StatusCode::UNPROCESSABLE_ENTITY, "livemode"),
        ConnectError::Permissions(_) => (StatusCode::UNPROCESSABLE_ENTITY, "permissions_missing"),
        ConnectError::Nameless => (StatusCode::UNPROCESSABLE_ENTITY, "account_unknown"),
        ConnectError::Taken(_) => (StatusCode::CONFLICT, "account_taken"),
        ConnectError::Other(_) => (StatusCode::CONFLICT, "other_account"),
        ConnectError::Moved => (StatusCode::CONFLICT, "busy"),
        ConnectError::NotSetUp(_) => (StatusCode::UNPROCESSABLE_ENTITY, "oauth_not_set_up"),
        ConnectError::NotConnected => (StatusCode::NOT_FOUND, "not_connected"),
        ConnectError::Declined(_) => (StatusCode::FORBIDDEN, "declined"),
        ConnectError::Ticket(TicketError::Forged) => (StatusCode::BAD_REQUEST, "state_invalid"),
        ConnectError::Ticket(TicketError::OtherBrowser) => (StatusCode::FORBIDDEN, "other_browser"),
        ConnectError::Ticket(TicketError::RunOut) => (StatusCode::GONE, "state_expired"),
        ConnectError::Ticket(TicketError::Used) => (StatusCode::CONFLICT, "state_used"),
        ConnectError::Stripe(error) if error.is_denial() => {
            (StatusCode::UNPROCESSABLE_ENTITY, "key_refused")
        }
        ConnectError::Stripe(error) if !error.is_passing() => {
            (StatusCode::UNPROCESSABLE_ENTITY, "stripe_refused")
        }
        ConnectError::Stripe(_) => (StatusCode::SERVICE_UNAVAILABLE, "stripe_unavailable"),
        ConnectError::Url(_)
        | ConnectError::Store(_)
        | ConnectError::Secrets(_)
        | ConnectError::Unreadable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    }
}

fn shown(connection: &Connection) -> Value {
    let mut shown = json!({
        "account": connection.account,
        "name": connection.name,
        "livemode": connection.livemode,
        "by": connection.by,
        "since": connection.since.to_string(),
        "endpoint": connection.endpoint,
    });
    // `status`, and `reason` of a pause.
    if let (Some(shown), Ok(Value::Object(status))) = (
        shown.as_object_mut(),
        serde_json::to_value(&connection.status),
    ) {
        shown.extend(status);
    }
    shown
}

fn shown_done(done: &Done) -> Value {
    json!({
        "connection": shown(&done.connection),
        "webhooks": done.webhooks,
        "import": if done.import_started { "started" } else { "not_started" },
    })
}

fn set_cookie(value: &str, lasts: i64) -> String {
    format!("{COOKIE}={value}; Max-Age={lasts}; Path=/; Secure; HttpOnly; SameSite=Lax")
}

/// Our cookie, if the browser has sent it.
fn cookie(request: &Request) -> Option<SecretString> {
    let headers = request.headers().get_all(header::COOKIE).into_iter();
    let pairs = headers.filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|pairs| pairs.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then(|| value.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let with = |value: &str| {
            let mut request = Request::default();
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().insert(header::COOKIE, value);
            cookie(&request).map(|value| value.expose_secret().to_owned())
        };
        assert_eq!(with("a=1; __Host-paygraph-connect=x").as_deref(), Some("x"));
        assert_eq!(with("paygraph-connect=x"), None);
        assert!(cookie(&Request::default()).is_none());
    }
}
