//! What a customer has paid: each payment once, whichever objects lead to it.
//!
//! A payment shows up as a charge, as the amount paid of an invoice, and as a paid checkout session.
//! Since 2025-03-31 no event tells which invoice a charge pays, so ids cannot pair them in every
//! API version. Amounts can: an invoice or a session *claims* the amounts that its charges asked
//! for. A claim and a charge of the same amount and currency are one payment. A claim without a
//! charge counts as paid, since its charge may not have come yet. A charge without a claim counts by
//! itself. What was paid outside of Stripe has no charge and is kept apart.
//!
//! Sums do not depend on the order of arrival. Claims less charges are kept for each currency and
//! amount that has a claim without a charge, or a charge without a claim. Of more than a thousand
//! (`MAX_AMOUNTS`), they are kept in a fixed number of buckets, by a hash of currency and
//! amount, until all buckets are empty: different amounts of one bucket then count as the same.
//! (docs/adr/0022-one-definition-of-a-failed-invoice.md)

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::money::{Currency, Money};
use crate::objects::charge::{Charge, Status};
use crate::objects::checkout::Checkout;
use crate::objects::invoice::InvoiceState;

/// How many amounts are kept one by one.
const MAX_AMOUNTS: usize = 1_000;
/// How many buckets of amounts there are. Stored, so it never changes.
const BUCKETS: u64 = 128;

/// What a customer has paid.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Payments {
    /// Captured by charges.
    #[serde(skip_serializing_if = "Money::is_empty")]
    captured: Money,
    /// Paid outside of Stripe, as invoices tell.
    #[serde(skip_serializing_if = "Money::is_empty")]
    out_of_band: Money,
    /// Claims less the amounts that charges asked for, by currency and amount.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unpaired: BTreeMap<Currency, BTreeMap<i64, i64>>,
    /// The same by bucket, of too many amounts. An older release kept all of them so.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<u64, Money>,
}

/// What one object adds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contribution {
    currency: Option<Currency>,
    captured: i64,
    out_of_band: i64,
    /// Claimed amounts; charges answer a claim with a negative one.
    claims: Vec<i64>,
}

impl Contribution {
    /// A charge. Nothing is captured of a pending or failed charge, nor of an authorization.
    #[must_use]
    pub fn of_charge(charge: &Charge) -> Self {
        match (&charge.status, charge.asked) {
            (Status::Succeeded, Some(asked)) => Self {
                currency: Some(charge.currency.clone()),
                captured: charge.captured,
                out_of_band: 0,
                claims: vec![-asked],
            },
            (Status::Succeeded | Status::Pending | Status::Failed | Status::Other(_), _) => {
                Self::default()
            }
        }
    }

    /// An invoice. Credit balance is no payment: Stripe leaves it out of the amount paid.
    #[must_use]
    pub fn of_invoice(state: &InvoiceState) -> Self {
        let invoice = state.invoice.get();
        Self {
            currency: Some(invoice.currency.clone()),
            captured: 0,
            out_of_band: invoice.out_of_band(),
            claims: state.charged_amounts(),
        }
    }

    /// A checkout session: nothing where an invoice tells it.
    #[must_use]
    pub fn of_checkout(checkout: &Checkout) -> Self {
        Self {
            currency: checkout.currency.clone(),
            claims: Vec::from_iter(checkout.is_payment().then_some(checkout.amount_total)),
            ..Self::default()
        }
    }
}

impl Payments {
    /// Replaces what an object added before with what it adds now.
    pub fn replace(&mut self, before: &Contribution, after: &Contribution) {
        if before != after {
            self.add(before, -1);
            self.add(after, 1);
        }
    }

    fn add(&mut self, contribution: &Contribution, sign: i64) {
        let Some(currency) = &contribution.currency else {
            return;
        };
        let signed = |amount: i64| amount.saturating_mul(sign);
        self.captured.add(currency, signed(contribution.captured));
        let out_of_band = signed(contribution.out_of_band);
        self.out_of_band.add(currency, out_of_band);
        for amount in &contribution.claims {
            let (of, sum) = (amount.saturating_abs(), signed(*amount));
            if self.claims.is_empty() {
                self.add_to_amount(currency, of, sum);
            } else {
                self.add_to_bucket(currency, of, sum);
            }
        }
    }

    fn add_to_amount(&mut self, currency: &Currency, amount: i64, sum: i64) {
        let amounts = self.unpaired.entry(currency.clone()).or_default();
        let held = amounts.entry(amount).or_default();
        *held = held.saturating_add(sum);
        if *held == 0 {
            amounts.remove(&amount);
        }
        if amounts.is_empty() {
            self.unpaired.remove(currency);
        }
        if self.unpaired.values().map(BTreeMap::len).sum::<usize>() > MAX_AMOUNTS {
            for (currency, amounts) in std::mem::take(&mut self.unpaired) {
                for (amount, sum) in amounts {
                    self.add_to_bucket(&currency, amount, sum);
                }
            }
        }
    }

    fn add_to_bucket(&mut self, currency: &Currency, amount: i64, sum: i64) {
        let bucket = bucket(currency, amount);
        let claims = self.claims.entry(bucket).or_default();
        claims.add(currency, sum);
        if claims.is_empty() {
            self.claims.remove(&bucket);
        }
    }

    /// Claims less charges, as they are kept.
    fn unpaired(&self) -> impl Iterator<Item = (&Currency, i64)> {
        let exact = self.unpaired.iter();
        let exact =
            exact.flat_map(|(currency, amounts)| amounts.values().map(move |sum| (currency, *sum)));
        exact.chain(self.claims.values().flat_map(Money::iter))
    }

    /// All that was paid. `untallied` is the sum that an older release kept of the objects that were
    /// not seen since: their charges answer it like a claim of any amount.
    #[must_use]
    pub fn sum(&self, untallied: &Money) -> Money {
        let (mut sum, mut surplus) = (self.captured.clone(), Money::default());
        sum.add_all(&self.out_of_band);
        for (currency, claimed) in self.unpaired() {
            sum.add(currency, claimed.max(0));
            surplus.add(currency, claimed.min(0).saturating_neg());
        }
        for (currency, paid) in untallied.iter() {
            let left = paid.saturating_sub(surplus.get(currency));
            sum.add(currency, left.max(0));
        }
        sum
    }
}

fn bucket(currency: &Currency, amount: i64) -> u64 {
    xxh3_64(format!("{currency} {amount}").as_bytes()) % BUCKETS
}

#[cfg(test)]
#[path = "payments_tests.rs"]
mod tests;
