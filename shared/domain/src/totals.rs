//! Sums over a Stripe customer's objects that are too many to load, kept by adding differences.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::{CustomerId, StripeId};
use crate::identity::Linked;
use crate::money::Money;
use crate::objects::charge::Charge;
use crate::objects::invoice::{AttemptOutcome, Invoice, InvoiceState, Status};
use crate::time::Timestamp;

/// The most one-off purchases and refunded charges that are kept.
const MAX_PURCHASES: usize = 20;
/// The most reasons of declined charges that are kept.
const MAX_DECLINES: usize = 8;
/// The most invoices that are kept as not collected.
const MAX_FAILING: usize = 20;
/// The most objects that are kept as undecided.
const MAX_UNDECIDED: usize = 20;
/// How far apart Stripe may tell of a charge and of the invoice that it was for.
const SAME_ATTEMPT_SECONDS: i64 = 120;

/// An open invoice whose collection failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// The first attempt that failed, else when the invoice was made.
    pub since: Timestamp,
    /// The subscription that it is for.
    pub subscription: Option<StripeId>,
    /// The next automatic attempt.
    pub next_attempt: Option<Timestamp>,
    /// Whether Stripe has given up trying.
    pub exhausted: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// Still to be paid.
    pub amount: Money,
    /// The charge and the payment intent, by which a decline is found.
    pub payment: [Option<StripeId>; 2],
}

impl Failing {
    fn of(state: &InvoiceState) -> Option<Self> {
        let invoice = state.invoice.get();
        let open = matches!(invoice.status, Status::Open | Status::Uncollectible);
        let failed = state.attempts.values();
        let failed = failed.filter(|attempt| attempt.outcome == AttemptOutcome::Failed);
        let first = failed.map(|attempt| attempt.at).min();
        let exhausted = invoice.is_exhausted() || invoice.status == Status::Uncollectible;
        let retries = invoice.attempt_count > 0 && invoice.next_payment_attempt.is_some();
        let fails =
            open && invoice.charges_automatically && (first.is_some() || retries || exhausted);
        fails.then(|| Self {
            since: first.unwrap_or(invoice.created),
            subscription: invoice.subscription.get().clone(),
            next_attempt: invoice.next_payment_attempt,
            exhausted,
            attempts: invoice.attempt_count,
            amount: Money::of(&invoice.currency, invoice.amount_due - invoice.amount_paid),
            payment: [
                invoice.charge.get().clone(),
                invoice.payment_intent.get().clone(),
            ],
        })
    }
}

/// A one-off payment for a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// The price.
    pub price: StripeId,
    /// The product, if known.
    pub product: Option<StripeId>,
    /// Minor units paid with it.
    pub amount: i64,
    /// When.
    pub at: Timestamp,
    /// The charge, if known.
    pub charge: Option<StripeId>,
    /// The payment intent, if known.
    pub payment_intent: Option<StripeId>,
}

/// A charge that was given back whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// Its payment intent.
    pub payment_intent: Option<StripeId>,
    /// Its invoice, where the API version tells it.
    pub invoice: Option<StripeId>,
    /// Minor units.
    pub amount: i64,
}

/// Sums over objects that are too many to load, kept by adding differences.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Paid, over all invoices and payments.
    pub paid: Money,
    /// Given back, over all charges.
    pub refunded: Money,
    /// One-off purchases of lifetime prices, by invoice or session.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub purchases: BTreeMap<StripeId, Purchase>,
    /// Charges given back whole, while there is a purchase they could belong to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunded_charges: BTreeMap<StripeId, Refunded>,
    /// Why the latest charges were declined, by charge: (when, invoice or payment intent, code).
    /// Events of invoices take the code from here; at most eight are kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub declines: BTreeMap<StripeId, (Timestamp, Option<StripeId>, String)>,
    /// Invoices that could not be collected and are still open.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failing: BTreeMap<StripeId, Failing>,
    /// Invoices, charges and checkout sessions whose newest state no event could tell.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub undecided: BTreeSet<StripeId>,
    /// A link that was made once, by hand or by a name that fitted, and stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked: Option<Linked>,
    /// Whom the newest checkout session names as the buyer: (when, session, contact).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<(Timestamp, StripeId, CustomerId)>,
}

impl Totals {
    /// Notes a purchase; the newest are kept.
    pub fn note_purchase(&mut self, source: &StripeId, purchase: Purchase) {
        self.purchases.insert(source.clone(), purchase);
        while self.purchases.len() > MAX_PURCHASES {
            let oldest = self
                .purchases
                .iter()
                .min_by_key(|(id, p)| (p.at, (*id).clone()));
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            self.purchases.remove(&oldest);
        }
    }

    /// Notes where the collection of an invoice stands; the ones that failed first are kept.
    pub fn note_failing(&mut self, state: &InvoiceState) {
        let id = &state.invoice.get().id;
        match Failing::of(state) {
            Some(failing) => self.failing.insert(id.clone(), failing),
            None => self.failing.remove(id),
        };
        while self.failing.len() > MAX_FAILING {
            let newest = self.failing.iter().max_by_key(|(id, f)| (f.since, *id));
            let Some(newest) = newest.map(|(id, _)| id.clone()) else {
                break;
            };
            self.failing.remove(&newest);
        }
    }

    /// Notes whether the newest state of an object that is not loaded is a guess.
    pub fn note_undecided(&mut self, id: &StripeId, undecided: bool) {
        if undecided && self.undecided.len() < MAX_UNDECIDED {
            self.undecided.insert(id.clone());
        } else if !undecided {
            self.undecided.remove(id);
        }
    }

    /// Notes a charge that was given back whole.
    pub fn note_refunded(&mut self, charge: &StripeId, refunded: Refunded) {
        self.refunded_charges.insert(charge.clone(), refunded);
        while self.refunded_charges.len() > MAX_PURCHASES {
            self.refunded_charges.pop_first();
        }
    }

    /// Notes why a charge was declined; the latest are kept.
    pub fn note_decline(&mut self, charge: &Charge, at: Timestamp, code: &str) {
        let of = charge
            .invoice
            .clone()
            .or_else(|| charge.payment_intent.clone());
        let at = self
            .declines
            .get(&charge.id)
            .map_or(at, |(known, ..)| at.min(*known));
        self.declines
            .insert(charge.id.clone(), (at, of, code.to_owned()));
        while self.declines.len() > MAX_DECLINES {
            let oldest = self
                .declines
                .iter()
                .min_by_key(|(id, (at, ..))| (*at, (*id).clone()));
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            self.declines.remove(&oldest);
        }
    }

    /// Why an invoice's charge was declined: by its id, else the decline of the same minutes.
    #[must_use]
    pub fn decline(&self, invoice: &Invoice, at: Timestamp) -> Option<String> {
        let names = [Some(&invoice.id), invoice.payment_intent.get().as_ref()];
        let own = self.declines.iter().find(|(charge, (_, of, _))| {
            invoice.charge.get().as_ref() == Some(charge)
                || (of.is_some() && names.contains(&of.as_ref()))
        });
        let near = || {
            let apart = |when: Timestamp| (when.unix() - at.unix()).abs();
            let nearest = self
                .declines
                .iter()
                .min_by_key(|(_, (when, ..))| apart(*when));
            nearest.filter(|(_, (when, ..))| apart(*when) <= SAME_ATTEMPT_SECONDS)
        };
        own.or_else(near).map(|(_, (_, _, code))| code.clone())
    }

    /// Why the newest attempt at an invoice that is still open was declined.
    #[must_use]
    pub fn decline_of(&self, invoice: &StripeId, failing: &Failing) -> Option<&str> {
        let declines = self.declines.iter();
        let own = declines.filter(|(charge, (_, of, _))| {
            failing
                .payment
                .iter()
                .flatten()
                .any(|payment| payment == *charge)
                || of.as_ref().is_some_and(|of| {
                    of == invoice
                        || failing
                            .payment
                            .iter()
                            .flatten()
                            .any(|payment| payment == of)
                })
        });
        own.max_by_key(|(_, (at, ..))| *at)
            .map(|(_, (.., code))| code.as_str())
    }

    /// The lifetime purchase that still holds, if any.
    pub(crate) fn lifetime(&self) -> Option<&Purchase> {
        let held = self.purchases.iter().filter(|(source, purchase)| {
            !self.refunded_charges.iter().any(|(charge, refunded)| {
                purchase.charge.as_ref() == Some(charge)
                    || refunded.invoice.as_ref() == Some(source)
                    || (purchase.payment_intent.is_some()
                        && purchase.payment_intent == refunded.payment_intent)
                    || (purchase.charge.is_none()
                        && purchase.payment_intent.is_none()
                        && refunded.invoice.is_none()
                        && purchase.amount == refunded.amount)
            })
        });
        held.max_by_key(|(source, purchase)| (purchase.at, (*source).clone()))
            .map(|(_, p)| p)
    }
}
