//! Monthly and annual recurring revenue of one subscription, exactly.
//!
//! Everything is a rational number of minor units until the one rounding at the end. The rules are
//! those of the table in `docs/MRR.md`; the settings are [`MrrSettings`].

mod discount;
mod invoices;
pub mod trace;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use num_traits::{One, Zero};

use crate::account::{Account, Catalog};
use crate::money::{Currency, Exact, Money, ratio, round_half_up, round_multiple, whole};
use crate::objects::catalog::{Interval, Price, Recurring, Scheme, TaxRate, Tier, TierMode};
use crate::objects::subscription::{Item, Status, Subscription};
use crate::settings::MrrSettings;
use crate::time::Timestamp;
use trace::{Note, Rule, Silent, Trace, What};

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
    /// Whether the nominal amount of an item is among that, whether or not the item counts.
    pub unknown_nominal: bool,
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
    traced(subscription, context, &mut Silent)
}

/// Values a subscription and tells how: this is the only valuation there is.
pub fn traced(subscription: &Subscription, context: Context<'_>, trace: &mut impl Trace) -> Value {
    let rules = rules(subscription, context.settings);
    let counts = rules.iter().flatten().all(|(_, counts)| *counts);
    let mut unknown_nominal = subscription.items_cut;
    let mut lines = Vec::with_capacity(subscription.items.len());
    for (place, item) in subscription.items.iter().enumerate() {
        trace.item(place);
        let (mut line, known) = line(place, item, subscription, context, trace);
        unknown_nominal |= !known;
        for (rule, _) in rules.iter().flatten().filter(|(_, counts)| !counts) {
            line.net = Exact::zero();
            trace.step(Some(&line.net), || What::Uncounted(*rule));
        }
        lines.push(line);
    }
    let mut incomplete = counts && unknown_nominal;
    if counts {
        incomplete |= discount::take_all(&mut lines, subscription, context, trace);
        for (rule, _) in rules.iter().flatten() {
            trace.note(Note::Counts(*rule));
        }
    }
    if subscription.items_cut {
        trace.note(Note::ItemsCut);
    }
    if incomplete {
        trace.note(Note::Incomplete);
    }
    let mut sums: BTreeMap<&Currency, Exact> = BTreeMap::new();
    for line in lines.iter_mut().filter(|line| !line.net.is_zero()) {
        trace.item(line.place);
        line.take_tax_out(trace);
        if let Some(currency) = line.currency {
            match sums.entry(currency) {
                Entry::Vacant(place) => {
                    place.insert(line.net.clone());
                }
                Entry::Occupied(mut sum) => *sum.get_mut() += &line.net,
            }
        }
    }
    let (mut mrr, mut arr) = (Money::default(), Money::default());
    for (currency, sum) in sums {
        trace.sum(currency, &sum);
        mrr.add(currency, round_half_up(&sum));
        arr.add(currency, round_multiple(&sum, 12));
    }
    let items = lines.into_iter().map(Line::into_value).collect();
    Value {
        mrr,
        arr,
        items,
        incomplete,
        unknown_nominal,
    }
}

/// The rules that a subscription meets, each with whether it counts by that rule.
fn rules(subscription: &Subscription, settings: &MrrSettings) -> [Option<(Rule, bool)>; 3] {
    let status = match subscription.status {
        Status::Active => None,
        Status::PastDue => Some((Rule::PastDue, settings.past_due_counts)),
        Status::Incomplete
        | Status::IncompleteExpired
        | Status::Trialing
        | Status::Canceled
        | Status::Unpaid
        | Status::Paused
        | Status::Other(_) => Some((Rule::Status, false)),
    };
    let ends = subscription.cancel_at_period_end || subscription.cancel_at.get().is_some();
    let paused = subscription.pause.get().is_some();
    [
        status,
        ends.then_some((Rule::ScheduledEnd, settings.count_scheduled_cancellations)),
        paused.then_some((Rule::PausedCollection, settings.count_paused_collection)),
    ]
}

/// An item on its way from list price to net, per month.
struct Line<'a> {
    place: usize,
    item: &'a Item,
    recurring: Option<&'a Recurring>,
    currency: Option<&'a Currency>,
    nominal: Exact,
    net: Exact,
    /// `net` by the subscription's kinds of invoices, once an amount has come off them.
    parts: Vec<Exact>,
    taxes: &'a [TaxRate],
}

impl Line<'_> {
    fn take_tax_out(&mut self, trace: &mut impl Trace) {
        let inclusive = self.taxes.iter().filter(|tax| tax.inclusive);
        let percent = inclusive.fold(Exact::zero(), |sum, tax| sum + tax.percentage.exact());
        if !percent.is_zero() {
            self.net = &self.net / (Exact::one() + &percent / whole(100));
            trace.step(Some(&self.net), || What::Tax(percent));
        }
    }

    fn into_value(self) -> ItemValue {
        ItemValue {
            currency: self.currency.cloned(),
            mrr: self.net,
            nominal: self.nominal,
        }
    }
}

/// An item before what counts for the whole subscription, and whether its price is known.
fn line<'a>(
    place: usize,
    item: &'a Item,
    subscription: &'a Subscription,
    context: Context<'a>,
    trace: &mut impl Trace,
) -> (Line<'a>, bool) {
    let wanted = subscription.currency.as_ref();
    let (recurring, monthly) = monthly(item, wanted, context.catalog, trace);
    let known = monthly.is_some();
    let nominal = monthly.unwrap_or_else(Exact::zero);
    let mut net = nominal.clone();
    if let Some(end) = item.trial_until.filter(|end| *end > context.now) {
        net = Exact::zero();
        trace.step(Some(&net), || What::Trial(end));
    }
    let taxes = if item.taxes.is_empty() {
        &subscription.default_taxes
    } else {
        &item.taxes
    };
    let line = Line {
        place,
        item,
        recurring,
        currency: wanted.or(item.price.currency.as_ref()),
        nominal,
        net,
        parts: Vec::new(),
        taxes,
    };
    (line, known)
}

/// How an item recurs, if it does, and what it costs per month in the subscription's currency; none
/// when that is not known. An amount in another currency is never taken for it.
fn monthly<'a>(
    item: &'a Item,
    currency: Option<&Currency>,
    catalog: &Catalog,
    trace: &mut impl Trace,
) -> (Option<&'a Recurring>, Option<Exact>) {
    let recurring = match &item.price.recurring {
        Some(recurring) if !recurring.metered => recurring,
        other => {
            let zero = Exact::zero();
            trace.step(Some(&zero), || {
                if other.is_some() {
                    What::Metered
                } else {
                    What::OneOff
                }
            });
            return (None, Some(zero));
        }
    };
    let known = catalog.prices.get(&item.price.id);
    let scheme = item.price.scheme_in(currency);
    let scheme = scheme.or_else(|| known.and_then(|known| known.scheme_in(currency)));
    let cost = scheme.and_then(|scheme| cost(scheme, &item.price, item.quantity, trace));
    let Some(mut cost) = cost else {
        trace.step(Some(&Exact::zero()), || What::NotTold);
        return (Some(recurring), None);
    };
    if !is_monthly(recurring) {
        cost *= per_month(recurring);
    }
    trace.step(Some(&cost), || What::PerMonth {
        recurring: recurring.clone(),
        factor: per_month(recurring),
    });
    (Some(recurring), Some(cost))
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
fn cost(
    scheme: &Scheme,
    price: &Price,
    given: Option<u64>,
    trace: &mut impl Trace,
) -> Option<Exact> {
    let quantity = given.unwrap_or(1);
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
    trace.step(None, || What::Quantity {
        given,
        transform: price.transform,
        units,
    });
    match scheme {
        Scheme::PerUnit(unit) => {
            let unit = (*unit)?;
            let cost = unit.times(units);
            trace.step(Some(&cost), || What::PerUnit { unit, units });
            Some(cost)
        }
        Scheme::Tiered(mode, tiers) => tiers.as_ref().map(|tiers| match mode {
            TierMode::Graduated => graduated(tiers, units, trace),
            TierMode::Volume => volume(tiers, units, trace),
        }),
    }
}

/// What so many units come to, and what is to be paid whatever their number.
fn priced(tier: &Tier, units: u64) -> Exact {
    let unit = tier.unit.unwrap_or_default();
    unit.times(units) + tier.flat.unwrap_or_default().exact()
}

fn graduated(tiers: &[Tier], units: u64, trace: &mut impl Trace) -> Exact {
    let mut below = 0;
    let mut sum = Exact::zero();
    for (tier, number) in tiers.iter().zip(1..) {
        let reached = units > below || (below == 0 && units == 0);
        if !reached {
            break;
        }
        let top = tier.up_to.unwrap_or(u64::MAX).min(units);
        let here = top.saturating_sub(below);
        sum += priced(tier, here);
        trace.step(Some(&sum), || {
            reached_tier(TierMode::Graduated, number, tier, here)
        });
        below = tier.up_to.unwrap_or(u64::MAX);
    }
    sum
}

fn volume(tiers: &[Tier], units: u64, trace: &mut impl Trace) -> Exact {
    let holds = |(tier, _): &(&Tier, usize)| tier.up_to.is_none_or(|top| units <= top);
    let Some((tier, number)) = tiers.iter().zip(1..).find(holds) else {
        return Exact::zero();
    };
    let cost = priced(tier, units);
    trace.step(Some(&cost), || {
        reached_tier(TierMode::Volume, number, tier, units)
    });
    cost
}

fn reached_tier(mode: TierMode, number: usize, tier: &Tier, units: u64) -> What {
    What::Tier {
        mode,
        number,
        units,
        unit: tier.unit,
        flat: tier.flat,
    }
}
