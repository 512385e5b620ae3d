//! A payment method: attached, renewed, detached.

use serde_json::json;

use super::Applied;
use crate::account::{Account, ObjectKey, observe_in};
use crate::audit::{Diff, FieldChange};
use crate::fact::Fact;
use crate::objects::payment_method::PaymentMethod;

pub(super) fn apply(account: &mut Account, fact: &Fact, new: &PaymentMethod) -> Applied {
    let key = ObjectKey::PaymentMethod(new.id.clone());
    let version = fact.version(new.clone());
    let (before, disposition) = observe_in(&mut account.payment_methods, &new.id, version);
    let mut applied = Applied::of(disposition, key);
    let Some(after) = account
        .payment_methods
        .get(&new.id)
        .map(|stored| stored.value.get())
    else {
        return applied;
    };
    let was_attached = before.as_ref().is_some_and(|before| before.attached);
    let action = match (was_attached, after.attached) {
        (false, true) => Some("attached"),
        (true, false) => Some("detached"),
        (true, true) if before.as_ref() != Some(after) => Some("updated"),
        (true, true) | (false, false) => None,
    };
    if let Some(action) = action {
        applied.emit(
            "payment_method_updated",
            json!({
                "payment_method": after.id,
                "action": action,
                "type": after.kind,
                "brand": after.brand,
                "last4": after.last4,
                "exp_month": after.exp_month,
                "exp_year": after.exp_year,
            }),
        );
    }
    applied
}

/// The audited fields that differ.
pub(super) fn changes(before: Option<&PaymentMethod>, after: &PaymentMethod) -> Vec<FieldChange> {
    let mut diff = Diff::new("", before, after);
    diff.field("type", |method| &method.kind);
    diff.field("brand", |method| &method.brand);
    diff.field("last4", |method| &method.last4);
    diff.field("exp_month", |method| method.exp_month);
    diff.field("exp_year", |method| method.exp_year);
    diff.field("attached", |method| method.attached);
    diff.fields()
}
