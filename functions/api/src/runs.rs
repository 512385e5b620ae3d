//! Imports and comparisons with Stripe: how far they are, and what they found.

use lambda_http::{Body, Response};
use paygraph_domain::id::TenantId;
use paygraph_engine::ports::Runs as _;
use paygraph_engine::run::{Outcome, Run};
use paygraph_store::DynamoStore;
use serde_json::{Value, json};

use crate::answer::{ApiError, ok};
use crate::customer::Part;

/// `GET /api/stripe/reconciliations`: every run, the newest first.
pub async fn runs(
    store: &DynamoStore,
    tenant: &TenantId,
    part: &Part,
) -> Result<Response<Body>, ApiError> {
    let (limit, cursor) = part.read()?;
    let page = store.runs(tenant, cursor.as_ref(), limit).await?;
    let data: Vec<Value> = page.entries.iter().map(shown).collect();
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
    let healed = drift
        .iter()
        .filter(|drift| drift.outcome == Outcome::Healed);
    let mut report = shown(&run);
    if let Some(fields) = report.as_object_mut() {
        fields.insert("healed".to_owned(), json!(healed.count()));
        fields.insert("drift".to_owned(), json!(drift));
    }
    ok(&report)
}

fn shown(run: &Run) -> Value {
    json!({
        "id": run.id,
        "job": run.job,
        "dry_run": run.scope.dry_run,
        "recent": run.scope.recent,
        "started_at": run.started_at.to_string(),
        "noted_at": run.noted_at.to_string(),
        "stage": run.stage,
        "complete": run.is_complete(),
        "done_percent": run.share_done() / 10,
        "problem": run.problem,
        "checked": run.counts.checked(),
        "objects": run.counts.objects,
        "changed": run.counts.committed,
        "differed": run.counts.differed,
        "in_flight": run.counts.in_flight,
        "failed": run.counts.failed,
    })
}
