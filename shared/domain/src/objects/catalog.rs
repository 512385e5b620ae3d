//! Products, prices and coupons: what a tenant sells, known once and used by every subscription.

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::StripeId;
use crate::money::{Currency, Decimal};
use crate::order::Snapshot;
use crate::time::Timestamp;

words! {
    /// The calendar unit that a price repeats by.
    Interval {
        /// Every so many days.
        Day = "day",
        /// Every so many weeks.
        Week = "week",
        /// Every so many months.
        Month = "month",
        /// Every so many years.
        Year = "year",
    }
}

/// How often a price repeats, and whether it is billed by use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurring {
    /// The calendar unit.
    pub interval: Interval,
    /// How many units; at least 1.
    pub count: u32,
    /// Billed afterwards by measured use.
    pub metered: bool,
}

/// One step of a tiered price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// The last unit of the tier, inclusive; none for the last tier.
    pub up_to: Option<u64>,
    /// Minor units per unit.
    pub unit: Option<Decimal>,
    /// Minor units once, when the tier is reached.
    pub flat: Option<Decimal>,
}

/// How the units of a tiered price are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TierMode {
    /// Each unit at the tier it falls in.
    Graduated,
    /// All units at the tier of the total.
    Volume,
}

/// What a quantity costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// So many minor units each; none when only an API call could tell.
    PerUnit(Option<Decimal>),
    /// By tiers; Stripe leaves them out of events, so they may be unknown.
    Tiered(TierMode, Option<Vec<Tier>>),
}

impl Scheme {
    /// Whether it tells what a quantity costs.
    #[must_use]
    pub fn is_told(&self) -> bool {
        match self {
            Self::PerUnit(unit) => unit.is_some(),
            Self::Tiered(_, tiers) => tiers.is_some(),
        }
    }
}

/// Packages: the quantity divided before it is priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transform {
    /// Units per package; at least 1.
    pub divide_by: u32,
    /// Whether a part of a package counts as a whole one.
    pub round_up: bool,
}

/// A price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// `price_…`, or the id of an old plan.
    pub id: StripeId,
    /// Its product.
    pub product: Option<StripeId>,
    /// The product's name, where the product came expanded.
    pub product_name: Option<String>,
    /// A name for the team.
    pub nickname: Option<String>,
    /// A stable name for code.
    pub lookup_key: Option<String>,
    /// Its currency.
    pub currency: Option<Currency>,
    /// None for a one-off price.
    pub recurring: Option<Recurring>,
    /// What a quantity costs.
    pub scheme: Scheme,
    /// Packages, if any.
    pub transform: Option<Transform>,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// `prod_…`.
    pub id: StripeId,
    /// What customers see.
    pub name: Option<String>,
    /// Deleted at Stripe; the name stays.
    pub deleted: bool,
}

words! {
    /// How long a coupon holds.
    Duration {
        /// For every invoice.
        Forever = "forever",
        /// For the first invoice.
        Once = "once",
        /// For some months.
        Repeating = "repeating",
    }
}

/// A coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coupon {
    /// The coupon's id, which people may choose.
    pub id: StripeId,
    /// What customers see.
    pub name: Option<String>,
    /// How long it holds.
    pub duration: Duration,
    /// Percent off, 0 to 100.
    pub percent_off: Option<Decimal>,
    /// Minor units off each invoice.
    pub amount_off: Option<i64>,
    /// The currency of `amount_off`.
    pub currency: Option<Currency>,
    /// The products it is limited to; none means all.
    pub products: Option<Vec<StripeId>>,
    /// Deleted at Stripe; discounts that use it go on.
    pub deleted: bool,
}

/// Where a discount's coupon is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouponRef {
    /// The coupon came with the object.
    Inline(Box<Coupon>),
    /// Only its id came.
    Id(StripeId),
}

/// A rate of tax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxRate {
    /// Whether prices already contain it.
    pub inclusive: bool,
    /// Percent.
    pub percentage: Decimal,
}

/// From one instant up to, but not including, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first second.
    pub start: Timestamp,
    /// The first second after.
    pub end: Timestamp,
}

impl Snapshot for Product {
    fn is_final(&self) -> bool {
        self.deleted
    }
    fn inherit(&mut self, other: &Self) {
        if self.name.is_none() {
            self.name.clone_from(&other.name);
        }
    }
}

impl Snapshot for Price {
    fn is_final(&self) -> bool {
        false
    }
    fn inherit(&mut self, other: &Self) {
        // Events leave the tiers out; a tier list, once known, holds: prices cannot be changed.
        if let (Scheme::Tiered(mode, None), Scheme::Tiered(_, Some(tiers))) =
            (&self.scheme, &other.scheme)
        {
            self.scheme = Scheme::Tiered(*mode, Some(tiers.clone()));
        }
    }
}

impl Snapshot for Coupon {
    fn is_final(&self) -> bool {
        self.deleted
    }
    fn inherit(&mut self, other: &Self) {
        if self.products.is_none() {
            self.products.clone_from(&other.products);
        }
    }
}
