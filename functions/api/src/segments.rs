//! Segments: what there are, and who is in them.

use futures::future::try_join_all;
use lambda_http::{Body, Response};
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::Store as _;
use paygraph_store::DynamoStore;
use paygraph_store::listing::List;
use serde_json::json;

use crate::answer::{ApiError, ok};
use crate::customer::{Part, records};

/// `GET /api/segments`: every segment with its condition and how many are in it.
pub async fn segments(store: &DynamoStore, tenant: &TenantId) -> Result<Response<Body>, ApiError> {
    let settings = store.settings(tenant).await?;
    let each = settings.segments.iter().map(async |(name, segment)| {
        let counted = store.count_members(tenant, name).await?;
        Ok::<_, ApiError>(json!({
            "name": name,
            "description": segment.description,
            "condition": segment.when,
            "members": counted.members,
            "more_members": counted.more,
        }))
    });
    ok(&json!({ "data": try_join_all(each).await? }))
}

/// `GET /api/segments/{name}/members`: the customers in it, by id.
pub async fn members(
    store: &DynamoStore,
    tenant: &TenantId,
    name: &str,
    part: &Part,
    now: Timestamp,
) -> Result<Response<Body>, ApiError> {
    let settings = store.settings(tenant).await?;
    if settings.segments.get(name).is_none() {
        return Err(ApiError::NoSegment(name.to_owned()));
    }
    let (limit, cursor) = part.read_in(List::Members)?;
    let page = store.members(tenant, name, cursor.as_ref(), limit).await?;
    let mut contacts = store.contacts(tenant, &page.entries).await?;
    // The index may still have one that has left.
    contacts.retain(|contact| contact.told.segments.contains(name));
    ok(&json!({
        "data": records(store, tenant, &contacts, now).await?,
        "next_cursor": page.next.map(|cursor| cursor.encode()),
    }))
}
