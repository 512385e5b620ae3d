//! What the store in memory holds, and its commits: all conditions first, then all writes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use paygraph_domain::account::{Account, CatalogEntry, CatalogKey, Object, ObjectKey, Stored};
use paygraph_domain::alert::subscription::Subscription;
use paygraph_domain::alert::{Alert, AlertId, Channel};
use paygraph_domain::analytics::{Day, Fact};
use paygraph_domain::contact::Contact;
use paygraph_domain::email::{Outbound, Recipient};
use paygraph_domain::fact::Link;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::{Name, Review};
use paygraph_domain::sequence::Enrolment;
use paygraph_domain::user::User;

use super::bursts::BurstState;
use super::effects::Claimed;
use super::shows::Showing;
use crate::alert::{Burst, Unresolved, Whose};
use crate::analytics::Census;
use crate::connection::Connection;
use crate::ports::{
    AuditEntry, Commit, CommitError, ContactWrite, Due, LedgerEntry, Parked, RowChange,
};
use crate::run::{Drift, Failure, Look, Run};
use crate::target::Effect;
use crate::watch::Watch;
use paygraph_domain::time::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) contacts: BTreeMap<(TenantId, CustomerId), Contact>,
    pub(super) accounts: HashMap<(TenantId, StripeCustomerId), Objects>,
    pub(super) stripe_links: HashMap<(TenantId, StripeCustomerId), CustomerId>,
    pub(super) links: BTreeMap<(TenantId, Link), StripeCustomerId>,
    pub(super) names: BTreeSet<(TenantId, Name, CustomerId)>,
    pub(super) reviews: BTreeMap<(TenantId, StripeCustomerId), Review>,
    pub(super) catalog: BTreeMap<(TenantId, String), Stored<CatalogEntry>>,
    pub(super) awaits: BTreeSet<(TenantId, CatalogKey, StripeCustomerId)>,
    pub(super) ledger: HashMap<(TenantId, Cause), (LedgerEntry, bool)>,
    pub(super) audit: Vec<(TenantId, AuditEntry)>,
    /// The links for which a message was parked.
    pub(super) marks: BTreeSet<(TenantId, Link)>,
    /// What waits, by place.
    pub(super) parked: BTreeMap<(TenantId, String), BTreeMap<Cause, Parked>>,
    /// Who is due when, as the table's index has it.
    pub(super) due: BTreeSet<Due>,
    /// Until when each tenant's lease lasts, and its token.
    pub(super) leases: HashMap<TenantId, (Timestamp, u64)>,
    /// What targets claimed and did.
    pub(super) effects: HashMap<(TenantId, Effect), Claimed>,
    /// What the CRM has, by contact.
    pub(super) shows: HashMap<(TenantId, CustomerId), Showing>,
    /// By contact and sequence.
    pub(super) enrolments: BTreeMap<(TenantId, CustomerId, String), Enrolment>,
    /// By the product's own id.
    pub(super) users: BTreeMap<(TenantId, String), User>,
    pub(super) recipients: BTreeMap<(TenantId, String), Recipient>,
    pub(super) outbound: HashMap<(TenantId, CustomerId), Outbound>,
    pub(super) alerts: BTreeMap<(TenantId, AlertId), Alert>,
    pub(super) unresolved: HashMap<(TenantId, Whose), Unresolved>,
    pub(super) subscriptions: BTreeMap<(TenantId, String), Subscription>,
    pub(super) bursts: BTreeMap<(TenantId, Burst), BurstState>,
    /// Each channel's first second that no message has reserved.
    pub(super) channel_seconds: BTreeMap<(TenantId, Channel), Timestamp>,
    pub(super) runs: BTreeMap<(TenantId, String), Run>,
    /// By the object's place among the looks of a run.
    pub(super) looks: BTreeMap<(TenantId, String, (StripeCustomerId, String)), Look>,
    pub(super) failures: BTreeMap<(TenantId, String, String), Failure>,
    /// The hashes of what lists returned, by run and name.
    pub(super) returned: BTreeMap<(TenantId, String, String), Vec<u64>>,
    pub(super) drift: BTreeMap<(TenantId, String, String), Drift>,
    pub(super) watches: HashMap<TenantId, Watch>,
    /// By their instants and events.
    pub(super) facts: BTreeMap<(TenantId, Timestamp, String), Fact>,
    pub(super) censuses: BTreeMap<(TenantId, Day), Census>,
    pub(super) connections: BTreeMap<TenantId, Connection>,
    /// Entries that the bus refuses, each with the reason.
    pub(super) refused: BTreeMap<(TenantId, Cause), String>,
    /// What may be used once, and was.
    pub(super) spent: BTreeSet<(TenantId, String)>,
    pub(super) commits: usize,
    /// How many contacts and due entries were read.
    pub(super) reads: usize,
}

#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) working_set: Account,
    pub(super) beside: BTreeMap<ObjectKey, (u64, Object)>,
}

impl Objects {
    fn rev(&self, key: &ObjectKey) -> u64 {
        if key.is_working_set() {
            self.working_set.rev(key)
        } else {
            self.beside.get(key).map_or(0, |(rev, _)| *rev)
        }
    }
}

impl Inner {
    pub(super) fn check(&self, commit: &Commit) -> Result<(), CommitError> {
        let tenant = &commit.tenant;
        if let Some(entry) = &commit.ledger
            && self
                .ledger
                .contains_key(&(tenant.clone(), entry.cause.clone()))
        {
            return Err(CommitError::Duplicate);
        }
        let contacts = commit.contacts.iter().all(|(id, write)| {
            let key = (tenant.clone(), id.clone());
            self.contacts.get(&key).map_or(0, |contact| contact.version) == write.expected
        });
        let objects = commit.objects.iter().all(|((customer, object), write)| {
            let key = (tenant.clone(), customer.clone());
            let rev = self
                .accounts
                .get(&key)
                .map_or(0, |objects| objects.rev(object));
            rev + 1 == write.rev
        });
        let link = commit.stripe_links.iter().all(|(customer, write)| {
            let key = (tenant.clone(), customer.clone());
            self.stripe_links.get(&key) == write.from.as_ref()
        });
        let catalog = commit.catalog.as_ref().is_none_or(|(key, entry)| {
            let stored = self.catalog.get(&(tenant.clone(), key.sort_key()));
            stored.map_or(0, |stored| stored.rev) + 1 == entry.rev
        });
        let enrolments = commit.enrolments.iter().all(|(key, enrolment)| {
            let held = self.enrolments.get(&enrolment_key(tenant, key));
            held.map_or(0, |held| held.version) + 1 == enrolment.version
        });
        if contacts && objects && link && catalog && enrolments {
            Ok(())
        } else {
            Err(CommitError::Conflict)
        }
    }

    pub(super) fn write(&mut self, commit: &Commit) {
        let tenant = &commit.tenant;
        self.commits += 1;
        if let Some(entry) = &commit.ledger {
            let key = (tenant.clone(), entry.cause.clone());
            self.ledger
                .insert(key, (entry.clone(), entry.outbox.is_empty()));
        }
        for write in commit.contacts.values() {
            self.write_contact(tenant, write);
        }
        for ((customer, key), write) in &commit.objects {
            let objects = self
                .accounts
                .entry((tenant.clone(), customer.clone()))
                .or_default();
            let (rev, object) = (write.rev, write.object.clone());
            if key.is_working_set() {
                objects.working_set.insert(key.clone(), rev, object);
            } else {
                objects.beside.insert(key.clone(), (rev, object));
            }
        }
        for (key, enrolment) in &commit.enrolments {
            let key = enrolment_key(tenant, key);
            self.enrolments.insert(key, enrolment.clone());
        }
        for (customer, write) in &commit.stripe_links {
            self.stripe_links
                .insert((tenant.clone(), customer.clone()), write.to.clone());
        }
        for ((name, contact), change) in &commit.names {
            let row = (tenant.clone(), name.clone(), contact.clone());
            match change {
                RowChange::Put => self.names.insert(row),
                RowChange::Delete => self.names.remove(&row),
            };
        }
        for (customer, review) in &commit.reviews {
            let key = (tenant.clone(), customer.clone());
            match review {
                Some(review) => self.reviews.insert(key, review.clone()),
                None => self.reviews.remove(&key),
            };
        }
        for (link, customer) in &commit.links {
            self.links
                .insert((tenant.clone(), link.clone()), customer.clone());
        }
        for ((key, customer), change) in &commit.awaits {
            let note = (tenant.clone(), key.clone(), customer.clone());
            match change {
                RowChange::Put => self.awaits.insert(note),
                RowChange::Delete => self.awaits.remove(&note),
            };
        }
        if let Some((key, entry)) = &commit.catalog {
            self.catalog
                .insert((tenant.clone(), key.sort_key()), entry.clone());
        }
    }

    /// Writes or removes a contact, and keeps the index of those who are due.
    fn write_contact(&mut self, tenant: &TenantId, write: &ContactWrite) {
        let key = (tenant.clone(), write.contact.id.clone());
        let due = |contact: &Contact| {
            contact.due().map(|at| Due {
                at,
                tenant: tenant.clone(),
                contact: contact.id.clone(),
            })
        };
        let before = self.contacts.get(&key).and_then(due);
        let after = Some(&write.contact).filter(|_| !write.remove).and_then(due);
        if before != after {
            before.iter().for_each(|due| {
                self.due.remove(due);
            });
            self.due.extend(after);
        }
        if write.remove {
            self.contacts.remove(&key);
        } else {
            self.contacts.insert(key, write.contact.clone());
        }
    }
}

fn enrolment_key(
    tenant: &TenantId,
    (contact, sequence): &(CustomerId, String),
) -> (TenantId, CustomerId, String) {
    (tenant.clone(), contact.clone(), sequence.clone())
}
