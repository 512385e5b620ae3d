//! What waits for a connection to Stripe, and for nothing else: once there is one, it goes into the
//! ingest queue again.

use paygraph_domain::id::{StripeId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_stripe::ingest::{EventPointer, IngestContent, IngestMessage};

use super::Ingest;
use super::watcher::{KEPT, Watcher};
use crate::fetch::Fetch;
use crate::ports::{Clock, ParkReason, Parked, Publisher, Store, StoreError, UNCONNECTED};

impl<S: Store, C: Clock, F: Fetch, P: Publisher, I: Ingest> Watcher<'_, S, C, F, P, I> {
    /// Puts into the ingest queue what came before the tenant's account was connected, and what
    /// could not be fetched from Stripe when it came, as long as Stripe still has it. Gives how much
    /// it was.
    pub(super) async fn release(
        &self,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let store = &self.engine.store;
        let mut waiting = store.parked(tenant, &ParkReason::TooLarge.place()).await?;
        waiting.retain(|parked| parked.parked_at.plus(KEPT) > now);
        if let Some(account) = &self.account {
            let reason = ParkReason::UnknownAccount(account.to_string());
            let nobody = TenantId::parse(UNCONNECTED).map_err(unusable)?;
            waiting.extend(store.parked(&nobody, &reason.place()).await?);
        }
        for parked in &waiting {
            // Whoever dies in between puts it there twice, which changes nothing.
            let body = message(tenant, self.account.as_ref(), parked).map_err(unusable)?;
            self.ingest.ingest(&body).await?;
            store.unpark(parked).await?;
            tracing::info!(code = "released", event.id = %parked.cause, %tenant, "An event that waited is taken in");
        }
        Ok(waiting.len())
    }
}

/// The message again, as the webhook would write it now.
fn message(
    tenant: &TenantId,
    account: Option<&StripeId>,
    parked: &Parked,
) -> Result<String, serde_json::Error> {
    let content = if parked.event.is_empty() {
        IngestContent::Pointer(EventPointer {
            id: parked.cause.clone(),
            event_type: "unknown".to_owned(),
            created: parked.parked_at,
        })
    } else {
        IngestContent::Event(serde_json::from_str(&parked.event)?)
    };
    let message = IngestMessage {
        tenant: Some(tenant.clone()),
        account: account.cloned(),
        received_at: parked.parked_at,
        content,
    };
    message.to_body()
}

fn unusable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError {
        context: "reading what waited".to_owned(),
        retry: false,
        source: Some(error.into()),
    }
}
