//! Which items of a subscription share an invoice, and how many such invoices a month has.
//!
//! Stripe makes one invoice of the items whose periods end together, and separate ones where they
//! diverge (<https://docs.stripe.com/billing/subscriptions/mixed-interval>).

use std::collections::BTreeMap;

use num_traits::Zero;

use super::{Line, per_month};
use crate::money::{Exact, ratio};
use crate::objects::catalog::{Interval, Period, Recurring};

/// The longest cycle of different intervals that is laid out, in months or days. In a longer one,
/// items of different intervals count as invoiced apart.
const MAX_CYCLE: i64 = 1_200;
const DAY_SECONDS: i64 = 86_400;

/// The invoices with the same items.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Invoices {
    /// The places of their items in the subscription.
    pub places: Vec<usize>,
    /// How many a month has.
    pub per_month: Exact,
}

/// What two items must have in common to share an invoice now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Calendar {
    unit: Unit,
    /// The day of the month (28 stands for all later ones, which short months lack) and the second
    /// of the day on which periods end; none where the item has no period of its own.
    moment: Option<(i8, i64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Month,
    Day,
}

/// When an item is invoiced: in every so many units of its calendar, at this offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Schedule {
    every: i64,
    offset: i64,
}

/// The kinds of invoices on which the lines are that are worth anything.
pub(super) fn invoices(lines: &[Line<'_>]) -> Vec<Invoices> {
    let worth = || lines.iter().filter(|line| !line.net.is_zero());
    let first = worth()
        .next()
        .map(|line| (line.recurring, line.item.period));
    let Some((Some(recurring), period)) = first else {
        return Vec::new();
    };
    if worth().all(|line| (line.recurring, line.item.period) == (Some(recurring), period)) {
        return vec![Invoices {
            places: worth().map(|line| line.place).collect(),
            per_month: per_month(recurring),
        }];
    }
    let mut calendars: BTreeMap<Calendar, BTreeMap<Schedule, Vec<usize>>> = BTreeMap::new();
    for line in worth() {
        let scheduled = line
            .recurring
            .and_then(|recurring| schedule(recurring, line.item.period));
        if let Some((calendar, schedule)) = scheduled {
            let places = calendars.entry(calendar).or_default();
            places.entry(schedule).or_default().push(line.place);
        }
    }
    let each = calendars.into_iter();
    each.flat_map(|(calendar, schedules)| of_calendar(calendar.unit, &schedules))
        .collect()
}

/// When an item is invoiced; none for an interval that is not known.
fn schedule(recurring: &Recurring, period: Option<Period>) -> Option<(Calendar, Schedule)> {
    let count = i64::from(recurring.count.max(1));
    let (unit, every) = match recurring.interval {
        Interval::Month => (Unit::Month, count),
        Interval::Year => (Unit::Month, 12 * count),
        Interval::Week => (Unit::Day, 7 * count),
        Interval::Day => (Unit::Day, count),
        Interval::Other(_) => return None,
    };
    let Some(end) = period.map(|period| period.end) else {
        let calendar = Calendar { unit, moment: None };
        return Some((calendar, Schedule { every, offset: 0 }));
    };
    let second = end.unix().rem_euclid(DAY_SECONDS);
    let (day, index) = match unit {
        Unit::Month => {
            let date = end.date();
            let months = i64::from(date.year()) * 12 + i64::from(date.month());
            (date.day().min(28), months)
        }
        Unit::Day => (0, end.unix().div_euclid(DAY_SECONDS)),
    };
    let calendar = Calendar {
        unit,
        moment: Some((day, second)),
    };
    let offset = index.rem_euclid(every);
    Some((calendar, Schedule { every, offset }))
}

/// Lays one common cycle out, and counts the invoices in it that have the same items.
fn of_calendar(unit: Unit, schedules: &BTreeMap<Schedule, Vec<usize>>) -> Vec<Invoices> {
    let weekly = unit == Unit::Day && schedules.keys().all(|schedule| schedule.every % 7 == 0);
    // As in `per_month`: a year has 52 weeks, or 365 days.
    let per_slot = match unit {
        Unit::Month => ratio(1, 1),
        Unit::Day if weekly => ratio(7 * 52, 12),
        Unit::Day => ratio(365, 12),
    };
    let cycle = schedules.keys().try_fold(1_i64, |cycle, schedule| {
        Some(num_integer::lcm(cycle, schedule.every)).filter(|cycle| *cycle <= MAX_CYCLE)
    });
    let Some(cycle) = cycle else {
        let apart = schedules.iter().map(|(schedule, places)| Invoices {
            places: places.clone(),
            per_month: &per_slot * ratio(1, schedule.every),
        });
        return apart.collect();
    };
    let mut counted: BTreeMap<Vec<usize>, i64> = BTreeMap::new();
    for slot in 0..cycle {
        let due = schedules
            .iter()
            .filter(|(schedule, _)| slot % schedule.every == schedule.offset);
        let mut places: Vec<_> = due.flat_map(|(_, places)| places.iter().copied()).collect();
        places.sort_unstable();
        if !places.is_empty() {
            *counted.entry(places).or_default() += 1;
        }
    }
    let kinds = counted.into_iter().map(|(places, count)| Invoices {
        places,
        per_month: &per_slot * ratio(count, cycle),
    });
    kinds.collect()
}

/// Splits what lines are worth by the invoices they are on.
pub(super) fn split(lines: &mut [Line<'_>], invoices: &[Invoices]) {
    for line in lines.iter_mut().filter(|line| line.parts.is_empty()) {
        let holds = |kind: &&Invoices| kind.places.contains(&line.place);
        let all = invoices.iter().filter(holds);
        let all = all.fold(Exact::zero(), |sum, kind| sum + &kind.per_month);
        let part = |kind: &Invoices| match holds(&kind) {
            true => &line.net * &kind.per_month / &all,
            false => Exact::zero(),
        };
        line.parts = invoices.iter().map(part).collect();
    }
}
