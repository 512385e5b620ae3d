//! Stripe's API as the engine asks it.

use paygraph_domain::id::{Cause, TenantId};
use paygraph_runtime::secrets::SecretSource;
use paygraph_stripe::client::{Client, ClientError, Connections, Received};

use super::{Fetch, Fetched, Wanted};
use crate::ports::StoreError;

impl Wanted {
    /// Where it is, and which fields are to be objects: at most four levels, as Stripe allows.
    fn place(&self) -> (String, &'static [&'static str]) {
        match self {
            Self::Customer(id) => (format!("/customers/{id}"), &["discount.source.coupon"]),
            Self::Subscription(id) => (
                format!("/subscriptions/{id}"),
                &[
                    "discounts.source.coupon",
                    "items.data.discounts",
                    "items.data.price.tiers",
                ],
            ),
            Self::Invoice(id) => (format!("/invoices/{id}"), &[]),
            Self::PaymentMethod(id) => (format!("/payment_methods/{id}"), &[]),
            Self::Dispute(id) => (format!("/disputes/{id}"), &[]),
        }
    }
}

impl<S: SecretSource + Send + Sync> Fetch for Connections<S> {
    async fn fetch(
        &self,
        tenant: &TenantId,
        wanted: &Wanted,
    ) -> Result<Option<Fetched>, StoreError> {
        let (path, expand) = wanted.place();
        let answer = match client(self, tenant).await? {
            Some(client) => answered(client.whole(&path, expand).await),
            None => None,
        };
        Ok(answer.map(|received| Fetched {
            object: received.value,
            since: received.since,
            until: received.until,
        }))
    }

    async fn event(&self, tenant: &TenantId, id: &Cause) -> Result<Option<String>, StoreError> {
        let answer = match client(self, tenant).await? {
            Some(client) => answered(client.get(&format!("/events/{id}"), &[]).await),
            None => None,
        };
        Ok(answer.map(|received| received.value.get().to_owned()))
    }
}

async fn client<S: SecretSource + Send + Sync>(
    connections: &Connections<S>,
    tenant: &TenantId,
) -> Result<Option<Client>, StoreError> {
    connections
        .client(tenant)
        .await
        .map_err(|error| StoreError {
            context: "finding the tenant's key".to_owned(),
            retry: true,
            source: Some(error.into()),
        })
}

/// What came; none when it is not there. What cannot be asked now stays marked, and the next
/// comparison with Stripe settles it: an event never waits for Stripe's API to come back.
fn answered<T>(answer: Result<Received<T>, ClientError>) -> Option<Received<T>> {
    match answer {
        Ok(received) => Some(received),
        Err(ClientError::Missing(_)) => None,
        Err(error) => {
            tracing::error!(code = "not_fetched", error = %error, "Stripe could not be asked");
            None
        }
    }
}
