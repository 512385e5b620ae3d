//! Monthly and annual recurring revenue of one subscription, exactly.
//!
//! Everything is a rational number of minor units until the one rounding at the end. The rules are
//! those of the table in `docs/MRR.md`; the settings are [`MrrSettings`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use num_traits::{One, Signed, Zero};

use crate::account::{Account, Catalog};
use crate::money::{Currency, Decimal, Exact, Money, ratio, round_half_up, round_multiple, whole};
use crate::objects::catalog::{
    Coupon, CouponRef, Duration, Interval, Price, Recurring, Scheme, TaxRate, Tier, TierMode,
};
use crate::objects::discount::{Discount, DiscountRef};
use crate::objects::subscription::{Item, Status, Subscription};
use crate::settings::MrrSettings;
use crate::time::Timestamp;

/// What the MRR of a subscription depends on beside the subscription.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The tenant's choices.
    pub settings: &'a MrrSettings,
    /// Coupons and tiered prices known apart.
    pub catalog: &'a Catalog,
    /// The customer's discounts and its own objects.
    pub account: &'a Account,
    /// The instant at which it is asked.
    pub now: Timestamp,
}

/// What a subscription is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Minor units per month, rounded once.
    pub mrr: Money,
    /// Minor units per year: the exact year, rounded once.
    pub arr: Money,
    /// Each item in the subscription's order.
    pub items: Vec<ItemValue>,
    /// Whether it depends on something that only an API call could tell.
    pub incomplete: bool,
}

/// What an item is worth per month.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemValue {
    /// In this currency.
    pub currency: Option<Currency>,
    /// Minor units, after discounts and taxes, as far as the subscription counts.
    pub mrr: Exact,
    /// Minor units as if active and before discounts: what a trial is worth.
    pub nominal: Exact,
}

/// Values a subscription.
#[must_use]
pub fn value(subscription: &Subscription, context: Context<'_>) -> Value {
    let counts = counts(subscription, context.settings);
    let mut incomplete = counts && subscription.items_cut;
    let mut lines: Vec<Line<'_>> = subscription
        .items
        .iter()
        .map(|item| line(item, subscription, context, counts, &mut incomplete))
        .collect();
    if counts {
        discount_lines(&mut lines, subscription, context, &mut incomplete);
    }
    let mut sums: BTreeMap<&Currency, Exact> = BTreeMap::new();
    for line in lines.iter().filter(|line| !line.net.is_zero()) {
        if let Some(currency) = line.currency {
            let worth = line.without_tax();
            match sums.entry(currency) {
                Entry::Vacant(place) => {
                    place.insert(worth);
                }
                Entry::Occupied(mut sum) => *sum.get_mut() += worth,
            }
        }
    }
    let (mut mrr, mut arr) = (Money::default(), Money::default());
    for (currency, sum) in sums {
        mrr.add(currency, round_half_up(&sum));
        arr.add(currency, round_multiple(&sum, 12));
    }
    let items = lines.into_iter().map(Line::into_value).collect();
    Value {
        mrr,
        arr,
        items,
        incomplete,
    }
}

fn counts(subscription: &Subscription, settings: &MrrSettings) -> bool {
    let status = match subscription.status {
        Status::Active => true,
        Status::PastDue => settings.past_due_counts,
        Status::Incomplete
        | Status::IncompleteExpired
        | Status::Trialing
        | Status::Canceled
        | Status::Unpaid
        | Status::Paused
        | Status::Other(_) => false,
    };
    let scheduled =
        subscription.scheduled_end().is_none() || settings.count_scheduled_cancellations;
    let paused = subscription.pause.get().is_none() || settings.count_paused_collection;
    status && scheduled && paused
}

/// An item on its way from list price to net, per month.
struct Line<'a> {
    item: &'a Item,
    recurring: Option<&'a Recurring>,
    currency: Option<&'a Currency>,
    nominal: Exact,
    net: Exact,
    taxes: &'a [TaxRate],
}

impl Line<'_> {
    fn without_tax(&self) -> Exact {
        let inclusive = self.taxes.iter().filter(|tax| tax.inclusive);
        let rate = inclusive.fold(Exact::zero(), |sum, tax| sum + tax.percentage.exact());
        if rate.is_zero() {
            self.net.clone()
        } else {
            &self.net / (Exact::one() + rate / whole(100))
        }
    }

    fn into_value(self) -> ItemValue {
        let mrr = self.without_tax();
        ItemValue {
            currency: self.currency.cloned(),
            mrr,
            nominal: self.nominal,
        }
    }
}

fn line<'a>(
    item: &'a Item,
    subscription: &'a Subscription,
    context: Context<'a>,
    counts: bool,
    incomplete: &mut bool,
) -> Line<'a> {
    let known = context.catalog.prices.get(&item.price.id);
    let price = match (&item.price.scheme, known) {
        (Scheme::Tiered(_, None) | Scheme::PerUnit(None), Some(known)) => known,
        (Scheme::Tiered(..) | Scheme::PerUnit(_), _) => &item.price,
    };
    let recurring = item
        .price
        .recurring
        .as_ref()
        .filter(|recurring| !recurring.metered);
    let nominal = match (recurring, cost(price, item.quantity.unwrap_or(1))) {
        (Some(recurring), Some(cost)) if is_monthly(recurring) => cost,
        (Some(recurring), Some(cost)) => cost * per_month(recurring),
        (Some(_), None) => {
            *incomplete |= counts;
            Exact::zero()
        }
        (None, _) => Exact::zero(),
    };
    let in_trial = item.trial_until.is_some_and(|end| end > context.now);
    let net = if counts && !in_trial {
        nominal.clone()
    } else {
        Exact::zero()
    };
    let currency = item
        .price
        .currency
        .as_ref()
        .or(subscription.currency.as_ref());
    let taxes = if item.taxes.is_empty() {
        &subscription.default_taxes
    } else {
        &item.taxes
    };
    Line {
        item,
        recurring,
        currency,
        nominal,
        net,
        taxes,
    }
}

/// Whether a price is per month already, as most are: the common case costs no division.
fn is_monthly(recurring: &Recurring) -> bool {
    recurring.interval == Interval::Month && recurring.count <= 1
}

/// How many months' worth one interval is, inverted: multiply a price by it to get it per month.
fn per_month(recurring: &Recurring) -> Exact {
    let count = i64::from(recurring.count.max(1));
    match recurring.interval {
        Interval::Month => ratio(1, count),
        Interval::Year => ratio(1, 12 * count),
        Interval::Week => ratio(52, 12 * count),
        Interval::Day => ratio(365, 12 * count),
        Interval::Other(_) => Exact::zero(),
    }
}

/// What a quantity costs per interval; none when that is not known.
fn cost(price: &Price, quantity: u64) -> Option<Exact> {
    let units = match price.transform {
        Some(transform) => {
            let by = u64::from(transform.divide_by.max(1));
            if transform.round_up {
                quantity.div_ceil(by)
            } else {
                quantity / by
            }
        }
        None => quantity,
    };
    match &price.scheme {
        Scheme::PerUnit(unit) if units == 1 => unit.map(Decimal::exact),
        Scheme::PerUnit(unit) => unit.map(|unit| unit.exact() * big(units)),
        Scheme::Tiered(mode, tiers) => tiers.as_ref().map(|tiers| match mode {
            TierMode::Graduated => graduated(tiers, units),
            TierMode::Volume => volume(tiers, units),
        }),
    }
}

fn big(units: u64) -> Exact {
    Exact::from_integer(units.into())
}

fn or_zero(amount: Option<Decimal>) -> Exact {
    amount.map_or_else(Exact::zero, Decimal::exact)
}

fn graduated(tiers: &[Tier], units: u64) -> Exact {
    let mut below = 0;
    let mut sum = Exact::zero();
    for tier in tiers {
        let reached = units > below || (below == 0 && units == 0);
        if !reached {
            break;
        }
        let top = tier.up_to.unwrap_or(u64::MAX).min(units);
        sum += or_zero(tier.unit) * big(top.saturating_sub(below)) + or_zero(tier.flat);
        below = tier.up_to.unwrap_or(u64::MAX);
    }
    sum
}

fn volume(tiers: &[Tier], units: u64) -> Exact {
    let tier = tiers
        .iter()
        .find(|tier| tier.up_to.is_none_or(|top| units <= top));
    tier.map_or_else(Exact::zero, |tier| {
        or_zero(tier.unit) * big(units) + or_zero(tier.flat)
    })
}

fn discount_lines(
    lines: &mut [Line<'_>],
    subscription: &Subscription,
    context: Context<'_>,
    incomplete: &mut bool,
) {
    let mut none_of_its_own = subscription.discounts.is_empty();
    for index in 0..lines.len() {
        let Some(line) = lines.get_mut(index) else {
            continue;
        };
        let discounts = &line.item.discounts;
        none_of_its_own &= discounts.is_empty();
        for coupon in coupons(discounts, context, incomplete) {
            take(coupon, std::slice::from_mut(line));
        }
    }
    for coupon in coupons(&subscription.discounts, context, incomplete) {
        take(coupon, lines);
    }
    let customer = context
        .account
        .customer
        .as_ref()
        .map(|stored| stored.value.get());
    if none_of_its_own
        && let Some(discount) = customer.and_then(|customer| customer.discount.get().as_ref())
        && let Some(coupon) = coupon(discount, context, incomplete)
    {
        take(coupon, lines);
    }
}

fn coupons<'a>(
    discounts: &'a [DiscountRef],
    context: Context<'a>,
    incomplete: &mut bool,
) -> Vec<&'a Coupon> {
    let known = |reference: &'a DiscountRef| match reference {
        DiscountRef::Inline(discount) => Some(discount.as_ref()),
        DiscountRef::Id(id) => context
            .account
            .discounts
            .get(id)
            .map(|stored| stored.value.get()),
    };
    let mut coupons = Vec::new();
    for reference in discounts {
        match known(reference) {
            Some(discount) => coupons.extend(coupon(discount, context, incomplete)),
            None => *incomplete = true,
        }
    }
    coupons
}

/// The coupon of a discount that lowers the MRR now.
fn coupon<'a>(
    discount: &'a Discount,
    context: Context<'a>,
    incomplete: &mut bool,
) -> Option<&'a Coupon> {
    let coupon = match &discount.coupon {
        CouponRef::Inline(coupon) => coupon.as_ref(),
        CouponRef::Id(id) => match context.catalog.coupons.get(id) {
            Some(coupon) => coupon,
            None => {
                *incomplete = true;
                return None;
            }
        },
    };
    let runs = discount.end.is_none_or(|end| end > context.now);
    let counts = match coupon.duration {
        Duration::Forever => true,
        Duration::Once | Duration::Repeating | Duration::Other(_) => {
            context.settings.count_temporary_discounts
        }
    };
    (runs && counts && !discount.deleted).then_some(coupon)
}

/// Takes a coupon off the lines it applies to; none falls below 0.
fn take(coupon: &Coupon, lines: &mut [Line<'_>]) {
    let applies = |line: &Line<'_>| {
        !line.net.is_zero()
            && coupon.products.as_ref().is_none_or(|products| {
                line.item
                    .price
                    .product
                    .as_ref()
                    .is_some_and(|product| products.contains(product))
            })
    };
    if let Some(percent) = coupon.percent_off {
        let left = (Exact::one() - percent.exact() / whole(100)).max(Exact::zero());
        for line in lines.iter_mut().filter(|line| applies(line)) {
            line.net = &line.net * &left;
        }
    } else if let Some(amount) = coupon.amount_off {
        let fits = |line: &Line<'_>| {
            applies(line)
                && (coupon.currency.is_none() || coupon.currency.as_ref() == line.currency)
        };
        // The amount comes off each invoice, so it is spread over the interval, and over the lines
        // by their share.
        let Some(recurring) = lines.iter().filter(|l| fits(l)).find_map(|l| l.recurring) else {
            return;
        };
        let amount = whole(amount) * per_month(recurring);
        let sum = lines
            .iter()
            .filter(|l| fits(l))
            .fold(Exact::zero(), |sum, l| sum + &l.net);
        if !sum.is_positive() {
            return;
        }
        let left = ((&sum - amount) / &sum).max(Exact::zero());
        for line in lines.iter_mut().filter(|line| fits(line)) {
            line.net = &line.net * &left;
        }
    }
}
