//! Applying a fact to an account. Pure, total, deterministic; dispatch only, one file per object.

mod catalog;
mod charge;
mod checkout;
mod compare;
mod customer;
mod discount;
mod dispute;
mod invoice;
mod payment_method;
mod schedule;
mod subscription;

pub use catalog::{apply_catalog, catalog_key};
pub use compare::{ObjectChange, Reading, compare};

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::account::{Account, ObjectKey};
use crate::collection::Collection;
use crate::decline::Decline;
use crate::event::Event;
use crate::fact::{Body, Fact, Link};
use crate::id::StripeId;
use crate::order::Disposition;
use crate::rollup::Context;
use crate::totals::Totals;

/// What a fact did to an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Whether it counted.
    pub disposition: Disposition,
    /// The objects to write.
    pub changed: Vec<ObjectKey>,
    /// What happened, for the bus.
    pub events: Vec<Event>,
    /// Names under which the customer can be found from now on.
    pub links: Vec<Link>,
}

impl Applied {
    fn new(disposition: Disposition) -> Self {
        Self {
            disposition,
            changed: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
        }
    }

    /// A fact that this account has nothing to do with.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(Disposition::Known)
    }

    /// Starts from what became of a snapshot: an applied one is to be written.
    fn of(disposition: Disposition, key: ObjectKey) -> Self {
        let mut applied = Self::new(disposition);
        if disposition == Disposition::Applied {
            applied.changed.push(key);
        }
        applied
    }

    /// Notes that an object changed beside its snapshot.
    fn touch(&mut self, key: ObjectKey, rev: &mut u64) {
        if !self.changed.contains(&key) {
            *rev += 1;
            self.changed.push(key);
        }
        self.disposition = Disposition::Applied;
    }

    /// Adds what another fact about the same object did.
    pub fn extend(&mut self, other: Self) {
        if other.disposition == Disposition::Applied {
            self.disposition = Disposition::Applied;
        }
        let known = std::mem::take(&mut self.changed);
        let new = other.changed.into_iter().filter(|key| !known.contains(key));
        self.changed = new.collect();
        self.changed.extend(known);
        self.events.extend(other.events);
        self.links.extend(other.links);
    }

    fn emit(&mut self, name: &'static str, data: serde_json::Value) {
        self.events.push(Event::new(name, data));
    }
}

/// Applies a fact to the account it belongs to.
///
/// `totals` are the sums of the account's roll-up, which change by what the fact adds.
pub fn apply(
    account: &mut Account,
    totals: &mut Totals,
    fact: &Fact,
    context: Context<'_>,
) -> Applied {
    let exhausted = exhausted(totals);
    let mut applied = match &fact.body {
        Body::Customer(customer) => customer::apply(account, fact, customer),
        Body::Subscription(new) => subscription::apply(account, totals, fact, new, context),
        Body::Invoice(invoice) => invoice::apply(account, totals, fact, invoice, context),
        Body::PaymentMethod(method) => payment_method::apply(account, fact, method),
        Body::Charge(charge) => charge::apply(account, totals, fact, charge),
        Body::Refund(refund) => charge::apply_refund(account, totals, fact, refund),
        Body::Dispute(dispute) => dispute::apply(account, fact, dispute),
        Body::Checkout(checkout) => checkout::apply(account, totals, fact, checkout, context),
        Body::Schedule(schedule) => schedule::apply(account, fact, schedule),
        Body::Discount(discount) => discount::apply(account, fact, discount),
        Body::Product(_) | Body::Price(_) | Body::Coupon(_) => Applied::nothing(),
    };
    for invoice in totals.open_invoices().filter(|open| open.is_exhausted()) {
        if !exhausted.contains(invoice.id) {
            applied.emit("payment_retries_exhausted", given_up(invoice));
        }
    }
    note_undecided(account, totals);
    applied
}

/// The open invoices that Stripe has given up. Either the invoice or its charge may be told last.
fn exhausted(totals: &Totals) -> BTreeSet<StripeId> {
    let exhausted = totals.open_invoices().filter(|open| open.is_exhausted());
    exhausted.map(|open| open.id.clone()).collect()
}

fn given_up(open: Collection<'_>) -> Value {
    let mut data = json!({
        "invoice": open.id,
        "subscription": open.invoice.subscription,
        "amount": open.invoice.amount,
        "attempt_count": open.invoice.attempts,
        "next_payment_attempt": null,
    });
    put_decline(&mut data, open.decline());
    data
}

/// Adds why a charge was declined, and whether the same card may still pay.
fn put_decline(data: &mut Value, decline: Option<&Decline>) {
    if let Value::Object(fields) = data {
        let code = decline.and_then(|decline| decline.code.as_ref());
        fields.insert("decline_code".to_owned(), json!(code));
        let advice = decline.and_then(|decline| decline.advice.as_ref());
        fields.insert("advice_code".to_owned(), json!(advice));
        let kind = decline.and_then(Decline::kind);
        fields.insert("decline_kind".to_owned(), json!(kind));
    }
}

/// Notes of the object that is loaded beside the working set whether its newest state is a guess.
fn note_undecided(account: &Account, totals: &mut Totals) {
    if let Some(stored) = &account.invoice {
        let invoice = &stored.value.invoice;
        totals.note_undecided(&invoice.get().id, invoice.is_undecided());
    }
    let charge = account.charge.as_ref();
    if let Some(charge) = charge.and_then(|stored| stored.value.charge.as_ref()) {
        totals.note_undecided(&charge.get().id, charge.is_undecided());
    }
    if let Some(stored) = &account.checkout {
        totals.note_undecided(&stored.value.get().id, stored.value.is_undecided());
    }
}
