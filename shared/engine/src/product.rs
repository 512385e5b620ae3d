//! Product events: into their user, and into the contacts that pay.
//!
//! A user and a contact are not one transaction. Each takes an event in by itself, and to take it
//! in again changes nothing: whoever dies in between is followed by the next delivery.

use std::collections::BTreeMap;

use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::identity::{Name, names};
use paygraph_domain::product::{Heard, ProductEvent, What};
use paygraph_domain::settings::Settings;
use paygraph_domain::user::User;

use crate::backoff::{Deadline, pause};
use crate::fetch::Fetch;
use crate::identity::{IdentityError, Request, Wish};
use crate::ports::{Clock, CommitError, LedgerEntry, Store, StoreError};
use crate::process::Engine;
use crate::tick::cause_about;
use crate::user::Users;

/// What the types of such entries in the ledger begin with.
pub const EVENT_TYPE: &str = "segment.";

impl<S: Store + Users, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Takes one product event in. Gives the entries whose outboxes are to be published.
    ///
    /// # Errors
    /// [`IdentityError`]; what was written stays, and is found as it is by the next attempt.
    pub async fn hear(
        &self,
        tenant: &TenantId,
        event: &ProductEvent,
        deadline: Deadline,
    ) -> Result<Vec<LedgerEntry>, IdentityError> {
        let settings = self.store.settings(tenant).await?;
        let user = match &event.user {
            Some(id) => {
                let hear = self.hear_as_user(tenant, id, event, &settings, deadline);
                Some(hear.await?)
            }
            None => None,
        };
        let workspace = event.workspace(&settings.product);
        let mut entries = Vec::new();
        for (contact, concerned) in self.concerned(tenant, event, workspace.as_deref()).await? {
            let heard = Heard {
                event,
                user: user.as_ref(),
                workspace: workspace.as_deref().filter(|_| concerned),
            };
            let told = self.hear_as_contact(tenant, &contact, heard, deadline);
            entries.extend(told.await?);
        }
        Ok(entries)
    }

    async fn hear_as_user(
        &self,
        tenant: &TenantId,
        id: &str,
        event: &ProductEvent,
        settings: &Settings,
        deadline: Deadline,
    ) -> Result<User, IdentityError> {
        let mut attempt = 0;
        loop {
            let held = self.store.user(tenant, id).await?;
            let held = held.unwrap_or_else(|| User::new(id));
            let mut user = held.clone();
            user.hear(event, settings);
            if user == held {
                return Ok(user);
            }
            user.version += 1;
            match self.store.put_user(tenant, &user).await {
                Ok(()) => return Ok(user),
                Err(CommitError::Conflict) if deadline.has_time() => {
                    attempt += 1;
                    pause(attempt).await;
                }
                Err(CommitError::Conflict | CommitError::Duplicate) => {
                    return Err(IdentityError::Busy);
                }
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
    }

    /// The contacts that an event is about, and whether the workspace is theirs: those that pay for
    /// it; without one, and for what is said of the user itself, all that the user works in.
    async fn concerned(
        &self,
        tenant: &TenantId,
        event: &ProductEvent,
        workspace: Option<&str>,
    ) -> Result<BTreeMap<CustomerId, bool>, StoreError> {
        let mut contacts = BTreeMap::new();
        if let Some(workspace) = workspace {
            for contact in self.payers(tenant, event, workspace).await? {
                contacts.insert(contact, true);
            }
        }
        let of_user = workspace.is_none() || matches!(event.what, What::Identify(_));
        if let Some(user) = event.user.as_ref().filter(|_| of_user) {
            let name = Name::User(user.clone());
            for contact in self.store.named(tenant, &name).await? {
                contacts.entry(contact).or_insert(false);
            }
        }
        Ok(contacts)
    }

    /// Who pays for a workspace: the contacts that have it; else the one that is called like it;
    /// else the only one that has a name in common with it and no workspace yet, by the surest
    /// name that any contact has. Else it gets a contact of its own.
    async fn payers(
        &self,
        tenant: &TenantId,
        event: &ProductEvent,
        workspace: &str,
    ) -> Result<Vec<CustomerId>, StoreError> {
        let name = Name::Workspace(workspace.to_owned());
        let known = self.store.named(tenant, &name).await?;
        if !known.is_empty() {
            return Ok(known);
        }
        let own = CustomerId::parse(workspace).map_err(|error| StoreError {
            context: "a workspace's id cannot be a contact's".to_owned(),
            retry: false,
            source: Some(error.into()),
        })?;
        if self.store.contact(tenant, &own).await?.is_none() {
            // Names are sorted by how sure they are.
            for name in names(&event.profile()) {
                let found = self.store.named(tenant, &name).await?;
                if let [found] = found.as_slice() {
                    let contact = self.store.contact(tenant, found).await?;
                    let profile = contact.and_then(|contact| contact.profile);
                    if profile.is_some_and(|profile| profile.workspaces.is_empty()) {
                        return Ok(vec![found.clone()]);
                    }
                }
                if !found.is_empty() {
                    break;
                }
            }
        }
        Ok(vec![own])
    }

    async fn hear_as_contact(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
        heard: Heard<'_>,
        deadline: Deadline,
    ) -> Result<Vec<LedgerEntry>, IdentityError> {
        let mut entries = Vec::new();
        let mut newer: Option<User> = None;
        loop {
            let user = newer.as_ref().or(heard.user);
            let heard = Heard { user, ..heard };
            let seen = user.map_or(0, |user| user.version);
            let event = &heard.event.id;
            let cause = cause_about(id, |id| match entries.len() {
                0 => format!("segment:{event}:{id}"),
                _ => format!("segment:{event}:{id}:{seen}"),
            })?;
            let request = Request {
                tenant,
                cause: &cause,
                deadline,
            };
            let changed = self.repeat(&request, &Wish::Hear(id, &heard)).await?;
            let Some(entry) = changed.entry else { break };
            entries.push(entry);
            // What the user said of itself may have come between the look and the commit. Whoever
            // writes a user looks for its contacts afterwards, so one of the two sees the other.
            let Some(user) = user else { break };
            newer = self.store.user(tenant, &user.id).await?;
            if newer.as_ref().is_none_or(|newer| newer.version == seen) {
                break;
            }
        }
        Ok(entries)
    }
}
