//! One request, from its bytes to the answer.

use paygraph_domain::id::{StripeId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_runtime::clock::Clock;
use paygraph_runtime::secrets::{SecretCache, SecretSource};
use paygraph_runtime::telemetry::GREENLIGHT;
use paygraph_stripe::envelope::Envelope;
use paygraph_stripe::ingest::{EventPointer, IngestContent, IngestMessage, QUEUE_LIMIT_BYTES};
use paygraph_stripe::signature::{SignatureError, SignatureHeader};
use sha2::{Digest, Sha256};

use crate::gateway::{Request, Response};
use crate::queue::{IngestQueue, QueueError};
use crate::refusal::Refusal;
use crate::route::Route;
use crate::scope::Scope;
use crate::track;

/// What the handler works with.
#[derive(Debug)]
pub struct Webhook<Q, S, C> {
    pub(crate) queue: Q,
    pub(crate) secrets: SecretCache<S>,
    pub(crate) clock: C,
    pub(crate) platform: TenantId,
}

impl<Q: IngestQueue, S: SecretSource, C: Clock> Webhook<Q, S, C> {
    /// A handler; `platform` is whose events the platform's own account sends.
    pub fn new(queue: Q, secrets: S, clock: C, platform: TenantId) -> Self {
        Self {
            queue,
            secrets: SecretCache::new(secrets),
            clock,
            platform,
        }
    }

    /// Fetches the platform's secret ahead of the first request. A failure is left to that
    /// request.
    pub async fn warm_up(&self) {
        let _ = self
            .secrets
            .get(&Route::Platform.secret_name(), self.clock.now())
            .await;
    }

    /// Answers a request, whatever it holds.
    #[tracing::instrument(name = "webhook", skip_all, fields(request.id = request.id()))]
    pub async fn handle(&self, request: &Request) -> Response {
        let is_product = track::is_for(request);
        let received = if is_product {
            self.track(request).await
        } else {
            self.receive(request).await
        };
        match received {
            Ok(()) => Response::received(),
            Err(refusal) => {
                if !is_product && refusal.code() == "signature_invalid" {
                    tracing::info!(
                        target: GREENLIGHT,
                        "[🔐❌💳🚨] webhook_invalid: stripe — Webhook signature INVALID - rejected"
                    );
                }
                refusal.log();
                refusal.response(request.id())
            }
        }
    }

    async fn receive(&self, request: &Request) -> Result<(), Refusal> {
        let now = self.clock.now();
        let route = Route::of(request)?;
        let header = SignatureHeader::parse(request.signature()?)?;
        header.check_time(now)?;
        let body = request.body().ok_or(Refusal::Encoding)?;
        let scope = self.verify(&route, &header, &body, now).await?;
        let event = Envelope::parse(&body).map_err(|error| Refusal::Body {
            error,
            bytes: body.len(),
            sha256: hex::encode(Sha256::digest(&body)),
        })?;
        let tenant = match scope.tenant(event.account.as_ref())? {
            Some(tenant) => Some(tenant),
            None => self.tenant_now(&route, event.account.as_ref(), now).await?,
        };
        self.hand_on(&event, tenant, now).await?;
        tracing::info!(
            target: GREENLIGHT,
            "[⚡📥💳👉] webhook_received: {} — Stripe webhook: {}", event.event_type, event.id
        );
        tracing::info!(
            target: GREENLIGHT,
            "[🔐✅💳👉] webhook_verified: stripe — Webhook signature valid"
        );
        Ok(())
    }

    /// The scope whose secret signed these bytes. When none in memory fits, the secret may have
    /// been rotated: it is fetched again, which the cache allows once a minute.
    async fn verify(
        &self,
        route: &Route,
        header: &SignatureHeader<'_>,
        body: &[u8],
        now: i64,
    ) -> Result<Scope, Refusal> {
        let name = route.secret_name();
        let Some(secret) = self.secrets.get(&name, now).await? else {
            return Err(match route {
                Route::Platform => Refusal::NoSecret,
                Route::Tenant(_) => Refusal::UnknownTenant,
            });
        };
        let scope = Scope::read(route, &self.platform, &secret)?;
        if header.check_body(body, scope.secrets()).is_ok() {
            return Ok(scope);
        }
        let secret = self
            .secrets
            .refresh(&name, now)
            .await?
            .ok_or(SignatureError::Mismatch)?;
        let scope = Scope::read(route, &self.platform, &secret)?;
        header.check_body(body, scope.secrets())?;
        Ok(scope)
    }

    /// Whose an account is that was nobody's: it may have been connected just now. The secret is
    /// fetched again, which the cache allows once a minute.
    async fn tenant_now(
        &self,
        route: &Route,
        account: Option<&StripeId>,
        now: i64,
    ) -> Result<Option<TenantId>, Refusal> {
        match self.secrets.refresh(&route.secret_name(), now).await? {
            Some(secret) => Scope::read(route, &self.platform, &secret)?.tenant(account),
            None => Ok(None),
        }
    }

    /// Puts the event into the queue, or where to find it when the queue does not take it whole.
    async fn hand_on(
        &self,
        event: &Envelope<'_>,
        tenant: Option<TenantId>,
        now: i64,
    ) -> Result<(), Refusal> {
        if tenant.is_none() {
            tracing::warn!(
                code = "account_unknown",
                event.id = %event.id,
                "The event's account belongs to no tenant; it is handed on to be parked."
            );
        }
        let mut message = IngestMessage {
            tenant,
            account: event.account.clone(),
            received_at: Timestamp::from_unix(now).unwrap_or_default(),
            content: IngestContent::Event(event.raw),
        };
        let body = to_body(&message)?;
        let bytes = body.len();
        if bytes <= QUEUE_LIMIT_BYTES {
            match self.queue.send(body).await {
                Err(QueueError::Refused(_)) => {}
                sent => return Ok(sent?),
            }
        }
        tracing::warn!(
            code = "event_too_large",
            event.id = %event.id,
            body.bytes = bytes,
            "The queue does not take the event whole; its id is handed on instead."
        );
        message.content = IngestContent::Pointer(EventPointer {
            id: event.id.clone(),
            event_type: event.event_type.clone(),
            created: event.created,
        });
        Ok(self.queue.send(to_body(&message)?).await?)
    }
}

fn to_body(message: &IngestMessage<'_>) -> Result<String, QueueError> {
    message
        .to_body()
        .map_err(|error| QueueError::Refused(error.into()))
}
