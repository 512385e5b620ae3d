//! A dispute: opened, answered, closed. An inquiry is kept but is no dispute.

use serde_json::{Value, json};

use super::Applied;
use crate::account::{Account, ObjectKey, observe_in};
use crate::audit::{Diff, FieldChange};
use crate::fact::Fact;
use crate::objects::dispute::Dispute;
use crate::rollup::amount;

pub(super) fn apply(account: &mut Account, fact: &Fact, new: &Dispute) -> Applied {
    let version = fact.version(new.clone());
    let (before, disposition) = observe_in(&mut account.disputes, &new.id, version);
    let mut applied = Applied::of(disposition, ObjectKey::Dispute(new.id.clone()));
    let Some(after) = account
        .disputes
        .get(&new.id)
        .map(|stored| stored.value.get())
    else {
        return applied;
    };
    let was_open = before.as_ref().is_some_and(|before| !before.is_inquiry());
    let was_closed = before.as_ref().is_some_and(Dispute::is_closed);
    if !after.is_inquiry() {
        if !was_open {
            applied.emit("dispute_opened", data(after));
        }
        if after.is_closed() && !(was_open && was_closed) {
            applied.emit("dispute_closed", data(after));
        }
    }
    applied
}

/// The audited fields that differ.
pub(super) fn changes(before: Option<&Dispute>, after: &Dispute) -> Vec<FieldChange> {
    let mut diff = Diff::new("", before, after);
    diff.field("status", |dispute| &dispute.status);
    diff.fields()
}

fn data(dispute: &Dispute) -> Value {
    json!({
        "dispute": dispute.id,
        "status": dispute.status,
        "reason": dispute.reason,
        "charge": dispute.charge,
        "amount": amount(&dispute.currency, dispute.amount),
    })
}
