//! Products, prices and coupons belong to the tenant's catalog, not to an account.

use std::sync::Arc;

use crate::account::{CatalogEntry, CatalogKey, Stored};
use crate::fact::{Body, Fact};
use crate::order::{Disposition, Snapshot, Tracked};

/// The catalog entry that a fact is about.
#[must_use]
pub fn catalog_key(body: &Body) -> Option<CatalogKey> {
    match body {
        Body::Product(product) => Some(CatalogKey::Product(product.id.clone())),
        Body::Price(price) => Some(CatalogKey::Price(price.id.clone())),
        Body::Coupon(coupon) => Some(CatalogKey::Coupon(coupon.id.clone())),
        Body::Customer(_)
        | Body::Subscription(_)
        | Body::Invoice(_)
        | Body::PaymentMethod(_)
        | Body::Charge(_)
        | Body::Refund(_)
        | Body::Dispute(_)
        | Body::Checkout(_)
        | Body::Schedule(_)
        | Body::Discount(_) => None,
    }
}

/// Applies a fact to its catalog entry. Gives the entry to write, if it changed.
#[must_use]
pub fn apply_catalog(
    stored: Option<Stored<CatalogEntry>>,
    fact: &Fact,
) -> Option<Stored<CatalogEntry>> {
    let (rev, entry) = match stored {
        Some(stored) => (stored.rev, Some(Arc::unwrap_or_clone(stored.value))),
        None => (0, None),
    };
    let changed = match (&fact.body, entry) {
        (Body::Product(new), Some(CatalogEntry::Product(known))) => {
            seen(known, fact, new.clone()).map(CatalogEntry::Product)
        }
        (Body::Product(new), _) => Some(CatalogEntry::Product(Tracked::first(
            fact.version(new.clone()),
        ))),
        (Body::Price(new), Some(CatalogEntry::Price(known))) => {
            seen(known, fact, new.clone()).map(CatalogEntry::Price)
        }
        (Body::Price(new), _) => Some(CatalogEntry::Price(Tracked::first(
            fact.version(new.clone()),
        ))),
        (Body::Coupon(new), Some(CatalogEntry::Coupon(known))) => {
            seen(known, fact, new.clone()).map(CatalogEntry::Coupon)
        }
        (Body::Coupon(new), _) => Some(CatalogEntry::Coupon(Tracked::first(
            fact.version(new.clone()),
        ))),
        (
            Body::Customer(_)
            | Body::Subscription(_)
            | Body::Invoice(_)
            | Body::PaymentMethod(_)
            | Body::Charge(_)
            | Body::Refund(_)
            | Body::Dispute(_)
            | Body::Checkout(_)
            | Body::Schedule(_)
            | Body::Discount(_),
            _,
        ) => None,
    };
    changed.map(|value| Stored::new(rev + 1, value))
}

fn seen<T: Snapshot>(mut known: Tracked<T>, fact: &Fact, new: T) -> Option<Tracked<T>> {
    (known.observe(fact.version(new)) == Disposition::Applied).then_some(known)
}
