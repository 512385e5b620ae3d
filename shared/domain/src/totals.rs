//! Sums over a Stripe customer's objects that are too many to load, kept by adding differences.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::collection::{Collection, OpenInvoice};
use crate::decline::Decline;
use crate::id::{CustomerId, StripeId};
use crate::identity::Linked;
use crate::money::Money;
use crate::objects::charge::{Charge, Status};
use crate::objects::invoice::{Invoice, InvoiceState};
use crate::payments::Payments;
use crate::time::Timestamp;

/// The most one-off purchases and refunded charges that are kept.
const MAX_PURCHASES: usize = 20;
/// The most failed charges that are kept.
const MAX_DECLINES: usize = 24;
/// The most pending charges that are kept.
const MAX_PENDING: usize = 20;
/// The most open invoices that are kept.
const MAX_OPEN: usize = 20;
/// The most objects that are kept as undecided.
const MAX_UNDECIDED: usize = 20;
/// How far apart Stripe may tell of a charge and of the invoice that it was for, if nothing else says
/// that they belong together.
const SAME_ATTEMPT_SECONDS: i64 = 120;
/// The same for a charge that is known to be for the invoice: attempts are days apart.
const OWN_ATTEMPT_SECONDS: i64 = 43_200;

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
    /// What an older release counted as paid, of the invoices and sessions that Stripe has not told of
    /// since.
    pub paid: Money,
    /// What was paid, each payment once.
    #[serde(default)]
    pub payments: Payments,
    /// Given back, over all charges.
    pub refunded: Money,
    /// One-off purchases of lifetime prices, by invoice or session.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub purchases: BTreeMap<StripeId, Purchase>,
    /// Charges given back whole, while there is a purchase they could belong to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunded_charges: BTreeMap<StripeId, Refunded>,
    /// The latest failed charges. Events of invoices take the decline code from here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub declines: BTreeMap<StripeId, Decline>,
    /// Charges that are on their way, with the invoice, else the payment intent, that each is for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pending: BTreeMap<StripeId, Option<StripeId>>,
    /// Open invoices. (An older release kept only those that it held for failed.)
    #[serde(
        default,
        rename = "failing",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub open: BTreeMap<StripeId, OpenInvoice>,
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

    /// Paid less given back, per currency.
    #[must_use]
    pub fn lifetime_value(&self) -> Money {
        let mut value = self.payments.sum(&self.paid);
        value.subtract_all(&self.refunded);
        value
    }

    /// Every open invoice, with what is known of its attempts.
    pub fn open_invoices(&self) -> impl Iterator<Item = Collection<'_>> + Clone {
        self.open
            .iter()
            .filter_map(|(id, invoice)| Collection::new(id, invoice, self))
    }

    /// The open invoices of which an attempt has failed.
    pub fn failed_invoices(&self) -> impl Iterator<Item = Collection<'_>> + Clone {
        self.open_invoices()
            .filter(|invoice| invoice.failed_at().is_some())
    }

    /// Notes whether an invoice is open; of too many, those that fell due or failed first are kept.
    pub fn note_open(&mut self, state: &InvoiceState) {
        let id = &state.invoice.get().id;
        match OpenInvoice::of(state) {
            Some(open) => self.open.insert(id.clone(), open),
            None => self.open.remove(id),
        };
        while self.open.len() > MAX_OPEN {
            let all = self.open_invoices();
            let start = all.map(|open| {
                let since = open.past_due_since();
                (since.is_none(), since, open.invoice.since, open.id)
            });
            let last = start.max().map(|(.., id)| id.clone());
            let Some(last) = last.or_else(|| self.open.keys().next().cloned()) else {
                break;
            };
            self.open.remove(&last);
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

    /// Notes whether a charge is on its way, or has failed: `told` is the second of the event that
    /// tells of the failure. Gives whether that was new. The latest are kept.
    pub fn note_attempt(&mut self, charge: &Charge, told: Option<Timestamp>) -> bool {
        let before = (self.pending.clone(), self.declines.clone());
        self.pending.remove(&charge.id);
        match charge.status {
            Status::Pending => {
                let of = charge.invoice.clone();
                let of = of.or_else(|| charge.payment_intent.clone());
                self.pending.insert(charge.id.clone(), of);
            }
            Status::Failed => self.note_decline(charge, told),
            Status::Succeeded | Status::Other(_) => {}
        }
        while self.pending.len() > MAX_PENDING {
            self.pending.pop_first();
        }
        before != (self.pending.clone(), self.declines.clone())
    }

    fn note_decline(&mut self, charge: &Charge, told: Option<Timestamp>) {
        let decline = Decline::new(charge, told);
        match self.declines.get_mut(&charge.id) {
            Some(known) => known.merge(decline),
            None => {
                self.declines.insert(charge.id.clone(), decline);
            }
        }
        while self.declines.len() > MAX_DECLINES {
            let oldest = self.declines.iter();
            let oldest = oldest.min_by_key(|(id, decline)| (decline.at(), (*id).clone()));
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            self.declines.remove(&oldest);
        }
    }

    /// Why an attempt to collect an invoice failed: by the ids that they share, else by the decline
    /// of the same minutes, since newer API versions let them share none.
    #[must_use]
    pub fn decline(&self, invoice: &Invoice, at: Timestamp) -> Option<&Decline> {
        let names: BTreeSet<StripeId> = invoice.payment_names().collect();
        let is_own = |charge: &StripeId, decline: &Decline| {
            names.contains(charge)
                || decline
                    .of
                    .as_ref()
                    .is_some_and(|of| *of == invoice.id || names.contains(of))
        };
        let apart = |decline: &Decline| (decline.at().unix() - at.unix()).abs();
        let own = self.declines.iter();
        let own = own.filter(|(charge, decline)| is_own(charge, decline));
        let own = own.map(|(_, decline)| decline);
        let own = own.filter(|d| !d.is_told() || apart(d) <= OWN_ATTEMPT_SECONDS);
        let own = own.min_by_key(|d| apart(d));
        own.or_else(|| {
            let nearest = self.declines.values().min_by_key(|d| apart(d));
            nearest.filter(|decline| apart(decline) <= SAME_ATTEMPT_SECONDS)
        })
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
