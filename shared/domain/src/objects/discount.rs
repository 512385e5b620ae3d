//! A discount: one use of a coupon, on a customer, a subscription or an item.

use serde::{Deserialize, Serialize};

use super::catalog::CouponRef;
use crate::id::StripeId;
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

impl Snapshot for Discount {
    fn is_final(&self) -> bool {
        self.deleted
    }
    fn inherit(&mut self, _: &Self) {}
}
