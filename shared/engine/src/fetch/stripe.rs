//! Stripe's API as the engine asks it.

use paygraph_domain::id::{Cause, TenantId, path_segment};
use paygraph_runtime::secrets::SecretSource;
use paygraph_stripe::client::{Client, ClientError, ConnectionError, Connections, Received};

use super::{Fetch, Fetched, LONGEST_FETCH, Wanted};
use crate::ports::StoreError;

impl Wanted {
    /// Where it is, and which fields are to be objects: at most four levels, as Stripe allows
    /// (<https://docs.stripe.com/expand#how-it-works>).
    fn place(&self) -> (String, &'static [&'static str]) {
        let (folder, id): (_, &str) = match self {
            Self::Customer(id) => ("customers", id.as_str()),
            Self::Subscription(id) => ("subscriptions", id.as_str()),
            Self::Invoice(id) => ("invoices", id.as_str()),
            Self::PaymentMethod(id) => ("payment_methods", id.as_str()),
            Self::Dispute(id) => ("disputes", id.as_str()),
            Self::Checkout(id) => ("checkout/sessions", id.as_str()),
            Self::Price(id) => ("prices", id.as_str()),
            Self::Coupon(id) => ("coupons", id.as_str()),
        };
        let expand: &[&str] = match self {
            Self::Customer(_) => &[
                "default_source",
                "discount.source.coupon.applies_to",
                "discount.source.coupon.currency_options",
            ],
            Self::Subscription(_) => &[
                "discounts.source.coupon.applies_to",
                "discounts.source.coupon.currency_options",
                "items.data.discounts",
                "items.data.price.tiers",
                "items.data.price.currency_options",
            ],
            Self::Checkout(_) => &["line_items"],
            Self::Price(_) => &["tiers", "currency_options"],
            Self::Coupon(_) => &["applies_to", "currency_options"],
            Self::Invoice(_) | Self::PaymentMethod(_) | Self::Dispute(_) => &[],
        };
        (format!("/{folder}/{}", path_segment(id)), expand)
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

/// An event of the last 30 days; none when it is not there.
pub(crate) async fn ask_event(client: &Client, id: &Cause) -> Result<Option<String>, ClientError> {
    let path = format!("/events/{}", path_segment(id.as_str()));
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

    async fn renewed(
        &self,
        tenant: &TenantId,
        refused: &Client,
    ) -> Result<Option<Client>, StoreError> {
        Self::renewed(self, tenant, refused).await.map_err(no_key)
    }
}

/// A failure to find a tenant's key.
pub(crate) fn no_key(error: ConnectionError) -> StoreError {
    StoreError {
        context: "finding the tenant's key".to_owned(),
        retry: true,
        source: Some(error.into()),
    }
}

async fn client<S: SecretSource + Send + Sync>(
    connections: &Connections<S>,
    tenant: &TenantId,
) -> Result<Option<Client>, StoreError> {
    connections.client(tenant).await.map_err(no_key)
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
