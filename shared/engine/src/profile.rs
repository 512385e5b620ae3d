//! What the tenant itself says of a contact.

use paygraph_domain::contact::{Contact, Profile};
use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, CustomerId, TenantId};

use crate::backoff::{Deadline, pause};
use crate::ports::{AuditEntry, AuditOwner, Clock, Commit, CommitError, ContactWrite, Store};

/// Merges the given fields into a contact, which is made if there is none.
///
/// It never links or unlinks a Stripe customer.
///
/// # Errors
/// [`CommitError`] when the store failed, or others changed the contact until the deadline.
pub async fn put_profile<S: Store, C: Clock>(
    store: &S,
    clock: &C,
    tenant: &TenantId,
    id: &CustomerId,
    given: &Profile,
    cause: Cause,
    deadline: Deadline,
) -> Result<Contact, CommitError> {
    let settings = store.settings(tenant).await?;
    let mut attempt = 0;
    loop {
        let loaded = store.contact(tenant, id).await?;
        let mut contact = loaded.unwrap_or_else(|| Contact::new(id.clone()));
        let (expected, segments) = (contact.version, contact.told.segments.clone());
        let now = contact.evaluated_at;
        let outcome = contact.merge_profile(given.clone(), &settings, now);
        if expected > 0 && outcome.changes.is_empty() && contact.profile.as_ref() == Some(given) {
            return Ok(contact);
        }
        let mut commit = Commit::new(tenant.clone());
        commit.audit = (!outcome.changes.is_empty()).then(|| AuditEntry {
            owner: AuditOwner::Contact(id.clone()),
            at: clock.now(),
            source: Source::Api,
            cause: cause.clone(),
            changes: outcome.changes,
        });
        let write = ContactWrite::new(contact.clone(), expected, &segments, false);
        commit.contacts.push(write);
        match store.commit(&commit).await {
            Ok(()) => return Ok(contact),
            Err(CommitError::Conflict) if deadline.has_time() => {
                attempt += 1;
                pause(attempt).await;
            }
            Err(error) => return Err(error),
        }
    }
}
