//! Products, prices and coupons: what a tenant sells, known once and used by every subscription.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::StripeId;
use crate::money::{Currency, Decimal};
use crate::order::{Seen, Snapshot};
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

    /// Takes over tiers, which events leave out. A list of tiers, once known, holds: no price ever
    /// changes its own.
    fn learn(&mut self, other: &Self) {
        if let (Self::Tiered(mode, None), Self::Tiered(_, Some(tiers))) = (&*self, other) {
            *self = Self::Tiered(*mode, Some(tiers.clone()));
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
    /// What a quantity costs in other currencies. Stripe tells these options only if it is asked
    /// (<https://docs.stripe.com/api/prices/object#price_object-currency_options>), and they can
    /// change.
    #[serde(default, skip_serializing_if = "Seen::is_unseen")]
    pub currency_options: Seen<BTreeMap<Currency, Scheme>>,
}

impl Price {
    /// What a quantity costs in a currency, as far as the price tells that. A subscription without a
    /// currency (as in old API versions) is in the price's own.
    #[must_use]
    pub fn scheme_in(&self, currency: Option<&Currency>) -> Option<&Scheme> {
        let scheme = match (currency, &self.currency) {
            (Some(wanted), Some(own)) if wanted != own => {
                self.currency_options.get().get(wanted)?
            }
            (Some(_), Some(_)) | (None, _) | (_, None) => &self.scheme,
        };
        scheme.is_told().then_some(scheme)
    }

    /// Takes it as said, at that second, that it has no currency but its own unless it names some:
    /// whoever read it had asked for those.
    pub fn asked_for_all(&mut self, at: Timestamp) {
        if self.currency_options.is_unseen() {
            self.currency_options = Seen::new(at, Some(BTreeMap::new()));
        }
    }

    /// Takes over what Stripe tells only if it is asked: tiers and currency options.
    pub(super) fn learn(&mut self, other: &Self) {
        self.scheme.learn(&other.scheme);
        let mut options = self.currency_options.clone();
        options.inherit(&other.currency_options);
        if options.is_unseen() {
            return;
        }
        // The newest options count; tiers that only the older ones have belong to them as well.
        for known in [&self.currency_options, &other.currency_options] {
            options.change(|options| {
                for (currency, scheme) in options.iter_mut() {
                    if let Some(known) = known.get().get(currency) {
                        scheme.learn(known);
                    }
                }
            });
        }
        self.currency_options = options;
    }
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
    /// The products it is limited to, as [`Coupon::limit`] reads it.
    pub products: Option<Vec<StripeId>>,
    /// Stripe was asked for the products, and named none: it is for all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlimited: bool,
    /// Deleted at Stripe; discounts that use it go on.
    pub deleted: bool,
    /// Minor units off each invoice in other currencies. Stripe tells these options only if it is
    /// asked (<https://docs.stripe.com/api/coupons/object#coupon_object-currency_options>), and they
    /// can change.
    #[serde(default, skip_serializing_if = "Seen::is_unseen")]
    pub currency_options: Seen<BTreeMap<Currency, i64>>,
}

/// What a coupon takes off an invoice in a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountOff {
    /// The coupon takes off no amount.
    None,
    /// So many minor units.
    Minor(i64),
    /// Nothing: Stripe told all of its currencies, and this one is none of them.
    OtherCurrency,
    /// Nobody told its amount in this currency.
    NotTold,
}

/// Which products a coupon is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit<'a> {
    /// Nobody told: Stripe does only if it is asked, and never in an event.
    NotTold,
    /// For all.
    None,
    /// For these only.
    To(&'a [StripeId]),
}

impl Coupon {
    /// Which products it is for.
    #[must_use]
    pub fn limit(&self) -> Limit<'_> {
        match &self.products {
            Some(products) => Limit::To(products),
            None if self.unlimited => Limit::None,
            None => Limit::NotTold,
        }
    }

    /// What it takes off an invoice in a currency. An invoice without a known currency is in the
    /// coupon's own.
    #[must_use]
    pub fn amount_in(&self, currency: Option<&Currency>) -> AmountOff {
        let Some(own) = self.amount_off else {
            return AmountOff::None;
        };
        match (currency, &self.currency) {
            (Some(wanted), Some(of_own)) if wanted != of_own => {
                match self.currency_options.get().get(wanted) {
                    Some(amount) => AmountOff::Minor(*amount),
                    None if self.currency_options.is_unseen() => AmountOff::NotTold,
                    None => AmountOff::OtherCurrency,
                }
            }
            (Some(_), Some(_)) | (None, _) | (_, None) => AmountOff::Minor(own),
        }
    }

    /// Whether it tells all that it comes to in a currency.
    #[must_use]
    pub fn tells(&self, currency: Option<&Currency>) -> bool {
        self.limit() != Limit::NotTold && self.amount_in(currency) != AmountOff::NotTold
    }

    /// Takes it as said, at that second, that it is for all products and has no currency but its own
    /// unless it names some: whoever read it had asked for those.
    pub fn asked_for_all(&mut self, at: Timestamp) {
        self.unlimited = self.products.is_none();
        if self.currency_options.is_unseen() {
            self.currency_options = Seen::new(at, Some(BTreeMap::new()));
        }
    }

    /// Takes over what Stripe tells only if it is asked: the products, which no coupon ever changes,
    /// and the amounts in other currencies.
    pub(super) fn learn(&mut self, other: &Self) {
        if self.id != other.id {
            return;
        }
        if self.limit() == Limit::NotTold {
            self.products.clone_from(&other.products);
            self.unlimited = other.unlimited;
        }
        self.currency_options.inherit(&other.currency_options);
    }
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
        self.complete(other);
    }
    fn complete(&mut self, other: &Self) {
        self.learn(other);
    }
}

impl Snapshot for Coupon {
    fn is_final(&self) -> bool {
        self.deleted
    }
    fn inherit(&mut self, other: &Self) {
        self.complete(other);
    }
    fn complete(&mut self, other: &Self) {
        self.learn(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Leaves, Step, Tracked, Version};

    fn coupon(fields: &serde_json::Value) -> Coupon {
        let mut coupon = serde_json::json!({ "id": "HALF", "name": null, "duration": "forever",
            "percent_off": "50", "amount_off": null, "currency": null, "products": null,
            "deleted": false });
        let all = coupon.as_object_mut().unwrap();
        all.extend(fields.as_object().unwrap().clone());
        serde_json::from_value(coupon).unwrap()
    }

    /// A snapshot of an event, or of an answer that covers some seconds before.
    fn version(at: i64, asked: bool, object: Coupon) -> Version<Coupon> {
        Version {
            at: Timestamp::from_unix(at).unwrap(),
            since: asked.then(|| Timestamp::from_unix(at - 2).unwrap()),
            content: u64::from(asked),
            leaves: Leaves::default(),
            steps: vec![Step {
                event: u64::try_from(at).unwrap(),
                previous: None,
                creation: !asked,
            }],
            object,
        }
    }

    #[test]
    fn l13_a_coupon_that_was_stored_before_has_not_told_its_products() {
        let of = |products| coupon(&serde_json::json!({ "products": products }));
        assert_eq!(of(None).limit(), Limit::NotTold);
        let limited = of(Some(["prod_1"]));
        let product = StripeId::parse("prod_1").unwrap();
        assert_eq!(limited.limit(), Limit::To(&[product]));
        let mut asked = of(None);
        asked.asked_for_all(Timestamp::default());
        assert_eq!(asked.limit(), Limit::None);
        let again: Coupon = serde_json::from_value(serde_json::to_value(&asked).unwrap()).unwrap();
        assert_eq!(again, asked);
    }

    /// Before the answer, within its seconds, and after it; in either order.
    #[test]
    fn l13_no_event_wipes_the_products_of_a_coupon() {
        for limited in [
            serde_json::json!({ "products": ["prod_1"] }),
            serde_json::json!({}),
        ] {
            let mut told = coupon(&limited);
            told.asked_for_all(Timestamp::from_unix(100).unwrap());
            for at in [95, 99, 100, 105] {
                let bare = version(at, false, coupon(&serde_json::json!({})));
                let answer = version(100, true, told.clone());
                for [first, second] in [[&bare, &answer], [&answer, &bare]] {
                    let mut tracked = Tracked::first(first.clone());
                    tracked.observe(second.clone());
                    assert_eq!(
                        (tracked.get(), tracked.is_undecided()),
                        (&told, false),
                        "{at}"
                    );
                }
            }
        }
    }
}
