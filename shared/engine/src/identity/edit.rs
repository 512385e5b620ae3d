//! What is known of a contact beside Stripe: the tenant's own fields, product events, and that
//! somebody was in touch.

use std::collections::BTreeSet;

use paygraph_domain::contact::{self, Contact, Profile};
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::identity::names;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

use super::{Changed, IdentityError, Outcome, Planned, Request, Wish, check_names, check_room};
use crate::backoff::Deadline;
use crate::fetch::Fetch;
use crate::ports::{Clock, Commit, ContactWrite, LedgerEntry, Store, json_bytes, row_changes};
use crate::process::Engine;
use crate::tick::cause_about;

/// The most users and workspaces that one step of a put adds: a transaction has a hundred writes.
const PUT_AT_ONCE: usize = 30;

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Merges the given fields into a contact, which is made if there is none.
    ///
    /// It never links or unlinks a Stripe customer. Many users and workspaces do not fit in one
    /// transaction: they are added in steps, and whoever repeats a request that was interrupted goes
    /// on with those that are missing.
    ///
    /// # Errors
    /// [`IdentityError`]; a step is done or not, and above a limit nothing is.
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

    /// Merges given fields into a contact, which is made if there is none.
    pub(super) async fn plan_put(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
        given: &Profile,
        settings: &Settings,
        now: Timestamp,
    ) -> Planned {
        let loaded = self.store.contact(tenant, id).await?;
        let contact = loaded.unwrap_or_else(|| Contact::new(id.clone()));
        let (known, bytes) = (contact.profile.clone(), json_bytes(&contact));
        let put = |contact: &mut Contact| contact.merge_profile(given.clone(), settings, now);
        let planned = edited(tenant, contact, put)?;
        if let Ok(outcome) = &planned {
            check_names(&outcome.contact, known.as_ref())?;
            check_room(&outcome.contact, bytes)?;
        }
        Ok(planned)
    }

    /// Merges some of the given users and workspaces into a contact, where all of them do not fit in
    /// one transaction; none when the contact has them all.
    pub(super) async fn plan_part_of_put(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
        given: &Profile,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Option<Outcome>, IdentityError> {
        let loaded = self.store.contact(tenant, id).await?;
        let contact = loaded.unwrap_or_else(|| Contact::new(id.clone()));
        let part = new_names(given, contact.profile.as_ref());
        if part == Profile::default() {
            return Ok(None);
        }
        let put = |contact: &mut Contact| contact.merge_profile(part, settings, now);
        Ok(edited(tenant, contact, put)?.ok())
    }

    /// Takes what a product event tells into a contact, which is made if there is none.
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

/// The first users and workspaces of those given that a contact has not yet.
fn new_names(given: &Profile, known: Option<&Profile>) -> Profile {
    let nothing = Profile::default();
    let known = known.unwrap_or(&nothing);
    let users = given.users.difference(&known.users);
    let users: BTreeSet<String> = users.take(PUT_AT_ONCE).cloned().collect();
    let workspaces = given.workspaces.difference(&known.workspaces);
    let room = PUT_AT_ONCE.saturating_sub(users.len());
    Profile {
        workspaces: workspaces.take(room).cloned().collect(),
        users,
        ..Profile::default()
    }
}

/// Plans a change of a contact beside Stripe.
fn edited(
    tenant: &TenantId,
    mut contact: Contact,
    edit: impl FnOnce(&mut Contact) -> contact::Outcome,
) -> Planned {
    let before = (contact.profile.clone(), contact.product.clone());
    let is_known = contact.version > 0;
    let mut commit = Commit::new(tenant.clone());
    let outcome = rewrite(&mut commit, &mut contact, edit);
    let same = before.0 == contact.profile && before.1 == contact.product;
    if is_known && same && outcome.events.is_empty() {
        return Ok(Err(contact));
    }
    Ok(Ok(Outcome {
        commit,
        contact,
        events: outcome.events,
        changes: outcome.changes,
    }))
}

/// Changes a contact and adds its write to a commit, with the rows of its names.
pub(super) fn rewrite(
    commit: &mut Commit,
    contact: &mut Contact,
    edit: impl FnOnce(&mut Contact) -> contact::Outcome,
) -> contact::Outcome {
    let (expected, segments) = (contact.version, contact.told.segments.clone());
    let was = contact.profile.as_ref().map(names).unwrap_or_default();
    let outcome = edit(contact);
    let is = contact.profile.as_ref().map(names).unwrap_or_default();
    let changes = row_changes(&was, &is);
    let changes = changes.map(|(name, change)| ((name, contact.id.clone()), change));
    commit.names.extend(changes);
    commit.put_contact(ContactWrite::new(
        contact.clone(),
        expected,
        &segments,
        false,
    ));
    outcome
}
