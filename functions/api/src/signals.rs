//! What is wrong with a customer, and how healthy that leaves it.

use lambda_http::{Body, Response};
use paygraph_engine::ports::Store as _;
use serde_json::json;

use crate::answer::{ApiError, ok};
use crate::customer::Ask;

impl Ask<'_> {
    /// `GET /api/stripe/signals/{id}`: the risk signals and the health score, as of now.
    pub async fn signals(&self) -> Result<Response<Body>, ApiError> {
        let contact = self.contact().await?;
        let settings = self.store.settings(self.tenant).await?;
        let standing = contact.standing(&contact.billing(&settings), &settings, self.now);
        ok(&json!({
            "customer_id": contact.id,
            "data": standing.signals,
            "health_score": standing.health,
            "health_reasons": standing.reasons,
        }))
    }
}
