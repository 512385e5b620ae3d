//! An invoice: what was paid, what failed, and what was bought for good.

use serde_json::{Value, json};

use super::{Applied, put_decline};
use crate::account::{Account, ObjectKey, Stored};
use crate::audit::{Diff, FieldChange};
use crate::contact::instant;
use crate::decline::Decline;
use crate::fact::{Fact, Link};
use crate::objects::invoice::{Attempt, AttemptOutcome, Invoice, InvoiceState, Noted, Status};
use crate::order::{Disposition, Tracked};
use crate::payments::Contribution;
use crate::rollup::{Context, amount};
use crate::totals::{Purchase, Totals};

pub(super) fn apply(
    account: &mut Account,
    totals: &mut Totals,
    fact: &Fact,
    new: &Invoice,
    context: Context<'_>,
) -> Applied {
    let key = ObjectKey::Invoice(new.created, new.id.clone());
    let version = fact.version(new.clone());
    let held = account.invoice.as_ref().map(|held| held.value.clone());
    let (mut stored, before, disposition) = match account.invoice.take() {
        Some(mut stored) => {
            let before = stored.value.invoice.get().clone();
            let disposition = stored.edit().invoice.observe(version);
            stored.rev += u64::from(disposition == Disposition::Applied);
            (stored, Some(before), disposition)
        }
        None => {
            let value = InvoiceState::new(Tracked::first(version));
            (Stored::new(1, value), None, Disposition::Applied)
        }
    };
    let mut applied = Applied::of(disposition, key.clone());
    if stored.edit().note_snapshot(new, fact.since.is_some()) {
        applied.touch(key.clone(), &mut stored.rev);
    }
    let had_failed = stored.value.has_failed();
    if let Some(attempt) = attempt(fact, new) {
        let outcome = attempt.outcome;
        let noted = stored.edit().note_attempt(new.attempt_count, attempt);
        if noted != Noted::Known {
            applied.touch(key, &mut stored.rev);
        }
        if noted == Noted::New && outcome == AttemptOutcome::Failed {
            applied.emit(
                "invoice.payment_failed",
                failed(new, totals.decline(new, fact.at)),
            );
        }
    }
    let after = stored.value.invoice.get();
    tally(totals, held.as_deref(), &stored.value);
    totals.note_open(&stored.value);
    purchases(totals, after, context);
    transitions(&mut applied, before.as_ref(), after, had_failed);
    // An invoice gets its charge late: by then most know the invoice already.
    let is_known = |link: &Link| {
        before.as_ref().is_some_and(|before| match link {
            Link::Charge(id) => before.charge.get().as_ref() == Some(id),
            Link::PaymentIntent(id) => before.payment_intent.get().as_ref() == Some(id),
        })
    };
    let names = fact.body.names().into_iter();
    applied.links.extend(names.filter(|link| !is_known(link)));
    account.invoice = Some(stored);
    applied
}

/// The audited fields that differ.
pub(super) fn changes(before: Option<&Invoice>, after: &Invoice) -> Vec<FieldChange> {
    let mut diff = Diff::new("", before, after);
    diff.field("status", |invoice| &invoice.status);
    diff.field("amount_due", |invoice| invoice.amount_due);
    diff.field("amount_paid", |invoice| invoice.amount_paid);
    diff.field("attempt_count", |invoice| invoice.attempt_count);
    diff.time("next_payment_attempt", |invoice| {
        invoice.next_payment_attempt
    });
    diff.time("paid_at", |invoice| *invoice.paid_at.get());
    diff.fields()
}

/// The attempt that an event tells of by its type.
fn attempt(fact: &Fact, invoice: &Invoice) -> Option<Attempt> {
    let outcome = match fact.event_type.as_str() {
        "invoice.payment_failed" => AttemptOutcome::Failed,
        "invoice.paid" | "invoice.payment_succeeded" if invoice.attempt_count > 0 => {
            AttemptOutcome::Succeeded
        }
        _ => return None,
    };
    Some(Attempt {
        at: fact.at,
        outcome,
    })
}

fn transitions(applied: &mut Applied, before: Option<&Invoice>, after: &Invoice, had_failed: bool) {
    let was_paid = before.is_some_and(Invoice::is_paid);
    if after.is_paid() && !was_paid {
        applied.emit("payment_succeeded", succeeded(after));
        if had_failed {
            applied.emit("payment_recovered", succeeded(after));
        }
    }
}

/// Counts what an invoice adds to the payments, in place of what it added before.
fn tally(totals: &mut Totals, before: Option<&InvoiceState>, after: &InvoiceState) {
    let added = match before {
        Some(before) if before.tallied => Contribution::of_invoice(before),
        Some(before) => {
            let invoice = before.invoice.get();
            totals.paid.add(&invoice.currency, -invoice.amount_paid);
            Contribution::default()
        }
        None => Contribution::default(),
    };
    let adds = Contribution::of_invoice(after);
    totals.payments.replace(&added, &adds);
}

fn purchases(totals: &mut Totals, invoice: &Invoice, context: Context<'_>) {
    let lifetime = invoice.lines.iter().find_map(|line| {
        let price = line.price.as_ref()?;
        let of = context.settings.tier_of(price, line.product.as_ref())?;
        of.lifetime.then_some((price, line))
    });
    let Some((price, line)) = lifetime else {
        return;
    };
    if invoice.status == Status::Paid {
        let purchase = Purchase {
            price: price.clone(),
            product: line.product.clone(),
            amount: invoice.received(),
            at: invoice.created,
            charge: invoice.charge.get().clone(),
            payment_intent: invoice.payment_intent.get().clone(),
        };
        totals.note_purchase(&invoice.id, purchase);
    } else {
        totals.purchases.remove(&invoice.id);
    }
}

fn succeeded(invoice: &Invoice) -> Value {
    json!({
        "invoice": invoice.id,
        "subscription": invoice.subscription.get(),
        "amount": amount(&invoice.currency, invoice.received()),
        "attempt_count": invoice.attempt_count,
        "billing_reason": invoice.billing_reason,
    })
}

fn failed(invoice: &Invoice, decline: Option<&Decline>) -> Value {
    let mut data = json!({
        "invoice": invoice.id,
        "subscription": invoice.subscription.get(),
        "amount": amount(&invoice.currency, invoice.amount_due),
        "attempt_count": invoice.attempt_count,
        "next_payment_attempt": instant(invoice.next_payment_attempt),
    });
    put_decline(&mut data, decline);
    data
}
