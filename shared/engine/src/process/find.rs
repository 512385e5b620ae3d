//! Whose a Stripe customer is: the contact that it has a name in common with, and room there.

use paygraph_domain::account::Account;
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::{By, Linked, Review, chain};
use paygraph_domain::settings::{Settings, Unmatched};
use paygraph_domain::time::Timestamp;

use super::{Engine, MAX_ACCOUNTS};
use crate::fetch::Fetch;
use crate::ports::{Clock, Store, StoreError};

impl<S: Store, C: Clock, F: Fetch> Engine<S, C, F> {
    /// The contact that a Stripe customer, which nobody named, has a name in common with: by the
    /// surest name that any contact has. Several are nobody's to pick from.
    pub(super) async fn find(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        account: &Account,
    ) -> Result<Found, StoreError> {
        let Some(known) = account.customer.as_ref().map(|stored| stored.value.get()) else {
            return Ok(Found::Unknown);
        };
        for (by, name) in chain(known) {
            let mut contacts = self.store.named(tenant, &name).await?;
            contacts.retain(|contact| contact.as_str() != customer.as_str());
            match contacts.as_slice() {
                [] => {}
                [contact] => {
                    let contact = contact.clone();
                    return Ok(Found::One(Linked { by, contact }));
                }
                _ => return Ok(Found::Several(by, contacts)),
            }
        }
        Ok(Found::None)
    }

    /// The contact that the Stripe customer goes to, and the one that it leaves, if any.
    pub(super) async fn target(
        &self,
        tenant: &TenantId,
        customer: &StripeCustomerId,
        linked: Option<Contact>,
        wanted: CustomerId,
    ) -> Result<(Contact, Option<Contact>), StoreError> {
        match linked {
            Some(contact) if contact.id == wanted => Ok((contact, None)),
            linked => {
                let target = self.store.contact(tenant, &wanted).await?;
                let target = target.unwrap_or_else(|| Contact::new(wanted));
                let is_full = target.accounts.len() >= MAX_ACCOUNTS;
                match linked {
                    Some(linked) if is_full => Ok((linked, None)),
                    None if is_full => {
                        tracing::warn!(contact.id = %target.id, "A contact has no room for more Stripe customers");
                        let own = CustomerId::from(customer.clone());
                        let contact = self.store.contact(tenant, &own).await?;
                        Ok((contact.unwrap_or_else(|| Contact::new(own)), None))
                    }
                    linked => Ok((target, linked)),
                }
            }
        }
    }
}

/// Whom a Stripe customer that nobody named was found to be.
pub(super) enum Found {
    /// It was not seen itself yet.
    Unknown,
    /// Nobody.
    None,
    /// This contact.
    One(Linked),
    /// One of these.
    Several(By, Vec<CustomerId>),
}

impl Found {
    pub fn linked(self) -> Option<Linked> {
        match self {
            Self::One(linked) => Some(linked),
            Self::Unknown | Self::None | Self::Several(..) => None,
        }
    }
}

/// What becomes of a Stripe customer's place on the review list.
pub(super) fn review(
    customer: &StripeCustomerId,
    found: &Found,
    since: Timestamp,
    settings: &Settings,
) -> Option<(StripeCustomerId, Option<Review>)> {
    let review = |by, candidates| Review {
        by,
        candidates,
        since,
    };
    match found {
        Found::Unknown if customer.is_guest() => Some(review(None, Vec::new())),
        Found::Several(by, candidates) => Some(review(Some(*by), candidates.clone())),
        Found::None if settings.unmatched == Unmatched::Review => Some(review(None, Vec::new())),
        Found::Unknown | Found::None | Found::One(_) => None,
    }
    .map(|review| (customer.clone(), Some(review)))
}
