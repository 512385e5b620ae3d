//! What is known of a contact beside Stripe: the tenant's own fields, product events, and that
//! somebody was in touch.

use paygraph_domain::contact::{self, Contact, Profile};
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::identity::names;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

use super::{Changed, IdentityError, Outcome, Planned, Request, Wish};
use crate::backoff::Deadline;
use crate::fetch::Fetch;
use crate::ports::{Clock, Commit, ContactWrite, LedgerEntry, Store, row_changes};
use crate::process::Engine;
use crate::tick::cause_about;

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Merges the given fields into a contact, which is made if there is none.
    ///
    /// It never links or unlinks a Stripe customer.
    ///
    /// # Errors
    /// [`IdentityError`]; nothing is half done.
    pub async fn put_profile(
        &self,
        request: &Request<'_>,
        id: &CustomerId,
        given: &Profile,
    ) -> Result<Changed, IdentityError> {
        self.repeat(request, &Wish::Put(id, given)).await
    }

    /// Somebody was in touch with a contact, by e-mail or as a CRM tells. Once that or something
    /// later is known, nothing is computed or written; nor is of a contact that is gone.
    ///
    /// # Errors
    /// [`IdentityError`]; nothing is half done.
    pub async fn contacted(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
        at: Timestamp,
        deadline: Deadline,
    ) -> Result<Option<LedgerEntry>, IdentityError> {
        let cause = cause_about(id, |id| format!("contacted:{}:{id}", at.unix()))?;
        let request = Request {
            tenant,
            cause: &cause,
            deadline,
        };
        match self.repeat(&request, &Wish::Contacted(id, at)).await {
            Ok(changed) => Ok(changed.entry),
            Err(IdentityError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn plan_contacted(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
        at: Timestamp,
        settings: &Settings,
        now: Timestamp,
    ) -> Planned {
        let contact = self.store.contact(tenant, id).await?;
        let contact = contact.ok_or_else(|| IdentityError::NotFound(id.to_string()))?;
        if contact.product.contacted >= Some(at) {
            return Ok(Err(contact));
        }
        let contacted = |contact: &mut Contact| contact.contacted(at, settings, now);
        edited(tenant, contact, contacted)
    }

    /// A change of what is known of a contact beside Stripe, which is made if there is none.
    pub(super) async fn plan_edit(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
        edit: impl FnOnce(&mut Contact) -> contact::Outcome,
    ) -> Planned {
        let loaded = self.store.contact(tenant, id).await?;
        let contact = loaded.unwrap_or_else(|| Contact::new(id.clone()));
        edited(tenant, contact, edit)
    }
}

/// What a change of a contact beside Stripe comes to.
fn edited(
    tenant: &TenantId,
    mut contact: Contact,
    edit: impl FnOnce(&mut Contact) -> contact::Outcome,
) -> Planned {
    let (expected, segments) = (contact.version, contact.told.segments.clone());
    let (before, product) = (contact.profile.clone(), contact.product.clone());
    let outcome = edit(&mut contact);
    let mut commit = Commit::new(tenant.clone());
    let same = before == contact.profile && product == contact.product;
    if expected > 0 && same && outcome.events.is_empty() {
        return Ok(Err(contact));
    }
    let was = before.as_ref().map(names).unwrap_or_default();
    let is = contact.profile.as_ref().map(names).unwrap_or_default();
    let names = row_changes(&was, &is);
    let names = names.map(|(name, change)| ((name, contact.id.clone()), change));
    commit.names = names.collect();
    let write = ContactWrite::new(contact.clone(), expected, &segments, false);
    commit.put_contact(write);
    Ok(Ok(Outcome {
        commit,
        contact,
        events: outcome.events,
        changes: outcome.changes,
    }))
}
