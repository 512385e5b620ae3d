//! Imports and comparisons with Stripe: how far they are, and what they found.

use lambda_http::{Body, Response};
use paygraph_domain::id::TenantId;
use paygraph_engine::ports::Runs as _;
use paygraph_engine::run::Run;
use paygraph_store::DynamoStore;
use paygraph_store::listing::List;
use serde_json::{Value, json};

use crate::answer::{ApiError, ok};
use crate::customer::Part;

/// `GET /api/stripe/reconciliations`: every run, the newest first.
pub async fn runs(
    store: &DynamoStore,
    tenant: &TenantId,
    part: &Part,
) -> Result<Response<Body>, ApiError> {
    let (limit, cursor) = part.read_in(List::Runs)?;
    let page = store.runs(tenant, cursor.as_ref(), limit).await?;
    let data: Vec<Value> = page.entries.iter().map(Run::shown).collect();
    let next = page.next.map(|cursor| cursor.encode());
    ok(&json!({ "data": data, "next_cursor": next }))
}

/// `GET /api/stripe/reconciliations/{id}`: one run with the drift that it found, the gravest first.
pub async fn report(
    store: &DynamoStore,
    tenant: &TenantId,
    id: &str,
) -> Result<Response<Body>, ApiError> {
    let run = store.run(tenant, id).await?;
    let run = run.ok_or_else(|| ApiError::NoRun(id.to_owned()))?;
    let drift = store.drift(&run).await?;
    ok(&run.report(&drift))
}
