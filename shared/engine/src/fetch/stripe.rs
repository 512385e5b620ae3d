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

/// The object as it is now; none when it is not there.
pub(crate) async fn ask(client: &Client, wanted: &Wanted) -> Result<Option<Fetched>, ClientError> {
    let (path, expand) = wanted.place();
    let answer = found(client.whole(&path, expand).await)?;
    Ok(answer.map(|received| Fetched {
        object: received.value,
        since: received.since,
        until: received.until,
    }))
}

/// An event of the last 30 days; none when it is not there.
pub(crate) async fn ask_event(client: &Client, id: &Cause) -> Result<Option<String>, ClientError> {
    let answer = found(client.get(&format!("/events/{id}"), &[]).await)?;
    Ok(answer.map(|received| received.value.get().to_owned()))
}

impl<S: SecretSource + Send + Sync> Fetch for Connections<S> {
    async fn fetch(
        &self,
        tenant: &TenantId,
        wanted: &Wanted,
    ) -> Result<Option<Fetched>, StoreError> {
        Ok(match client(self, tenant).await? {
            Some(client) => answered(ask(&client, wanted).await),
            None => None,
        })
    }

    async fn event(&self, tenant: &TenantId, id: &Cause) -> Result<Option<String>, StoreError> {
        Ok(match client(self, tenant).await? {
            Some(client) => answered(ask_event(&client, id).await),
            None => None,
        })
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

fn found<T>(answer: Result<Received<T>, ClientError>) -> Result<Option<Received<T>>, ClientError> {
    match answer {
        Err(ClientError::Missing(_)) => Ok(None),
        answered => answered.map(Some),
    }
}

/// What came, if anything. What cannot be asked now stays marked, and the next comparison with
/// Stripe settles it: an event never waits for Stripe's API to come back.
fn answered<T>(answer: Result<Option<T>, ClientError>) -> Option<T> {
    answer.unwrap_or_else(|error| {
        tracing::error!(code = "not_fetched", error = %error, "Stripe could not be asked");
        None
    })
}
