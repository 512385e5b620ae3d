//! Alerts: what there is, who took what on, and who asked to be told.

use lambda_http::http::Method;
use lambda_http::{Body, Response};
use paygraph_domain::alert::subscription::{MAX_SUBSCRIPTIONS, Subscription};
use paygraph_domain::alert::{Acknowledged, Alert, AlertId, Status};
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::alert::Alerts;
use paygraph_store::DynamoStore;
use paygraph_store::alerts::Which;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{ApiError, ok};
use crate::customer::{Ask, Part};
use crate::router::decode;

/// The most characters of the name of who takes an alert on.
const MAX_NAME: usize = 200;
/// Who takes an alert on, where nobody says.
const SOMEBODY: &str = "api";

/// Who takes an alert on.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taker {
    by: Option<String>,
}

/// A tenant's alerts.
#[derive(Debug, Clone, Copy)]
pub struct Board<'a> {
    /// Where everything is kept.
    pub store: &'a DynamoStore,
    /// Whose they are.
    pub tenant: &'a TenantId,
    /// Now.
    pub now: Timestamp,
}

impl Board<'_> {
    /// `GET` of what is below `/api/alerts`; with a status and of a customer, where these are given.
    pub async fn get(
        &self,
        path: &[&str],
        with: Option<String>,
        of: Option<String>,
        part: Part,
    ) -> Result<Response<Body>, ApiError> {
        match path {
            [] => {
                let customer = match of.as_deref() {
                    Some(id) => Some(self.customer(id).await?),
                    None => None,
                };
                let status = with.as_deref().map(status).transpose()?;
                self.list(&Which { status, customer }, &part).await
            }
            ["subscriptions"] => self.subscriptions().await,
            _ => Err(missing(path)),
        }
    }

    /// A change of what is below `/api/alerts`.
    pub async fn change(
        &self,
        method: &Method,
        path: &[&str],
        body: &[u8],
    ) -> Result<Response<Body>, ApiError> {
        match (method, path) {
            (&Method::POST, ["subscriptions"]) => self.subscribe(body).await,
            (&Method::DELETE, ["subscriptions", id]) => self.unsubscribe(&decode(id)).await,
            (&Method::POST, [id, "acknowledge"]) => self.acknowledge(&decode(id), body).await,
            _ => Err(missing(path)),
        }
    }

    /// `GET /api/alerts`: the newest first.
    async fn list(&self, which: &Which, part: &Part) -> Result<Response<Body>, ApiError> {
        let (limit, cursor) = part.read_in(which.list())?;
        let page = self
            .store
            .alerts(self.tenant, which, cursor.as_ref(), limit);
        let page = page.await?;
        let data: Vec<Value> = page.entries.iter().map(Alert::shown).collect();
        let next = page.next.map(|cursor| cursor.encode());
        ok(&json!({ "data": data, "next_cursor": next }))
    }

    /// `POST /api/alerts/{id}/acknowledge`: somebody takes it on. Once: later ones see who did.
    async fn acknowledge(&self, id: &str, body: &[u8]) -> Result<Response<Body>, ApiError> {
        let missing = || ApiError::NoAlert(id.to_owned());
        let alert = AlertId::parse(id).map_err(|_| missing())?;
        let by = Acknowledged {
            by: taker(body)?,
            at: self.now,
        };
        let taken = self.store.acknowledge(self.tenant, &alert, &by).await?;
        let taken = taken.ok_or_else(missing)?;
        if let Some(seconds) = taken.alert.seconds_to_acknowledge().filter(|_| taken.now) {
            tracing::info!(
                code = "alert_acknowledged", tenant = %self.tenant, alert = id,
                seconds_to_acknowledge = seconds, "An alert was taken on"
            );
        }
        ok(&taken.alert.shown())
    }

    /// `GET /api/alerts/subscriptions`: what people asked to be told.
    async fn subscriptions(&self) -> Result<Response<Body>, ApiError> {
        let all = self.store.subscriptions(self.tenant).await?;
        let data: Vec<Value> = all.iter().map(shown).collect();
        ok(&json!({ "data": data }))
    }

    /// `POST /api/alerts/subscriptions`: "alert me on …". Asking twice is asking once.
    async fn subscribe(&self, body: &[u8]) -> Result<Response<Body>, ApiError> {
        let mut wish: Subscription = serde_json::from_slice(body)
            .map_err(|error| ApiError::Invalid(format!("the body cannot be read: {error}")))?;
        if let Some(problem) = wish.problem() {
            return Err(ApiError::Invalid(problem.to_owned()));
        }
        if let Some(customer) = &wish.customer {
            wish.customer = Some(self.customer(customer.as_str()).await?);
        }
        let all = self.store.subscriptions(self.tenant).await?;
        if all.len() >= MAX_SUBSCRIPTIONS && !all.contains(&wish) {
            return Err(ApiError::Invalid(format!(
                "there are {MAX_SUBSCRIPTIONS} subscriptions already: delete one first"
            )));
        }
        self.store.subscribe(self.tenant, &wish).await?;
        ok(&shown(&wish))
    }

    /// `DELETE /api/alerts/subscriptions/{id}`.
    async fn unsubscribe(&self, id: &str) -> Result<Response<Body>, ApiError> {
        if !self.store.unsubscribe(self.tenant, id).await? {
            return Err(ApiError::NoSubscription(id.to_owned()));
        }
        ok(&json!({ "id": id, "deleted": true }))
    }

    /// The contact that is meant, by our id or a Stripe customer's.
    async fn customer(&self, id: &str) -> Result<CustomerId, ApiError> {
        let (store, tenant, now) = (self.store, self.tenant, self.now);
        let ask = Ask {
            store,
            tenant,
            id,
            now,
        };
        Ok(ask.contact().await?.id)
    }
}

/// There is nothing there.
fn missing(path: &[&str]) -> ApiError {
    ApiError::NoRoute(format!("/api/alerts/{}", path.join("/")))
}

fn status(word: &str) -> Result<Status, ApiError> {
    Status::parse(word).ok_or_else(|| {
        let known = Status::ALL.map(Status::as_str).join(", ");
        ApiError::Invalid(format!("there is no status {word:?}; there are {known}"))
    })
}

fn taker(body: &[u8]) -> Result<String, ApiError> {
    let given: Taker = if body.iter().all(u8::is_ascii_whitespace) {
        Taker::default()
    } else {
        serde_json::from_slice(body)
            .map_err(|error| ApiError::Invalid(format!("the body cannot be read: {error}")))?
    };
    let by = given.by.unwrap_or_else(|| SOMEBODY.to_owned());
    let by = by.trim();
    if by.is_empty() || by.chars().count() > MAX_NAME || by.chars().any(char::is_control) {
        return Err(ApiError::Invalid(format!(
            "by has 1 to {MAX_NAME} characters and no control characters"
        )));
    }
    Ok(by.to_owned())
}

fn shown(subscription: &Subscription) -> Value {
    json!({
        "id": subscription.id(), "subscriber": subscription.subscriber,
        "kinds": subscription.kinds, "customer": subscription.customer,
        "channel": subscription.channel,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_an_alert_on_may_say_so() {
        assert_eq!(taker(b"").unwrap(), "api");
        assert_eq!(taker(b"{}").unwrap(), "api");
        assert_eq!(taker(br#"{"by":" cs-team "}"#).unwrap(), "cs-team");
        for wrong in [
            &b"{"[..],
            br#"{"by":""}"#,
            br#"{"who":"x"}"#,
            br#"{"by":"a\nb"}"#,
        ] {
            assert!(matches!(taker(wrong), Err(ApiError::Invalid(_))));
        }
    }

    #[test]
    fn a_status_that_there_is_not_is_told() {
        assert_eq!(status("open").unwrap(), Status::Open);
        let refused = status("closed").unwrap_err().to_string();
        assert!(
            refused.ends_with("there are open, acknowledged, resolved"),
            "{refused}"
        );
    }
}
