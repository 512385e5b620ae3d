//! How a worth came about: the steps that the valuation tells while it takes them.
//!
//! It computes nothing and has no words for people: those are the command's. With [`Silent`], which
//! is what everybody but the explanation uses, nothing is built and nothing is left of the calls.

use crate::id::StripeId;
use crate::money::{Currency, Decimal, Exact};
use crate::objects::catalog::{Coupon, Recurring, TierMode, Transform};
use crate::time::Timestamp;

/// Who is told how a worth comes about.
pub trait Trace {
    /// What follows is about the item at this place of the subscription.
    fn item(&mut self, place: usize);
    /// What was done, and what the item is worth after it; none as long as it has no amount.
    fn step(&mut self, amount: Option<&Exact>, what: impl FnOnce() -> What);
    /// Something about the subscription as a whole.
    fn note(&mut self, note: Note);
    /// The exact worth per month in a currency, just before it is rounded.
    fn sum(&mut self, currency: &Currency, exact: &Exact);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Trace for Silent {
    fn item(&mut self, _: usize) {}
    fn step(&mut self, _: Option<&Exact>, _: impl FnOnce() -> What) {}
    fn note(&mut self, _: Note) {}
    fn sum(&mut self, _: &Currency, _: &Exact) {}
}

/// Everything that was told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recorded {
    /// The steps of each item, in the subscription's order of items.
    pub items: Vec<Vec<Step>>,
    /// What is to be said about the subscription.
    pub notes: Vec<Note>,
    /// What was rounded, per currency.
    pub sums: Vec<(Currency, Exact)>,
    place: usize,
}

impl Trace for Recorded {
    fn item(&mut self, place: usize) {
        self.place = place;
        if self.items.len() <= place {
            self.items.resize_with(place.saturating_add(1), Vec::new);
        }
    }
    fn step(&mut self, amount: Option<&Exact>, what: impl FnOnce() -> What) {
        if let Some(steps) = self.items.get_mut(self.place) {
            let (amount, what) = (amount.cloned(), what());
            steps.push(Step { what, amount });
        }
    }
    fn note(&mut self, note: Note) {
        self.notes.push(note);
    }
    fn sum(&mut self, currency: &Currency, exact: &Exact) {
        self.sums.push((currency.clone(), exact.clone()));
    }
}

/// One step of an item's way from its price to its worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What was done.
    pub what: What,
    /// What the item is worth after it, in minor units; none as long as it has no amount.
    pub amount: Option<Exact>,
}

/// What was done to an item's amount.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The units that are priced.
    Quantity {
        /// As Stripe says; none counts as 1.
        given: Option<u64>,
        /// Packages, if any.
        transform: Option<Transform>,
        /// How many units or packages that makes.
        units: u64,
    },
    /// So many units at one price.
    PerUnit {
        /// Minor units each.
        unit: Decimal,
        /// How many.
        units: u64,
    },
    /// A tier that is reached.
    Tier {
        /// Whether all units or those of the tier are meant.
        mode: TierMode,
        /// The first is 1.
        number: usize,
        /// How many units are priced here.
        units: u64,
        /// Minor units each.
        unit: Option<Decimal>,
        /// Minor units once.
        flat: Option<Decimal>,
    },
    /// The unit amount or the tiers are not told in the item's currency.
    NotTold,
    /// Billed by use: never recurring.
    Metered,
    /// Paid once: never recurring.
    OneOff,
    /// From the price's interval to a month.
    PerMonth {
        /// The price's interval.
        recurring: Recurring,
        /// What a month is of it.
        factor: Exact,
    },
    /// The item's own trial runs until then.
    Trial(Timestamp),
    /// The subscription counts nothing.
    Uncounted(Rule),
    /// A discount was looked at.
    Discount {
        /// What it is on.
        level: Level,
        /// `di_…`, where it has one.
        id: Option<StripeId>,
        /// Its coupon, where that is known.
        coupon: Option<Box<Coupon>>,
        /// What came of it.
        effect: Effect,
    },
    /// Inclusive taxes of so many percent together were taken out.
    Tax(Exact),
}

/// What decides whether a subscription counts at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Its status, which no setting changes.
    Status,
    /// `past_due_counts`.
    PastDue,
    /// `count_scheduled_cancellations`.
    ScheduledEnd,
    /// `count_paused_collection`.
    PausedCollection,
}

/// What a discount is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// One item.
    Item,
    /// The subscription.
    Subscription,
    /// The customer.
    Customer,
}

/// What came of a discount.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A percentage was taken off: so many minor units a month.
    Percent(Exact),
    /// An amount was taken off.
    Amount {
        /// This item's share: so many minor units a month.
        off: Exact,
        /// How many invoices with this item a month has: the amount comes off each.
        factor: Exact,
    },
    /// Nothing.
    Nothing(Reason),
}

/// Why a discount takes nothing off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Only the discount's id is told.
    UnknownDiscount,
    /// Only the coupon's id is told.
    UnknownCoupon,
    /// It ended then.
    Ended(Timestamp),
    /// It was taken away.
    Deleted,
    /// It holds for a while, and `count_temporary_discounts` is off.
    Temporary,
    /// It is for other products.
    OtherProduct,
    /// Its amount is in another currency.
    OtherCurrency,
    /// Its amount in the item's currency is not told.
    AmountNotTold,
    /// Its coupon says neither a percentage nor an amount.
    Empty,
    /// It is the customer's, and the subscription or an item has discounts of its own.
    OwnDiscounts,
}

/// Something about the subscription as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// This would make it 0 if the setting did not let it count.
    Counts(Rule),
    /// Stripe cut the list of items.
    ItemsCut,
    /// Something that the worth depends on is not known.
    Incomplete,
}
