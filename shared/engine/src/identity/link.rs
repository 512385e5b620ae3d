//! Links by hand between Stripe customers and contacts.

use paygraph_domain::contact::Contact;
use paygraph_domain::id::{CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::{By, Linked};
use paygraph_domain::rollup::Rollup;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;

use super::{Changed, IdentityError, Outcome, Planned, Request, Wish, check_room};
use crate::fetch::Fetch;
use crate::ports::{Clock, Commit, Store, json_bytes};
use crate::process::{Engine, MAX_ACCOUNTS, move_account};

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// Links a Stripe customer to a contact, for good: nothing that Stripe says moves it again.
    /// Without a contact it gets one of its own back.
    ///
    /// # Errors
    /// [`IdentityError`]; nothing is half done.
    pub async fn link(
        &self,
        request: &Request<'_>,
        customer: &StripeCustomerId,
        to: Option<&CustomerId>,
    ) -> Result<Changed, IdentityError> {
        self.repeat(request, &Wish::Link(customer, to)).await
    }

    pub(super) async fn plan_link(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        to: Option<&CustomerId>,
        settings: &Settings,
        now: Timestamp,
    ) -> Planned {
        let missing = || IdentityError::NotFound(customer.to_string());
        let from = self.store.contact_of(tenant, customer).await?;
        let from = from.ok_or_else(missing)?;
        let left = self
            .store
            .contact(tenant, &from)
            .await?
            .ok_or_else(missing)?;
        let held = left.accounts.get(customer).ok_or_else(missing)?;
        let own = CustomerId::from(customer.clone());
        let id = to.unwrap_or(&own);
        let linked = Linked {
            by: By::Hand,
            contact: id.clone(),
        };
        if *id == from && held.totals.linked.as_ref() == Some(&linked) {
            return Ok(Err(left));
        }
        let mut rollup = Rollup::clone(held);
        rollup.totals.linked = Some(linked);
        let mut commit = Commit::new(tenant.clone());
        let (target, left) = if *id == from {
            (left, None)
        } else {
            let target = match (self.store.contact(tenant, id).await?, to) {
                (Some(target), _) => target,
                (None, None) => Contact::new(own.clone()),
                (None, Some(to)) => return Err(IdentityError::NotFound(to.to_string())),
            };
            if target.accounts.len() >= MAX_ACCOUNTS {
                return Err(IdentityError::Full(target.id));
            }
            (target, Some(left))
        };
        let bytes = json_bytes(&target);
        let now = left.as_ref().map_or(now, |left| now.max(left.evaluated_at));
        let from = Some(from);
        let moved = move_account(
            &mut commit,
            customer,
            target,
            left,
            from,
            rollup,
            settings,
            now,
        );
        commit.reviews.insert(customer.clone(), None);
        let contact = commit.contacts.get(id).map(|write| write.contact.clone());
        let contact = contact.ok_or(IdentityError::Busy)?;
        check_room(&contact, bytes)?;
        Ok(Ok(Outcome {
            commit,
            contact,
            events: moved.events,
            changes: moved.changes,
        }))
    }
}
