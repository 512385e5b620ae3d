//! Which entries of the catalog a roll-up reads, and which of them it waits for.

use std::collections::BTreeSet;

use crate::account::{Account, Catalog, CatalogKey};
use crate::money::Currency;
use crate::objects::discount::{Discount, DiscountRef};
use crate::objects::subscription::{Item, Subscription};
use crate::totals::Totals;

/// The most entries that one Stripe customer waits for.
const MAX_AWAITED: usize = 10;

/// An entry of the catalog, and the currency in which an amount of it is needed.
type Need<'a> = (CatalogKey, Option<&'a Currency>);

/// The catalog entries that an account's roll-up reads: names, tiers, currency options and coupons
/// that the account does not hold.
#[must_use]
pub fn catalog_keys(account: &Account, totals: &Totals) -> BTreeSet<CatalogKey> {
    let bought = totals
        .purchases
        .values()
        .filter_map(|purchase| purchase.product.clone())
        .map(CatalogKey::Product);
    let needs = account_needs(account).into_iter();
    needs.map(|(key, _)| key).chain(bought).collect()
}

/// The catalog entries that valuing a live subscription reads.
#[must_use]
pub fn subscription_keys(subscription: &Subscription) -> BTreeSet<CatalogKey> {
    let needs = subscription_needs(subscription).into_iter();
    needs.map(|(key, _)| key).collect()
}

fn account_needs(account: &Account) -> BTreeSet<Need<'_>> {
    let subscriptions = account.subscriptions.values();
    let live: Vec<_> = subscriptions
        .map(|stored| stored.value.subscription.get())
        .filter(|subscription| subscription.status.is_live())
        .collect();
    let mut needs: BTreeSet<_> = live
        .iter()
        .flat_map(|subscription| subscription_needs(subscription))
        .collect();
    let mut currencies: BTreeSet<_> = live
        .iter()
        .map(|subscription| subscription.currency.as_ref())
        .collect();
    if currencies.is_empty() {
        currencies.insert(None);
    }
    let customer = account
        .customer
        .as_ref()
        .and_then(|c| c.value.get().discount.get().as_ref());
    let known = account.discounts.values().map(|stored| stored.value.get());
    for discount in known.chain(customer) {
        for currency in &currencies {
            needs.extend(discount_need(discount, *currency));
        }
    }
    needs
}

fn subscription_needs(subscription: &Subscription) -> BTreeSet<Need<'_>> {
    let mut needs = BTreeSet::new();
    if !subscription.status.is_live() {
        return needs;
    }
    let currency = subscription.currency.as_ref();
    for item in &subscription.items {
        item_needs(item, currency, &mut needs);
    }
    let on_items = subscription.items.iter().flat_map(|item| &item.discounts);
    for reference in subscription.discounts.iter().chain(on_items) {
        if let DiscountRef::Inline(discount) = reference {
            needs.extend(discount_need(discount, currency));
        }
    }
    needs
}

fn item_needs<'a>(item: &Item, currency: Option<&'a Currency>, needs: &mut BTreeSet<Need<'a>>) {
    if let Some(product) = &item.price.product {
        needs.insert((CatalogKey::Product(product.clone()), None));
    }
    if item.price.scheme_in(currency).is_none() {
        needs.insert((CatalogKey::Price(item.price.id.clone()), currency));
    }
}

fn discount_need<'a>(discount: &Discount, currency: Option<&'a Currency>) -> Option<Need<'a>> {
    discount.catalog_key(currency).map(|key| (key, currency))
}

/// The coupons and prices that an account needs and the catalog lacks: once they come, what it is
/// worth is computed again. (A product only has a name, and that is read when it is shown.)
pub(super) fn awaited(account: &Account, catalog: &Catalog) -> BTreeSet<CatalogKey> {
    let needs = account_needs(account).into_iter();
    needs
        .filter(|(key, currency)| {
            !matches!(key, CatalogKey::Product(_)) && !catalog.tells(key, *currency)
        })
        .map(|(key, _)| key)
        .take(MAX_AWAITED)
        .collect()
}
