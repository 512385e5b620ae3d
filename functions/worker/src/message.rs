//! A message of the queue, read as far as it can be.

use aws_lambda_events::sqs::SqsMessage;
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::connection::Deauthorized;
use paygraph_runtime::telemetry::Chain;
use paygraph_stripe::decode::about;
use paygraph_stripe::event::StripeEvent;
use paygraph_stripe::ingest::{IngestContent, IngestMessage};

use crate::product::ProductBatch;

/// A message of the batch, as far as it could be read.
pub struct Record<'a> {
    /// Its place in the batch.
    pub place: usize,
    /// Its text.
    pub body: &'a str,
    /// The message, or what is wrong with it.
    pub read: Result<Read<'a>, String>,
}

/// A message, by its kind.
pub enum Read<'a> {
    /// An event of Stripe's.
    Stripe(Message<'a>),
    /// Events of the product.
    Product(ProductBatch),
}

impl Read<'_> {
    /// Messages of one group are taken one after the other.
    pub fn group(&self) -> &str {
        match self {
            Self::Stripe(message) => &message.group,
            Self::Product(batch) => &batch.group,
        }
    }

    /// When it happened.
    pub fn created(&self) -> Option<Timestamp> {
        match self {
            Self::Stripe(message) => message.created,
            Self::Product(batch) => batch.events.first().map(|event| event.at.second()),
        }
    }
}

/// An event of Stripe's, as the webhook handed it on.
pub struct Message<'a> {
    pub ingest: IngestMessage<'a>,
    created: Option<Timestamp>,
    /// What it ends, if it is an account's word that paygraph may not read it any more.
    pub deauthorized: Option<Deauthorized>,
    group: String,
}

/// Reads a message of the queue.
pub fn read(place: usize, message: &SqsMessage) -> Record<'_> {
    let body = message.body.as_deref().unwrap_or_default();
    let read = match ProductBatch::read(body) {
        Some(product) => product.map(Read::Product),
        None => read_event(place, body).map(Read::Stripe),
    };
    Record { place, body, read }
}

fn read_event(place: usize, body: &str) -> Result<Message<'_>, String> {
    let read = IngestMessage::parse(body).map_err(|error| Chain(&error).to_string());
    read.map(|ingest| {
        let event = match &ingest.content {
            IngestContent::Event(event) => StripeEvent::parse(event.get()).ok(),
            IngestContent::Pointer(_) => None,
        };
        let created = event.as_ref().map(|event| event.created);
        let customer = event.as_ref().and_then(|event| about(event).customer);
        let deauthorized = event.as_ref().and_then(Deauthorized::of);
        let tenant = ingest.tenant.as_ref().map_or("", TenantId::as_str);
        let group = match customer {
            Some(customer) => format!("{tenant}#{customer}"),
            None => format!("{tenant}##{place}"),
        };
        Message {
            ingest,
            created,
            deauthorized,
            group,
        }
    })
}
