//! The table's keys. Every one begins with the tenant, but where it is asked whose a Stripe account
//! is.

use paygraph_domain::alert::{AlertId, Channel, Status};
use paygraph_domain::analytics::Day;
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{Cause, CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_engine::alert::{Burst, Whose};
pub use paygraph_engine::ports::key::{
    AUDIT, CONTACT, ENROL, EVENT, LINK, PARKED, USER, audit, audit_owner, awaiting, catalog,
    contact, enrolment, instant, ledger, link, membership, name, named, parked, reviews, stripe,
    stripe_link, user,
};
use paygraph_engine::ports::{DUE_SHARDS, PENDING_SHARDS};
use paygraph_engine::target::Effect;
use xxhash_rust::xxh3::xxh3_64;

/// The sort key of a tenant's settings.
pub const SETTINGS: &str = "SETTINGS";
/// The sort key of a tenant's connection to Stripe.
pub const CONNECTION: &str = "CONNECTION";
/// Where all Stripe accounts stand that belong to a tenant, by their ids.
pub const ACCOUNTS: &str = "ACCOUNTS";
/// The sort key of what a target did, or is about to.
pub const EFFECT: &str = "EFFECT";
/// The sort key of what is known of an e-mail address.
pub const ADDRESS: &str = "ADDRESS";
/// The sort key of the newest e-mails to a contact.
pub const OUTBOUND: &str = "OUTBOUND";
/// The sort key of what a CRM has of a contact.
pub const CRM: &str = "CRM";
/// The sort key of what was used up.
pub const SPENT: &str = "SPENT";
/// What the sort keys of a working set begin with.
pub const STATE: &str = "STATE#";
/// What the sort keys of the working set's kinds begin with.
pub(crate) const STATE_KINDS: [&str; 6] = [
    "STATE#CUSTOMER",
    "STATE#SUB#",
    "STATE#PM#",
    "STATE#DP#",
    "STATE#DI#",
    "STATE#SS#",
];
/// What the sort keys of invoices begin with.
pub const INVOICE: &str = "INVOICE#";

/// What the sort keys of alerts begin with.
pub const ALERT: &str = "ALERT#";
/// The sort key of a burst of alerts.
pub const BURST: &str = "BURST";
/// The sort key of the seconds of a channel.
pub const SECONDS: &str = "SECONDS";
/// The sort key of somebody's alerts that are not resolved.
pub const UNRESOLVED: &str = "ALERTS";

/// Where everything that is parked can be listed, in the `tenant` index.
#[must_use]
pub fn parked_listing(tenant: &TenantId) -> String {
    format!("T#{tenant}#PARKED")
}

/// Where all contacts can be listed, in the `tenant` index.
#[must_use]
pub fn contact_listing(tenant: &TenantId) -> String {
    format!("T#{tenant}#CONTACTS")
}

/// The tenant's runs.
#[must_use]
pub fn runs(tenant: &TenantId) -> String {
    format!("T#{tenant}#RUNS")
}

/// The lease of the one that works at them.
#[must_use]
pub fn lease(tenant: &TenantId) -> String {
    format!("{}#LEASE", runs(tenant))
}

/// Where the progress of a run over all contacts is noted.
#[must_use]
pub fn run(tenant: &TenantId, run: &str) -> String {
    format!("T#{tenant}#RUN#{run}")
}

/// Where a segment's members are listed, in the `segment` index.
#[must_use]
pub fn segment(tenant: &TenantId, segment: &str) -> String {
    format!("T#{tenant}#G#{segment}")
}

/// The shard of the `due` index that a contact is in.
#[must_use]
pub fn due_shard(tenant: &TenantId, contact: &CustomerId) -> String {
    due(xxh3_64(format!("{tenant}#{contact}").as_bytes()) % DUE_SHARDS)
}

/// A shard of the `due` index.
#[must_use]
pub fn due(shard: u64) -> String {
    format!("D#{shard:02}")
}

/// The shard of the `due` index that a contact's enrolments are in.
#[must_use]
pub fn enrolment_shard(tenant: &TenantId, contact: &CustomerId) -> String {
    due_enrolments(xxh3_64(format!("{tenant}#{contact}").as_bytes()) % DUE_SHARDS)
}

/// A shard of the `due` index for enrolments: no shard of contacts.
#[must_use]
pub fn due_enrolments(shard: u64) -> String {
    format!("Q#{shard:02}")
}

/// Where it is noted that something was used that may be used once.
#[must_use]
pub fn spent(tenant: &TenantId, nonce: &str) -> String {
    format!("T#{tenant}#ONCE#{nonce}")
}

/// Where it is noted that a target did something, or is about to.
#[must_use]
pub fn effect(tenant: &TenantId, effect: &Effect) -> String {
    format!("T#{tenant}#X#{}", effect.as_str())
}

/// Where it stands what is known of an e-mail address, by its hash.
#[must_use]
pub fn address(tenant: &TenantId, hash: &str) -> String {
    format!("T#{tenant}#N#{hash}")
}

/// Where somebody's alerts stand: with the contact, or together.
#[must_use]
pub fn alerts_of(tenant: &TenantId, whose: &Whose) -> String {
    match whose {
        Whose::Contact(id) => contact(tenant, id),
        Whose::Tenant => alert_listing(tenant),
    }
}

/// The sort key of an alert.
#[must_use]
pub fn alert(id: &AlertId) -> String {
    let object = id.object.as_ref().map_or("", |object| object.as_str());
    let (since, kind) = (instant(id.since), id.kind.as_str());
    format!("{ALERT}{since}#{kind}#{object}")
}

/// Where all alerts can be listed, in the `tenant` index.
#[must_use]
pub fn alert_listing(tenant: &TenantId) -> String {
    format!("T#{tenant}#ALERTS")
}

/// Where all alerts of a status can be listed, in the `segment` index.
#[must_use]
pub fn alerts_with(tenant: &TenantId, status: Status) -> String {
    format!("T#{tenant}#ALERTS#{}", status.as_str())
}

/// An alert's place in both of these lists: by when it was raised.
#[must_use]
pub fn alert_place(id: &AlertId, raised_at: Timestamp) -> String {
    format!("{}#{id}", instant(raised_at))
}

/// Where a burst of alerts stands.
#[must_use]
pub fn burst(tenant: &TenantId, burst: &Burst) -> String {
    format!("T#{tenant}#BURST#{}", burst.name())
}

/// The sort key of an alert in a burst's digest.
#[must_use]
pub fn burst_alert(id: &AlertId) -> String {
    format!("{ALERT}{id}")
}

/// Where the seconds of a channel stand, each for one message.
#[must_use]
pub fn channel(tenant: &TenantId, channel: Channel) -> String {
    format!("T#{tenant}#CHANNEL#{}", channel.as_str())
}

/// Where it stands what people asked to be told.
#[must_use]
pub fn subscriptions(tenant: &TenantId) -> String {
    format!("T#{tenant}#SUBSCRIPTIONS")
}

/// Where a tenant's settings and its connection to Stripe stand.
#[must_use]
pub fn tenant(tenant: &TenantId) -> String {
    format!("T#{tenant}")
}

/// Where what happened in the month of a day stands, by instants and events.
#[must_use]
pub fn facts(tenant: &TenantId, day: Day) -> String {
    format!("T#{tenant}#FACTS#{}", day.month())
}

/// Where a tenant's figures stand, by their days.
#[must_use]
pub fn days(tenant: &TenantId) -> String {
    format!("T#{tenant}#DAYS")
}

/// Where a tenant's last processed event is noted.
#[must_use]
pub fn health(tenant: &TenantId) -> String {
    format!("T#{tenant}#HEALTH")
}

/// Where an API token stands, by its hash.
#[must_use]
pub fn token(tenant: &TenantId, hash: &str) -> String {
    format!("T#{tenant}#TOKEN#{hash}")
}

/// A contact's place in the listing of all: by its lifetime value in the currency in which that is
/// most, as text that sorts, then by its id.
#[must_use]
pub fn by_worth(contact: &Contact) -> String {
    let worth = contact.lifetime_value();
    let most = worth.iter().map(|(_, minor)| minor).max().unwrap_or(0);
    format!("{:019}#{}", most.max(0), contact.id)
}

/// The shard of the `pending` index that a cause is in.
#[must_use]
pub fn pending_shard(cause: &Cause) -> String {
    pending(xxh3_64(cause.as_str().as_bytes()) % PENDING_SHARDS)
}

/// A shard of the `pending` index.
#[must_use]
pub fn pending(shard: u64) -> String {
    format!("P#{shard:02}")
}

#[cfg(test)]
mod tests {
    use paygraph_domain::account::CatalogKey;
    use paygraph_domain::id::StripeCustomerId;

    use super::*;

    #[test]
    fn the_tenant_is_in_every_key_and_times_sort() {
        let a = TenantId::parse("a").unwrap();
        let cause = Cause::parse("evt_1").unwrap();
        let customer = StripeCustomerId::parse("cus_1").unwrap();
        for key in [
            contact(&a, &customer.clone().into()),
            user(&a, "u1"),
            stripe(&a, &customer),
            stripe_link(&a, &customer),
            catalog(&a),
            awaiting(
                &a,
                &CatalogKey::Coupon(paygraph_domain::id::StripeId::parse("TENTH").unwrap()),
            ),
            ledger(&a, &cause),
            parked(&a, "too_large"),
            parked_listing(&a),
            contact_listing(&a),
            segment(&a, "churned"),
            run(&a, "r1"),
            health(&a),
            token(&a, "00"),
            effect(&a, &Effect::new("alert", "evt_1#0")),
            alerts_of(&a, &Whose::Tenant),
            alerts_of(&a, &Whose::Contact(customer.clone().into())),
            alert_listing(&a),
            alerts_with(&a, Status::Open),
            subscriptions(&a),
            burst(
                &a,
                &Burst::of(
                    Channel::Slack,
                    paygraph_domain::alert::Kind::Drift,
                    Timestamp::default(),
                ),
            ),
            channel(&a, Channel::Slack),
            facts(&a, Day::parse("2026-11-21").unwrap()),
            days(&a),
        ] {
            assert!(key.starts_with("T#a#"), "{key}");
        }
        assert_ne!(due(3), due_enrolments(3));
        let at = |seconds| instant(Timestamp::from_unix(seconds).unwrap());
        assert!(at(999_999_999) < at(1_000_000_000));
    }
}
