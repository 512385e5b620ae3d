//! Whom an event is about, read from the contact as it is now.

use paygraph_domain::contact::Contact;
use paygraph_domain::decline::{Decline, DeclineKind};
use paygraph_domain::id::{CustomerId, StripeId};
use paygraph_domain::settings::Settings;
use paygraph_engine::envelope::Envelope;
use paygraph_runtime::config::GreenlightEntity;
use serde_json::Value;

/// Whom an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whom {
    /// What stands for the customer.
    pub entity: String,
    /// The tier of what was bought, where the event names a price; else the contact's.
    pub tier: String,
    /// Why the invoice that the event is about was declined, if that is known by now: Stripe may tell
    /// of the charge after the invoice.
    pub decline: Option<String>,
    /// Whether the same payment method may still pay: `hard` or `soft`.
    pub decline_kind: Option<&'static str>,
}

impl Whom {
    /// Reads it from the contact, if there is one.
    #[must_use]
    pub fn of(
        event: &Envelope,
        contact: Option<&Contact>,
        settings: &Settings,
        entity: GreenlightEntity,
    ) -> Self {
        let email = match entity {
            GreenlightEntity::Email => contact.and_then(Contact::email),
            GreenlightEntity::CustomerId => None,
        };
        let id = event.customer_id.as_ref().map(CustomerId::as_str);
        let own = || contact.map(|contact| contact.billing(settings).tier);
        let tier = bought(event, settings).or_else(own);
        let invoice = event.data.get("invoice").and_then(Value::as_str);
        let decline = contact.zip(invoice);
        let decline = decline.and_then(|(contact, invoice)| declined(contact, invoice));
        let kind = decline.and_then(Decline::kind);
        Self {
            decline_kind: kind.map(DeclineKind::as_str),
            entity: email.or(id).unwrap_or("unknown").to_owned(),
            tier: tier.unwrap_or_else(|| settings.default_tier.clone()),
            decline: decline.and_then(|decline| decline.code.clone()),
        }
    }
}

/// The tier of the first price that an event names. (Of a checkout the contact may not know yet what
/// came of it.)
fn bought(event: &Envelope, settings: &Settings) -> Option<String> {
    let prices = event.data.get("prices")?.as_array()?;
    let mut prices = prices.iter().filter_map(Value::as_str);
    let price = StripeId::parse(prices.next()?).ok()?;
    let of = settings.tier_of(&price, None)?;
    Some(of.tier.clone())
}

/// Why an invoice that is still open was declined last.
fn declined<'a>(contact: &'a Contact, invoice: &str) -> Option<&'a Decline> {
    let mut open = contact
        .accounts
        .values()
        .flat_map(|rollup| rollup.totals.open_invoices());
    open.find(|open| open.id.as_str() == invoice)?.decline()
}
