//! Product events of Segment's: verify, queue, answer.
//!
//! `X-Signature` is the HMAC-SHA1 of the body in hex, under a secret that Segment shares with the
//! tenant. It has no time in it, so a request can be sent again: to take an event in twice changes
//! nothing.
//! <https://segment.com/docs/connections/destinations/catalog/actions-webhook/>

use hmac::{Hmac, KeyInit, Mac};
use paygraph_domain::id::TenantId;
use paygraph_domain::product::message::ProductMessage;
use paygraph_domain::product::segment;
use paygraph_domain::time::Timestamp;
use paygraph_runtime::clock::Clock;
use paygraph_runtime::secrets::SecretSource;
use paygraph_stripe::ingest::{QUEUE_LIMIT_BYTES, sendable};
use sha1::Sha1;
use subtle::{Choice, ConstantTimeEq};

use crate::gateway::Request;
use crate::handler::Webhook;
use crate::queue::{IngestQueue, QueueError};
use crate::refusal::Refusal;
use crate::route::tenant_under;
use crate::scope::signing_secrets;

const PATH: &str = "/api/track";
const HEADER: &str = "x-signature";
/// Bytes of an HMAC-SHA1.
const SIGNATURE_BYTES: usize = 20;

/// Why a request is not the one that Segment sent. The texts are safe to show to the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrackSignatureError {
    /// There is no header.
    #[error("the X-Signature header is missing")]
    Missing,
    /// The header comes more than once.
    #[error("the X-Signature header is repeated")]
    Repeated,
    /// The header is no HMAC-SHA1 in hex.
    #[error("the X-Signature header is malformed")]
    Malformed,
    /// No secret makes the signature.
    #[error("the signature does not match")]
    Mismatch,
}

/// The signature of a request.
struct Signature([u8; SIGNATURE_BYTES]);

impl Signature {
    fn of(request: &Request) -> Result<Self, TrackSignatureError> {
        let mut values = request.values(HEADER);
        let value = values.next().ok_or(TrackSignatureError::Missing)?;
        if values.next().is_some() {
            return Err(TrackSignatureError::Repeated);
        }
        let mut bytes = [0; SIGNATURE_BYTES];
        hex::decode_to_slice(value.trim(), &mut bytes)
            .map_err(|_| TrackSignatureError::Malformed)?;
        Ok(Self(bytes))
    }

    /// Whether one of the secrets makes it over these bytes. Every one is compared, in constant
    /// time, whatever the others gave; an empty secret never matches.
    fn check<'s>(
        &self,
        body: &[u8],
        secrets: impl Iterator<Item = &'s str>,
    ) -> Result<(), TrackSignatureError> {
        let mut found = Choice::from(0);
        for secret in secrets.filter(|secret| !secret.is_empty()) {
            let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else {
                continue;
            };
            mac.update(body);
            found |= mac.finalize().into_bytes().as_slice().ct_eq(&self.0);
        }
        if found.into() {
            Ok(())
        } else {
            Err(TrackSignatureError::Mismatch)
        }
    }
}

/// Whether a path is for product events.
pub(crate) fn is_for(request: &Request) -> bool {
    tenant_under(request, PATH).is_some()
}

impl<Q: IngestQueue, S: SecretSource, C: Clock> Webhook<Q, S, C> {
    pub(crate) async fn track(&self, request: &Request) -> Result<(), Refusal> {
        let now = self.clock.now();
        let tenant = match tenant_under(request, PATH).ok_or(Refusal::NotFound)?? {
            Some(tenant) => tenant,
            None => self.platform.clone(),
        };
        let signature = Signature::of(request)?;
        let body = request.body().ok_or(Refusal::Encoding)?;
        self.verify_track(&tenant, &signature, &body, now).await?;
        let mut events = segment::events(&body)?;
        let all = events.len();
        let received = Timestamp::from_unix(now).unwrap_or_default();
        events.retain(|event| segment::read(event, received.into()).is_some());
        tracing::info!(
            tenant = %tenant,
            events = events.len(),
            ignored = all - events.len(),
            "Product events came."
        );
        if events.is_empty() {
            return Ok(());
        }
        let message = ProductMessage::new(tenant, received, events);
        let message =
            serde_json::to_string(&message).map_err(|error| QueueError::Refused(error.into()))?;
        let message = sendable(message);
        if message.len() > QUEUE_LIMIT_BYTES {
            return Err(Refusal::TooLarge);
        }
        match self.queue.send(message).await {
            Err(QueueError::Refused(_)) => Err(Refusal::TooLarge),
            sent => Ok(sent?),
        }
    }

    /// Whether one of the tenant's secrets signed these bytes. When none in memory fits, they may
    /// have been rotated: they are fetched again, which the cache allows once a minute.
    async fn verify_track(
        &self,
        tenant: &TenantId,
        signature: &Signature,
        body: &[u8],
        now: i64,
    ) -> Result<(), Refusal> {
        let name = format!("webhook/product/{tenant}");
        let secret = self.secrets.get(&name, now).await?;
        let secret = secret.ok_or(Refusal::UnknownTenant)?;
        let secrets = signing_secrets(&secret)?;
        if signature.check(body, secrets.iter()).is_ok() {
            return Ok(());
        }
        let secret = self.secrets.refresh(&name, now).await?;
        let secret = secret.ok_or(TrackSignatureError::Mismatch)?;
        let secrets = signing_secrets(&secret)?;
        Ok(signature.check(body, secrets.iter())?)
    }
}
