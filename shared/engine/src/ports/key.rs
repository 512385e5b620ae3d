//! The keys of the items that a commit writes. Every one begins with the tenant.
//!
//! The table's adapter builds its items with them, and the engine counts with them, so that both
//! have the same items.

use paygraph_domain::account::CatalogKey;
use paygraph_domain::fact::Link;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::Name;
use paygraph_domain::time::Timestamp;

use super::{AuditEntry, AuditOwner};

/// The sort key of a contact.
pub const CONTACT: &str = "CONTACT";
/// The sort key of a link that leads to one thing.
pub const LINK: &str = "LINK";
/// The sort key of the mark beside a link for which messages are parked.
pub const PARKED: &str = "PARKED";
/// The sort key of a ledger entry.
pub const EVENT: &str = "EVENT";
/// The sort key of a user.
pub const USER: &str = "USER";
/// What the sort keys of enrolments begin with.
pub const ENROL: &str = "ENROL#";
/// What the sort keys of audit entries begin with.
pub const AUDIT: &str = "AUDIT#";

/// Where a contact stands, with its own audit entries.
#[must_use]
pub fn contact(tenant: &TenantId, id: &CustomerId) -> String {
    format!("T#{tenant}#C#{id}")
}

/// Where everything of a Stripe customer stands.
#[must_use]
pub fn stripe(tenant: &TenantId, customer: &StripeCustomerId) -> String {
    format!("T#{tenant}#S#{customer}")
}

/// Where the link from a Stripe customer to its contact stands.
#[must_use]
pub fn stripe_link(tenant: &TenantId, customer: &StripeCustomerId) -> String {
    format!("T#{tenant}#L#stripe#{customer}")
}

/// Where the link from a charge or payment intent to its Stripe customer stands.
#[must_use]
pub fn link(tenant: &TenantId, link: &Link) -> String {
    match link {
        Link::Charge(id) => format!("T#{tenant}#L#charge#{}", id.key_part()),
        Link::PaymentIntent(id) => format!("T#{tenant}#L#payment_intent#{}", id.key_part()),
    }
}

/// Where the tenant's catalog stands.
#[must_use]
pub fn catalog(tenant: &TenantId) -> String {
    format!("T#{tenant}#CATALOG")
}

/// Where the Stripe customers stand that wait for a catalog entry.
#[must_use]
pub fn awaiting(tenant: &TenantId, key: &CatalogKey) -> String {
    format!("T#{tenant}#AWAITS#{}", key.sort_key())
}

/// Where the ledger entry of a cause stands.
#[must_use]
pub fn ledger(tenant: &TenantId, cause: &Cause) -> String {
    format!("T#{tenant}#E#{cause}")
}

/// Where a user of the product stands.
#[must_use]
pub fn user(tenant: &TenantId, id: &str) -> String {
    format!("T#{tenant}#U#{id}")
}

/// Where messages wait together.
#[must_use]
pub fn parked(tenant: &TenantId, place: &str) -> String {
    format!("T#{tenant}#PARKED#{place}")
}

/// Where the contacts that have a name stand.
#[must_use]
pub fn name(tenant: &TenantId, name: &Name) -> String {
    let (kind, value) = name.parts();
    format!("T#{tenant}#L#{kind}#{value}")
}

/// The sort key of one of them.
#[must_use]
pub fn named(contact: &CustomerId) -> String {
    format!("{LINK}#{contact}")
}

/// Where the Stripe customers stand that somebody should look at.
#[must_use]
pub fn reviews(tenant: &TenantId) -> String {
    format!("T#{tenant}#REVIEW")
}

/// The sort key of a contact's membership in a segment.
#[must_use]
pub fn membership(segment: &str) -> String {
    format!("SEGMENT#{segment}")
}

/// The sort key of a contact's enrolment in a sequence.
#[must_use]
pub fn enrolment(sequence: &str) -> String {
    format!("{ENROL}{sequence}")
}

/// Where an audit entry stands.
#[must_use]
pub fn audit_owner(tenant: &TenantId, owner: &AuditOwner) -> String {
    match owner {
        AuditOwner::Stripe(customer) => stripe(tenant, customer),
        AuditOwner::Contact(id) => contact(tenant, id),
    }
}

/// The sort key of an audit entry. Entries of one second stand in the order in which the contact
/// took them in.
#[must_use]
pub fn audit(entry: &AuditEntry, contact_version: u64) -> String {
    let (at, cause) = (instant(entry.at), &entry.cause);
    format!("{AUDIT}{at}#{contact_version:010}#{cause}")
}

/// An instant as a part of a sort key: it sorts as text.
#[must_use]
pub fn instant(time: Timestamp) -> String {
    format!("{:012}", time.unix().max(0))
}
