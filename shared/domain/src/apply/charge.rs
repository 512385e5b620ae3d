//! A charge and its refunds: what was given back, and why a payment was declined.

use std::sync::Arc;

use serde_json::json;

use super::Applied;
use crate::account::{Account, ObjectKey, Stored};
use crate::audit::{Diff, FieldChange};
use crate::fact::{Fact, Link};
use crate::id::StripeId;
use crate::money::Money;
use crate::objects::charge::{Charge, ChargeState, MAX_REFUNDS, Refund, Status};
use crate::order::{Disposition, Tracked};
use crate::payments::Contribution;
use crate::rollup::amount;
use crate::totals::{Refunded, Totals};

pub(super) fn apply(
    account: &mut Account,
    totals: &mut Totals,
    fact: &Fact,
    new: &Charge,
) -> Applied {
    let mut stored = take(account);
    let before = Arc::clone(&stored.value);
    let version = fact.version(new.clone());
    let charge = &mut stored.edit().charge;
    let disposition = match charge {
        Some(known) => known.observe(version),
        None => {
            *charge = Some(Tracked::first(version));
            Disposition::Applied
        }
    };
    let told = (fact.event_type == "charge.failed").then_some(fact.at);
    let newest = charge.as_ref().map_or(new, Tracked::get);
    // What an older event tells of the failure may be earlier, and counts then.
    let attempt = if new.status == Status::Failed {
        new
    } else {
        newest
    };
    let noted = totals.note_attempt(attempt, told);
    let mut applied = finish(account, totals, stored, &before, disposition, &new.id);
    if noted && let Some(stored) = &mut account.charge {
        let key = ObjectKey::Charge(new.id.clone());
        applied.touch(key, &mut stored.rev);
    }
    if before.charge.is_none() && applied.disposition == Disposition::Applied {
        applied.links.push(Link::Charge(new.id.clone()));
        applied
            .links
            .extend(new.payment_intent.clone().map(Link::PaymentIntent));
    }
    applied
}

pub(super) fn apply_refund(
    account: &mut Account,
    totals: &mut Totals,
    fact: &Fact,
    new: &Refund,
) -> Applied {
    let Some(charge) = &new.charge else {
        return Applied::nothing();
    };
    let mut stored = take(account);
    let before = Arc::clone(&stored.value);
    let version = fact.version(new.clone());
    let has_room = stored.value.refunds.len() < MAX_REFUNDS;
    let refunds = &mut stored.edit().refunds;
    let disposition = match refunds.get_mut(&new.id) {
        Some(known) => known.observe(version),
        None if has_room => {
            refunds.insert(new.id.clone(), Tracked::first(version));
            Disposition::Applied
        }
        None => Disposition::Stale,
    };
    finish(account, totals, stored, &before, disposition, charge)
}

fn take(account: &mut Account) -> Stored<ChargeState> {
    account
        .charge
        .take()
        .unwrap_or_else(|| Stored::new(0, ChargeState::default()))
}

fn finish(
    account: &mut Account,
    totals: &mut Totals,
    mut stored: Stored<ChargeState>,
    before: &ChargeState,
    disposition: Disposition,
    charge: &StripeId,
) -> Applied {
    let mut applied = Applied::of(disposition, ObjectKey::Charge(charge.clone()));
    if disposition == Disposition::Applied {
        stored.rev += 1;
    }
    let sum = |state: &ChargeState| {
        state
            .refunded()
            .map_or_else(Money::default, |(currency, sum)| Money::of(&currency, sum))
    };
    totals.refunded.subtract_all(&sum(before));
    totals.refunded.add_all(&sum(&stored.value));
    let adds = |state: &ChargeState| {
        let charge = state.charge.as_ref().map(Tracked::get);
        charge.map_or_else(Contribution::default, Contribution::of_charge)
    };
    totals.payments.replace(&adds(before), &adds(&stored.value));
    let was = before.refunded().map_or(0, |(_, sum)| sum);
    if let Some((currency, now)) = stored.value.refunded()
        && now > was
    {
        let data = json!({
            "charge": charge,
            "amount": amount(&currency, now - was),
            "amount_refunded": amount(&currency, now),
        });
        applied.emit("refund_issued", data);
    }
    note_if_whole(totals, &stored.value, charge);
    account.charge = Some(stored);
    applied
}

/// The audited fields that differ.
pub(super) fn changes(before: Option<&ChargeState>, after: &ChargeState) -> Vec<FieldChange> {
    let mut diff = Diff::new("", before, after);
    diff.field("status", |state| {
        let charge = state.charge.as_ref().map(Tracked::get);
        charge.map(|charge| &charge.status)
    });
    diff.field("amount_refunded", |state| {
        state.refunded().map_or(0, |(_, sum)| sum)
    });
    diff.fields()
}

fn note_if_whole(totals: &mut Totals, state: &ChargeState, id: &StripeId) {
    let whole = state.charge.as_ref().map(Tracked::get).filter(|charge| {
        charge.amount > 0
            && state
                .refunded()
                .is_some_and(|(_, sum)| sum >= charge.amount)
    });
    match whole {
        Some(charge) => totals.note_refunded(
            id,
            Refunded {
                payment_intent: charge.payment_intent.clone(),
                invoice: charge.invoice.clone(),
                amount: charge.amount,
            },
        ),
        None => {
            totals.refunded_charges.remove(id);
        }
    }
}
