//! A customer at Stripe: made, changed, deleted.

use serde_json::json;

use super::Applied;
use super::discount::applied_data;
use crate::account::{Account, ObjectKey, observe};
use crate::audit::{Diff, FieldChange};
use crate::fact::Fact;
use crate::objects::customer::Customer;
use crate::objects::discount::Discount;

/// What the names of the customer's audited fields begin with.
pub(super) const PREFIX: &str = "customer.";

pub(super) fn apply(account: &mut Account, fact: &Fact, new: &Customer) -> Applied {
    let (before, disposition) = observe(&mut account.customer, fact.version(new.clone()));
    let mut applied = Applied::of(disposition, ObjectKey::Customer);
    let Some(after) = account.customer.as_ref().map(|stored| stored.value.get()) else {
        return applied;
    };
    let changes = changes(before.as_ref(), after);
    let names = changes.iter().map(|change| change.at(PREFIX).field);
    let names: Vec<String> = names.collect();
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
    if let Some(discount) = new_discount(account, before.as_ref(), after) {
        applied.emit("coupon_applied", applied_data(discount));
    }
    applied
}

/// A discount that came with the customer, and that no event of its own has told of.
fn new_discount<'a>(
    account: &Account,
    before: Option<&Customer>,
    after: &'a Customer,
) -> Option<&'a Discount> {
    let discount = after.discount.get().as_ref();
    let discount = discount.filter(|discount| !after.deleted && !discount.deleted)?;
    let known = before.and_then(|before| before.discount.get().as_ref());
    let same = known.is_some_and(|k| k.id == discount.id && k.coupon == discount.coupon);
    let id = discount.id.as_ref();
    let told = id.is_some_and(|id| account.discounts.contains_key(id));
    (!same && !told).then_some(discount)
}

/// The audited fields that differ. Name and address are audited on the contact, where they can be
/// erased.
pub(super) fn changes(before: Option<&Customer>, after: &Customer) -> Vec<FieldChange> {
    let mut diff = Diff::new("", before, after);
    diff.field("id", |customer| &customer.id);
    diff.field("customer_id", |customer| customer.contact.get());
    diff.field("default_payment_method", |customer| {
        customer.default_payment_method.get()
    });
    diff.field("discount", |customer| {
        let discount = customer.discount.get().as_ref();
        discount.map(|discount| &discount.id)
    });
    diff.field("deleted", |customer| customer.deleted);
    diff.fields()
}
