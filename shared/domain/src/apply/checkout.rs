//! A checkout session: finished, left, or paid; and whom it names as the buyer.

use serde_json::{Value, json};

use super::Applied;
use crate::account::{Account, ObjectKey, observe};
use crate::audit::{Diff, FieldChange};
use crate::fact::{Fact, Link};
use crate::objects::checkout::{Checkout, Status};
use crate::payments::Contribution;
use crate::rollup::{Context, amount};
use crate::totals::{Purchase, Totals};

pub(super) fn apply(
    account: &mut Account,
    totals: &mut Totals,
    fact: &Fact,
    new: &Checkout,
    context: Context<'_>,
) -> Applied {
    let (before, disposition) = observe(&mut account.checkout, fact.version(new.clone()));
    let mut applied = Applied::of(disposition, ObjectKey::Checkout(new.id.clone()));
    let Some(after) = account.checkout.as_ref().map(|stored| stored.value.get()) else {
        return applied;
    };
    let (added, adds) = (counted(before.as_ref()), counted(Some(after)));
    totals.payments.replace(&added, &adds);
    if let Some(before) = before.as_ref().filter(|before| !before.tallied)
        && let Some(currency) = &before.currency
        && before.is_payment()
        && after.tallied
    {
        totals.paid.add(currency, -before.amount_total);
    }
    claim(totals, after);
    purchases(totals, after, context);
    let was = before.as_ref().map(|before| &before.status);
    if after.status == Status::Complete && was != Some(&Status::Complete) {
        applied.emit("checkout_completed", data(after));
    }
    if after.status == Status::Expired && was != Some(&Status::Expired) {
        applied.emit("checkout_abandoned", data(after));
    }
    if after.is_payment() && !before.as_ref().is_some_and(Checkout::is_payment) {
        applied.emit("payment_succeeded", data(after));
    }
    if before.is_none() {
        applied
            .links
            .extend(after.payment_intent.clone().map(Link::PaymentIntent));
    }
    applied
}

/// The audited fields that differ.
pub(super) fn changes(before: Option<&Checkout>, after: &Checkout) -> Vec<FieldChange> {
    let mut diff = Diff::new("", before, after);
    diff.field("status", |checkout| &checkout.status);
    diff.field("paid", |checkout| checkout.paid);
    diff.field("amount_total", |checkout| checkout.amount_total);
    diff.fields()
}

/// What a session adds to the payments. Older releases counted theirs elsewhere.
fn counted(checkout: Option<&Checkout>) -> Contribution {
    let checkout = checkout.filter(|checkout| checkout.tallied);
    checkout.map_or_else(Contribution::default, Contribution::of_checkout)
}

fn claim(totals: &mut Totals, checkout: &Checkout) {
    let Some(contact) = &checkout.contact else {
        return;
    };
    let claim = (checkout.created, checkout.id.clone(), contact.clone());
    if totals.claim.as_ref() < Some(&claim) {
        totals.claim = Some(claim);
    }
}

fn purchases(totals: &mut Totals, checkout: &Checkout, context: Context<'_>) {
    let lifetime = checkout.prices.iter().find(|price| {
        context
            .settings
            .tier_of(price, checkout.products.get(*price))
            .is_some_and(|of| of.lifetime)
    });
    if let Some(price) = lifetime.filter(|_| checkout.is_payment()) {
        let purchase = Purchase {
            price: price.clone(),
            product: checkout.products.get(price).cloned(),
            amount: checkout.amount_total,
            at: checkout.created,
            charge: None,
            payment_intent: checkout.payment_intent.clone(),
        };
        totals.note_purchase(&checkout.id, purchase);
    }
}

fn data(checkout: &Checkout) -> Value {
    json!({
        "checkout_session": checkout.id,
        "mode": checkout.mode,
        "amount": checkout.currency.as_ref().map(|c| amount(c, checkout.amount_total)),
        "subscription": checkout.subscription,
        "invoice": checkout.invoice,
        "prices": checkout.prices,
    })
}
