//! What is wrong with the tenant's webhook endpoint at Stripe.

use paygraph_domain::id::TenantId;
use paygraph_stripe::client::{Client, ClientError};

use super::Reasons;
use crate::connect::endpoint::Endpoint;

/// What is wrong with the endpoint, whoever made it. Nothing can be said of one that the key may not
/// see: an account that was connected by OAuth sends to the platform's, which is watched for the
/// platform's own tenant.
pub(super) async fn reasons(
    client: &Client,
    tenant: &TenantId,
    known: Option<&str>,
) -> Result<Reasons, ClientError> {
    let endpoints = match Endpoint::all(client).await {
        Err(ClientError::Forbidden { .. }) => return Ok(Reasons::new()),
        endpoints => endpoints?,
    };
    let of_tenant = |endpoint: &&Endpoint| known == Some(&endpoint.id) || endpoint.sends_to(tenant);
    let ours = endpoints.iter().filter(of_tenant);
    let mut reasons = Reasons::new();
    let mut tell = |kind: &str, words: String| reasons.insert(kind.to_owned(), words);
    let Some(endpoint) = ours.max_by_key(|endpoint| endpoint.is_enabled()) else {
        if known.is_some() {
            tell("deleted", "the endpoint was deleted".to_owned());
        }
        return Ok(reasons);
    };
    if !endpoint.is_enabled() {
        tell("disabled", "the endpoint is disabled".to_owned());
    }
    let missing = endpoint.missing_events();
    if !missing.is_empty() {
        let words = format!("event types are not sent: {}", missing.join(", "));
        tell("missing_event_types", words);
    }
    Ok(reasons)
}
