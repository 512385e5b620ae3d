//! From a request to the one who answers it.

use lambda_http::http::{Method, header};
use lambda_http::{Body, Request, RequestExt, Response};
use paygraph_bus::EventBridge;
use paygraph_engine::ports::Clock;
use paygraph_engine::process::Engine;
use paygraph_store::DynamoStore;
use paygraph_store::token::{Grant, Right};

use crate::alerts::Board;
use crate::answer::ApiError;
use crate::connect::Connect;
use crate::customer::{Ask, Part};
use crate::customers::Search;
use crate::health::{Queues, health};
use crate::links::{Change, unmatched, user, workspace};
use crate::runs::{report, runs};
use crate::segments::{members, segments};
use crate::unsubscribe::unsubscribe;

/// The API over its ports.
#[derive(Debug)]
pub struct Api<C> {
    /// Load, apply, commit.
    pub engine: Engine<DynamoStore, C>,
    /// The bus.
    pub publisher: EventBridge,
    /// The queues whose depth is shown.
    pub queues: Queues,
    /// Connecting to Stripe.
    pub connect: Connect,
}

impl<C: Clock> Api<C> {
    /// Answers a request.
    pub async fn handle(&self, request: &Request, request_id: &str) -> Response<Body> {
        match self.route(request, request_id).await {
            Ok(response) => response,
            Err(error) => error.respond(request_id),
        }
    }

    async fn route(&self, request: &Request, request_id: &str) -> Result<Response<Body>, ApiError> {
        let path = request.raw_http_path().to_owned();
        let path = path
            .find("/api/")
            .and_then(|start| path.get(start..))
            .unwrap_or_default();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if let Some(response) = self.without_token(request, path, &parts).await {
            return response;
        }
        let grant = self.grant(request).await?;
        let query = request.query_string_parameters();
        let part = Part {
            limit: query.first("limit").map(str::to_owned),
            cursor: query.first("cursor").map(str::to_owned),
        };
        let (store, tenant) = (&self.engine.store, &grant.tenant);
        let now = self.engine.clock.now();
        let board = Board { store, tenant, now };
        match (request.method(), parts.as_slice()) {
            (&Method::GET, ["api", "stripe", "health"]) => {
                health(store, &self.queues, tenant, now).await
            }
            (&Method::GET, ["api", "stripe", "unmatched"]) => unmatched(store, tenant, &part).await,
            (&Method::GET, ["api", "stripe", "reconciliations"]) => {
                runs(store, tenant, &part).await
            }
            (&Method::GET, ["api", "stripe", "reconciliations", id]) => {
                report(store, tenant, &decode(id)).await
            }
            (&Method::GET, ["api", "stripe", what, id]) => {
                let id = &decode(id);
                let ask = Ask {
                    store,
                    tenant,
                    id,
                    now,
                };
                asked(ask, what, &part, path).await
            }
            (&Method::GET, ["api", "integrations", "stripe", "connection"]) => {
                self.connect.connection(tenant).await
            }
            (&Method::GET, ["api", "customers"]) => {
                let search = Search::read(query.iter())?;
                search.answer(store, tenant, now).await
            }
            (&Method::GET, ["api", "alerts", rest @ ..]) => {
                let given = |name| query.first(name).map(str::to_owned);
                let (status, customer) = (given("status"), given("customer"));
                board.get(rest, status, customer, part).await
            }
            (&Method::GET, ["api", "segments"]) => segments(store, tenant).await,
            (&Method::GET, ["api", "segments", name, "members"]) => {
                members(store, tenant, &decode(name), &part, now).await
            }
            (&Method::GET, ["api", "users", id]) => user(store, tenant, decode(id)).await,
            (&Method::GET, ["api", "workspaces", id]) => workspace(store, tenant, decode(id)).await,
            (&Method::PUT | &Method::POST | &Method::DELETE, path) => {
                if !grant.rights.contains(&Right::Write) {
                    return Err(ApiError::Forbidden);
                }
                let change = Change {
                    engine: &self.engine,
                    publisher: &self.publisher,
                    tenant,
                    request_id,
                };
                self.change(&change, request, path).await
            }
            _ => Err(ApiError::NoRoute(path.to_owned())),
        }
    }

    async fn change(
        &self,
        change: &Change<'_, C, EventBridge>,
        request: &Request,
        path: &[&str],
    ) -> Result<Response<Body>, ApiError> {
        let body = request.body();
        let board = Board {
            store: &self.engine.store,
            tenant: change.tenant,
            now: self.engine.clock.now(),
        };
        match (request.method(), path) {
            (method, ["api", "alerts", rest @ ..]) => board.change(method, rest, body).await,
            (&Method::PUT, ["api", "customers", id]) => change.put(&decode(id), body).await,
            (&Method::POST, ["api", "customers", id, "merge"]) => {
                change.merge(&decode(id), body).await
            }
            (&Method::POST, ["api", "stripe", "links"]) => change.link(body).await,
            (&Method::DELETE, ["api", "stripe", "links", id]) => change.unlink(&decode(id)).await,
            (&Method::POST, ["api", "integrations", "stripe", "connect"]) => {
                let now = self.engine.clock.now();
                self.connect.connect(request, change.tenant, now).await
            }
            (&Method::DELETE, ["api", "integrations", "stripe", "connection"]) => {
                self.connect.disconnect(request, change.tenant).await
            }
            _ => Err(ApiError::NoRoute(format!("/{}", path.join("/")))),
        }
    }

    /// What is asked by a link instead of a token, if it is.
    async fn without_token(
        &self,
        request: &Request,
        path: &str,
        parts: &[&str],
    ) -> Option<Result<Response<Body>, ApiError>> {
        match *parts {
            // Who comes back from Stripe: the state is the authority.
            ["api", "integrations", "stripe", "callback"] => {
                Some(self.callback(request, path).await)
            }
            ["api", "unsubscribe", tenant, address, token] => {
                let (store, now) = (&self.engine.store, self.engine.clock.now());
                let link = [tenant, address, token];
                Some(unsubscribe(store, request.method(), link, now).await)
            }
            _ => None,
        }
    }

    /// Coming back from Stripe, and confirming what was found there.
    async fn callback(&self, request: &Request, path: &str) -> Result<Response<Body>, ApiError> {
        let now = self.engine.clock.now();
        match *request.method() {
            Method::GET => Ok(self.connect.callback(request, now).await),
            Method::POST => Ok(self.connect.confirm(request, now).await),
            _ => Err(ApiError::NoRoute(path.to_owned())),
        }
    }

    /// What the request's token grants.
    async fn grant(&self, request: &Request) -> Result<Grant, ApiError> {
        let value = request.headers().get(header::AUTHORIZATION);
        let token = value
            .and_then(|value| value.to_str().ok())
            .and_then(|value| {
                let (scheme, token) = value.split_once(' ')?;
                scheme
                    .eq_ignore_ascii_case("bearer")
                    .then_some(token.trim())
            });
        let grant = self
            .engine
            .store
            .grant(token.ok_or(ApiError::Unauthorized)?)
            .await?;
        let grant = grant.ok_or(ApiError::Unauthorized)?;
        if grant.rights.contains(&Right::Read) {
            Ok(grant)
        } else {
            Err(ApiError::Forbidden)
        }
    }
}

/// A question about one customer, by the word in its path.
async fn asked(
    ask: Ask<'_>,
    what: &str,
    part: &Part,
    path: &str,
) -> Result<Response<Body>, ApiError> {
    match what {
        "customer" => ask.record().await,
        "subscriptions" => ask.subscriptions().await,
        "invoices" => ask.invoices(part).await,
        "mrr" => ask.mrr().await,
        "audit" => ask.audit(part).await,
        "signals" => ask.signals().await,
        _ => Err(ApiError::NoRoute(path.to_owned())),
    }
}

/// A path's part as it was meant.
pub(crate) fn decode(part: &str) -> String {
    percent_encoding::percent_decode_str(part)
        .decode_utf8_lossy()
        .into_owned()
}
