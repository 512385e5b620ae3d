//! Stripe's API as the engine asks it.

use paygraph_domain::id::{Cause, StripeId, TenantId};
use paygraph_runtime::secrets::SecretSource;
use paygraph_stripe::client::{Client, ClientError, Connections, Received};

use super::{Fetch, Fetched, LONGEST_FETCH, Wanted};
use crate::ports::StoreError;

impl Wanted {
    /// Where it is, and which fields are to be objects: at most four levels, as Stripe allows.
    fn place(&self) -> (String, &'static [&'static str]) {
        match self {
            Self::Customer(id) => (
                format!("/customers/{id}"),
                &["discount.source.coupon.applies_to"],
            ),
            Self::Subscription(id) => (
                format!("/subscriptions/{id}"),
                &[
                    "discounts.source.coupon.applies_to",
                    "items.data.discounts",
                    "items.data.price.tiers",
                ],
            ),
            Self::Invoice(id) => (format!("/invoices/{id}"), &[]),
            Self::PaymentMethod(id) => (format!("/payment_methods/{id}"), &[]),
            Self::Dispute(id) => (format!("/disputes/{id}"), &[]),
            Self::Checkout(id) => (format!("/checkout/sessions/{id}"), &["line_items"]),
            Self::Coupon(id) => (format!("/coupons/{}", part(id)), &["applies_to"]),
        }
    }
}

/// The object as it is now; none when it is not there.
pub(crate) async fn ask(client: &Client, wanted: &Wanted) -> Result<Option<Fetched>, ClientError> {
    // A batch has many messages, and each would wait as long again.
    if client.is_silent() {
        let told = "not asked, since it did not answer a moment ago";
        return Err(ClientError::Unavailable(told.to_owned()));
    }
    let (path, expand) = wanted.place();
    let answer = found(soon(client, client.whole(&path, expand)).await)?;
    Ok(answer.map(|received| Fetched {
        object: received.value,
        since: received.since,
        until: received.until,
    }))
}

/// An answer within [`LONGEST_FETCH`].
async fn soon<T>(
    client: &Client,
    answer: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let answer = tokio::time::timeout(LONGEST_FETCH, answer).await;
    answer.unwrap_or_else(|_| {
        client.fell_silent();
        let told = format!("no answer within {} s", LONGEST_FETCH.as_secs());
        Err(ClientError::Unavailable(told))
    })
}

/// A part of a path: people choose the ids of their coupons.
fn part(id: &StripeId) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let bytes = id.as_str().bytes();
    bytes
        .map(|byte| match plain(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// An event of the last 30 days; none when it is not there.
pub(crate) async fn ask_event(client: &Client, id: &Cause) -> Result<Option<String>, ClientError> {
    let path = format!("/events/{id}");
    let answer = found(soon(client, client.get(&path, &[])).await)?;
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
            Some(client) => answered(passing(ask_event(&client, id).await)?),
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

/// Stripe's answer for what cannot be done without: one that is to be waited for is an error.
pub(crate) fn passing<T>(
    answer: Result<T, ClientError>,
) -> Result<Result<T, ClientError>, StoreError> {
    match answer {
        Err(error) if error.is_passing() => Err(StoreError {
            context: "asking Stripe for an event".to_owned(),
            retry: true,
            source: Some(error.into()),
        }),
        answer => Ok(answer),
    }
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
