//! A message of product events, one after the other.

use paygraph_domain::id::TenantId;
use paygraph_domain::product::ProductEvent;
use paygraph_domain::product::message::{ProductMessage, UnreadableMessage};
use paygraph_engine::Deadline;
use paygraph_engine::fetch::Fetch;
use paygraph_engine::identity::IdentityError;
use paygraph_engine::ports::{Clock, LedgerEntry, Store};
use paygraph_engine::process::Engine;
use paygraph_engine::user::Users;
use paygraph_runtime::telemetry::Chain;

/// The events of one message.
pub struct ProductBatch {
    tenant: TenantId,
    pub events: Vec<ProductEvent>,
    ignored: usize,
    /// Messages of one group are taken one after the other.
    pub group: String,
}

impl ProductBatch {
    /// Reads a message of product events; none when it is of another kind, and what is wrong with it
    /// when it cannot be read.
    pub fn read(body: &str) -> Option<Result<Self, String>> {
        let message = ProductMessage::read(body).transpose()?;
        let read = message.and_then(Self::new);
        Some(read.map_err(|error| Chain(&error).to_string()))
    }

    fn new(message: ProductMessage) -> Result<Self, UnreadableMessage> {
        let events = message.say()?;
        let first = events.first();
        let about = first.and_then(|event| event.workspace.as_ref().or(event.user.as_ref()));
        let about = about.map_or("", String::as_str);
        Ok(Self {
            group: format!("{}#product#{about}", message.tenant),
            ignored: message.events.len() - events.len(),
            events,
            tenant: message.tenant,
        })
    }

    /// Takes the events in. Gives the entries whose outboxes are to be published.
    pub async fn process<S: Store + Users, C: Clock, F: Fetch>(
        &self,
        engine: &Engine<S, C, F>,
        deadline: Deadline,
    ) -> Result<Vec<LedgerEntry>, IdentityError> {
        let mut entries = Vec::new();
        for event in &self.events {
            entries.extend(engine.hear(&self.tenant, event, deadline).await?);
        }
        tracing::info!(
            tenant = %self.tenant,
            events = self.events.len(),
            ignored = self.ignored,
            written = entries.len(),
            "Product events were processed"
        );
        Ok(entries)
    }
}
