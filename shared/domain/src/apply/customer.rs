//! A customer at Stripe: made, changed, deleted.

use serde_json::json;

use super::Applied;
use crate::account::{Account, ObjectKey, observe};
use crate::audit::{Fields, diff};
use crate::fact::Fact;
use crate::objects::customer::Customer;

pub(super) fn apply(account: &mut Account, fact: &Fact, new: &Customer) -> Applied {
    let (before, disposition) = observe(&mut account.customer, fact.version(new.clone()));
    let mut applied = Applied::of(disposition, ObjectKey::Customer);
    let Some(after) = account.customer.as_ref().map(|stored| stored.value.get()) else {
        return applied;
    };
    let changes = diff(
        "customer.",
        before.as_ref().map(fields),
        Some(fields(after)),
    );
    let names: Vec<String> = changes.iter().map(|change| change.field.clone()).collect();
    let was_deleted = before.as_ref().is_some_and(|before| before.deleted);
    if after.deleted {
        if !was_deleted {
            applied.emit("customer_deleted", json!({}));
        }
    } else if before.is_none() {
        applied.emit("customer_created", json!({}));
    } else if !names.is_empty() {
        applied.emit("customer_updated", json!({ "fields": names }));
    }
    applied.changes = changes;
    applied
}

/// What is told of a customer. Name and address are audited on the contact, where they can be
/// erased; here it is enough that they changed.
fn fields(customer: &Customer) -> Fields {
    vec![
        ("id", json!(customer.id)),
        ("customer_id", json!(customer.contact.get())),
        (
            "default_payment_method",
            json!(customer.default_payment_method.get()),
        ),
        (
            "discount",
            json!(
                customer
                    .discount
                    .get()
                    .as_ref()
                    .map(|discount| &discount.id)
            ),
        ),
        ("deleted", json!(customer.deleted)),
    ]
}
