//! Which entries of the catalog a roll-up reads, and which of them it waits for.

use std::collections::BTreeSet;

use crate::account::{Account, Catalog, CatalogKey};
use crate::objects::discount::DiscountRef;
use crate::objects::subscription::{Item, Subscription};
use crate::totals::Totals;

/// The most entries that one Stripe customer waits for.
const MAX_AWAITED: usize = 10;

/// The catalog entries that an account's roll-up reads: names, tiers and coupons it does not hold.
#[must_use]
pub fn catalog_keys(account: &Account, totals: &Totals) -> BTreeSet<CatalogKey> {
    let subscriptions = account.subscriptions.values();
    let mut keys: BTreeSet<_> = subscriptions
        .flat_map(|stored| subscription_keys(stored.value.subscription.get()))
        .collect();
    let customer = account
        .customer
        .as_ref()
        .and_then(|c| c.value.get().discount.get().as_ref());
    let discounts = account.discounts.values().map(|stored| stored.value.get());
    for discount in discounts.chain(customer) {
        keys.extend(discount.catalog_key());
    }
    let bought = totals
        .purchases
        .values()
        .filter_map(|purchase| purchase.product.clone());
    keys.extend(bought.map(CatalogKey::Product));
    keys
}

/// The catalog entries that valuing a live subscription reads.
#[must_use]
pub fn subscription_keys(subscription: &Subscription) -> BTreeSet<CatalogKey> {
    let mut keys = BTreeSet::new();
    if !subscription.status.is_live() {
        return keys;
    }
    for item in &subscription.items {
        item_keys(item, &mut keys);
    }
    let on_items = subscription.items.iter().flat_map(|item| &item.discounts);
    for reference in subscription.discounts.iter().chain(on_items) {
        if let DiscountRef::Inline(discount) = reference {
            keys.extend(discount.catalog_key());
        }
    }
    keys
}

fn item_keys(item: &Item, keys: &mut BTreeSet<CatalogKey>) {
    if let Some(product) = &item.price.product {
        keys.insert(CatalogKey::Product(product.clone()));
    }
    if !item.price.scheme.is_told() {
        keys.insert(CatalogKey::Price(item.price.id.clone()));
    }
}

/// The coupons and prices that an account needs and the catalog lacks: once they come, what it is
/// worth is computed again. (A product only has a name, and that is read when it is shown.)
pub(super) fn awaited(
    account: &Account,
    totals: &Totals,
    catalog: &Catalog,
) -> BTreeSet<CatalogKey> {
    let keys = catalog_keys(account, totals).into_iter();
    keys.filter(|key| !matches!(key, CatalogKey::Product(_)) && catalog.lacks(key))
        .take(MAX_AWAITED)
        .collect()
}
