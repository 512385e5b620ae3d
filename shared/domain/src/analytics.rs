//! What a day comes to: revenue, MRR, churn, lifetime value, trials.
//!
//! It follows from two things that are stored: what happened, one [`Fact`] per event, and the
//! [`Book`], which is all contacts added up. Currencies are never added together.

mod book;
mod day;
mod fact;

use std::collections::BTreeSet;

pub use book::{Book, Lifetime};
pub use day::{Day, InvalidDay};
pub use fact::{Counted, Fact, Happened, Revenue};

use crate::money::{Currency, ratio, round_half_up, round_multiple, whole};

/// One figure of a day. Amounts are in minor units, rates in tenths of a percent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figure {
    /// What was paid on the day.
    Revenue(Currency, Revenue),
    /// What comes in per month, and what that is more than before the month.
    Mrr {
        /// The currency.
        currency: Currency,
        /// Per month.
        amount: i64,
        /// More than when the month began.
        delta: i64,
    },
    /// Who left in the month up to the day, of those who paid when it began.
    Churn {
        /// The share.
        rate: i64,
        /// How many subscriptions.
        cancellations: u64,
    },
    /// What a customer has paid on average.
    Ltv {
        /// The currency.
        currency: Currency,
        /// On average.
        average: i64,
        /// How much more than a month before, if that is known.
        change: Option<i64>,
    },
    /// The trials that were over in the month up to the day.
    Trials {
        /// The share that became paying.
        rate: i64,
        /// How many did.
        converted: u64,
        /// How many were over.
        ended: u64,
    },
}

impl Figure {
    /// Its name, and its currency where it has one: no two figures of a day have the same.
    #[must_use]
    pub fn name(&self) -> (&'static str, Option<&Currency>) {
        match self {
            Self::Revenue(currency, _) => ("revenue_daily", Some(currency)),
            Self::Mrr { currency, .. } => ("mrr_update", Some(currency)),
            Self::Churn { .. } => ("churn_rate", None),
            Self::Ltv { currency, .. } => ("ltv_update", Some(currency)),
            Self::Trials { .. } => ("trial_conversion", None),
        }
    }
}

/// What came before a day, as far as it was kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Earlier<'a> {
    /// When the month began, or the first that is known of it.
    pub month_began: Option<&'a Book>,
    /// A month before the day.
    pub month_before: Option<&'a Book>,
}

/// The figures of a day, in their order: those in money once per currency. None where nothing ever
/// happened.
#[must_use]
pub fn figures(counted: &Counted, book: &Book, earlier: Earlier<'_>) -> Vec<Figure> {
    let began = earlier.month_began;
    if *book == Book::default() && began.is_none() && counted.is_nothing() {
        return Vec::new();
    }
    let mut currencies: BTreeSet<&Currency> = counted.revenue.keys().collect();
    currencies.extend(book.currencies());
    currencies.extend(began.into_iter().flat_map(Book::currencies));
    let revenue = currencies.iter().map(|currency| {
        let revenue = counted.revenue.get(currency).copied();
        Figure::Revenue((*currency).clone(), revenue.unwrap_or_default())
    });
    let mrr = currencies.iter().map(|currency| {
        let amount = book.mrr.get(currency);
        let before = began.map_or(amount, |began| began.mrr.get(currency));
        Figure::Mrr {
            currency: (*currency).clone(),
            amount,
            delta: amount.saturating_sub(before),
        }
    });
    let ltv = book.lifetime.iter().map(|(currency, lifetime)| {
        let before = earlier.month_before;
        let before = before.and_then(|book| book.lifetime.get(currency));
        Figure::Ltv {
            currency: currency.clone(),
            average: round_half_up(&lifetime.average()),
            change: before.and_then(|before| lifetime.change(before)),
        }
    });
    let paying = began.map_or(book.subscribers + counted.cancellations, |began| {
        began.subscribers
    });
    let ended = counted.converted + counted.lost;
    let mut figures: Vec<_> = revenue.chain(mrr).collect();
    figures.push(Figure::Churn {
        rate: share(counted.cancellations, paying),
        cancellations: counted.cancellations,
    });
    figures.extend(ltv);
    figures.push(Figure::Trials {
        rate: share(counted.converted, ended),
        converted: counted.converted,
        ended,
    });
    figures
}

/// A share in tenths of a percent; none of nothing is 0.
fn share(part: u64, all: u64) -> i64 {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    if all == 0 {
        return 0;
    }
    round_multiple(&ratio(number(part), number(all)), 1_000)
}

impl Lifetime {
    /// How much more the average is than before, in tenths of a percent.
    fn change(&self, before: &Self) -> Option<i64> {
        let before = before.average();
        (before > whole(0)).then(|| round_multiple(&(self.average() / before - whole(1)), 1_000))
    }
}
