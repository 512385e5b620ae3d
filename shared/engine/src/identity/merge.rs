//! Merging a contact into another.

use paygraph_domain::audit::Change;
use paygraph_domain::contact::Profile;
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::identity::names;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use serde_json::json;

use super::edit::rewrite;
use super::{Changed, IdentityError, Outcome, Planned, Request, Wish, check_names, check_room};
use crate::fetch::Fetch;
use crate::ports::{
    Clock, Commit, ContactWrite, RowChange, Store, StripeLinkWrite, json_bytes, row_changes,
};
use crate::process::{Engine, MAX_ACCOUNTS};

/// The most Stripe customers that are merged at once: a transaction has a hundred writes.
const MAX_MERGED: usize = 40;
/// The most users and workspaces that one step moves: each is a row that goes and one that comes.
const MOVED_AT_ONCE: usize = 25;

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Merges a contact into another, with everything that it has, and removes it.
    ///
    /// Contacts with many users and workspaces do not fit in one transaction: these move first, in
    /// steps, and whoever repeats a request that was interrupted goes on with those that are left.
    ///
    /// # Errors
    /// [`IdentityError`]; a step is done or not, and above a limit nothing is.
    pub async fn merge(
        &self,
        request: &Request<'_>,
        id: &CustomerId,
        into: &CustomerId,
    ) -> Result<Changed, IdentityError> {
        if id == into {
            return Err(IdentityError::Refused(
                "a customer cannot be merged into itself",
            ));
        }
        self.repeat(request, &Wish::Merge(id, into)).await
    }

    pub(super) async fn plan_merge(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
        into: &CustomerId,
        settings: &Settings,
        now: Timestamp,
    ) -> Planned {
        let missing = |id: &CustomerId| IdentityError::NotFound(id.to_string());
        let gone = self.store.contact(tenant, id).await?;
        let gone = gone.ok_or_else(|| missing(id))?;
        let target = self.store.contact(tenant, into).await?;
        let mut target = target.ok_or_else(|| missing(into))?;
        if gone.accounts.len() > MAX_MERGED
            || target.accounts.len() + gone.accounts.len() > MAX_ACCOUNTS
        {
            return Err(IdentityError::Full(target.id));
        }
        let (expected, segments) = (target.version, target.told.segments.clone());
        let (known, bytes) = (target.profile.clone(), json_bytes(&target));
        let was = known.as_ref().map(names).unwrap_or_default();
        let now = now.max(gone.evaluated_at);
        let outcome = target.adopt(&gone, settings, now);
        check_names(&target, known.as_ref())?;
        check_room(&target, bytes)?;
        let is = target.profile.as_ref().map(names).unwrap_or_default();
        let mut commit = Commit::new(tenant.clone());
        for customer in gone.accounts.keys() {
            let (from, to) = (Some(id.clone()), into.clone());
            let write = StripeLinkWrite { from, to };
            commit.stripe_links.insert(customer.clone(), write);
        }
        let lost = gone.profile.as_ref().map(names).unwrap_or_default();
        let lost = lost.into_iter();
        let lost = lost.map(|name| ((name, id.clone()), RowChange::Delete));
        let new = row_changes(&was, &is).map(|(name, change)| ((name, into.clone()), change));
        commit.names = lost.chain(new).collect();
        let (version, left) = (gone.version, gone.told.segments.clone());
        let mut events = gone.ended();
        events.extend(outcome.events);
        commit.put_contact(ContactWrite::new(gone, version, &left, true));
        let write = ContactWrite::new(target.clone(), expected, &segments, false);
        commit.put_contact(write);
        let mut changes = outcome.changes;
        changes.push(Change {
            field: "merged".to_owned(),
            before: json!(id),
            after: json!(into),
        });
        Ok(Ok(Outcome {
            commit,
            contact: target,
            events,
            changes,
        }))
    }

    /// Moves some users and workspaces to the contact into which the other is merged; none when there
    /// are none to move.
    pub(super) async fn plan_move(
        &self,
        tenant: &TenantId,
        id: &CustomerId,
        into: &CustomerId,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Option<Outcome>, IdentityError> {
        let missing = |id: &CustomerId| IdentityError::NotFound(id.to_string());
        let gone = self.store.contact(tenant, id).await?;
        let mut gone = gone.ok_or_else(|| missing(id))?;
        let target = self.store.contact(tenant, into).await?;
        let mut target = target.ok_or_else(|| missing(into))?;
        let now = now.max(gone.evaluated_at).max(target.evaluated_at);
        let mut commit = Commit::new(tenant.clone());
        let mut moved = Profile::default();
        let left = rewrite(&mut commit, &mut gone, |gone| {
            let (given, outcome) = gone.give_names(MOVED_AT_ONCE, settings, now);
            moved = given;
            outcome
        });
        if moved == Profile::default() {
            return Ok(None);
        }
        let taken = rewrite(&mut commit, &mut target, |target| {
            target.merge_profile(moved, settings, now)
        });
        Ok(Some(Outcome {
            commit,
            contact: target,
            events: left.events.into_iter().chain(taken.events).collect(),
            changes: taken.changes,
        }))
    }
}
