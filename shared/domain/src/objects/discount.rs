//! A discount: one use of a coupon, on a customer, a subscription or an item.

use serde::{Deserialize, Serialize};

use super::catalog::{Coupon, CouponRef};
use crate::account::CatalogKey;
use crate::id::StripeId;
use crate::money::Currency;
use crate::order::Snapshot;
use crate::time::Timestamp;

/// A discount in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    /// `di_…`; old objects may have none.
    pub id: Option<StripeId>,
    /// The coupon that it uses.
    pub coupon: CouponRef,
    /// When it ends, for coupons that do.
    pub end: Option<Timestamp>,
    /// The subscription that it is for; none when it is for the customer.
    pub subscription: Option<StripeId>,
    /// Taken away again.
    pub deleted: bool,
}

/// How an object names its discounts: events give the ids alone since 2025-03-31.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscountRef {
    /// The discount came with the object.
    Inline(Box<Discount>),
    /// Only its id came.
    Id(StripeId),
}

impl Discount {
    /// The key of the catalog's entry that tells what its coupon does not tell here of invoices in a
    /// currency.
    #[must_use]
    pub fn catalog_key(&self, currency: Option<&Currency>) -> Option<CatalogKey> {
        match &self.coupon {
            CouponRef::Inline(coupon) if coupon.tells(currency) => None,
            CouponRef::Inline(coupon) => Some(CatalogKey::Coupon(coupon.id.clone())),
            CouponRef::Id(id) => Some(CatalogKey::Coupon(id.clone())),
        }
    }
}

impl DiscountRef {
    /// The coupon that came with it.
    fn coupon(&self) -> Option<&Coupon> {
        match self {
            Self::Inline(discount) => match &discount.coupon {
                CouponRef::Inline(coupon) => Some(coupon),
                CouponRef::Id(_) => None,
            },
            Self::Id(_) => None,
        }
    }

    /// The same, to be completed.
    pub fn coupon_mut(&mut self) -> Option<&mut Coupon> {
        match self {
            Self::Inline(discount) => match &mut discount.coupon {
                CouponRef::Inline(coupon) => Some(coupon),
                CouponRef::Id(_) => None,
            },
            Self::Id(_) => None,
        }
    }
}

/// Takes over, from other discounts, what Stripe tells of the same coupons only if it is asked.
pub(super) fn learn_coupons<'a>(
    discounts: &mut [DiscountRef],
    others: impl Iterator<Item = &'a DiscountRef> + Clone,
) {
    for coupon in discounts.iter_mut().filter_map(DiscountRef::coupon_mut) {
        for other in others.clone().filter_map(DiscountRef::coupon) {
            coupon.learn(other);
        }
    }
}

impl Snapshot for Discount {
    fn is_final(&self) -> bool {
        self.deleted
    }
    fn inherit(&mut self, _: &Self) {}
}
