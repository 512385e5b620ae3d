//! Objects whose newest state no event could tell, so that a guess stands until Stripe is asked.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::{Account, Stored};
use crate::id::StripeId;
use crate::order::{Snapshot, Tracked};
use crate::totals::Totals;

/// The most that are named.
const MAX_NAMED: usize = 50;

/// The ids of all such objects of a Stripe customer.
pub(super) fn undecided(account: &Account, totals: &Totals) -> BTreeSet<String> {
    fn of<T: Snapshot>(objects: &BTreeMap<StripeId, Stored<Tracked<T>>>) -> Vec<&StripeId> {
        let unsure = objects
            .iter()
            .filter(|(_, stored)| stored.value.is_undecided());
        unsure.map(|(id, _)| id).collect()
    }
    let customer = account.customer.as_ref();
    let customer = customer.filter(|stored| stored.value.is_undecided());
    let customer = customer.map(|stored| stored.value.get().id.to_string());
    let subscriptions = account.subscriptions.iter();
    let subscriptions =
        subscriptions.filter(|(_, stored)| stored.value.subscription.is_undecided());
    let ids = subscriptions
        .map(|(id, _)| id)
        .chain(of(&account.payment_methods))
        .chain(of(&account.disputes))
        .chain(of(&account.discounts))
        .chain(of(&account.schedules))
        .chain(&totals.undecided);
    let ids = customer.into_iter().chain(ids.map(StripeId::to_string));
    ids.take(MAX_NAMED).collect()
}
