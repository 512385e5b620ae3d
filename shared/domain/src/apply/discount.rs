//! A discount that came by itself, since the objects it belongs to name only its id.

use serde_json::{Value, json};

use super::Applied;
use crate::account::{Account, ObjectKey, observe_in};
use crate::audit::{Diff, FieldChange};
use crate::fact::Fact;
use crate::id::StripeId;
use crate::objects::catalog::CouponRef;
use crate::objects::discount::{Discount, DiscountRef};

pub(super) fn apply(account: &mut Account, fact: &Fact, new: &Discount) -> Applied {
    let Some(id) = &new.id else {
        return Applied::nothing();
    };
    let already_told = is_inline(account, id);
    let (before, disposition) = observe_in(&mut account.discounts, id, fact.version(new.clone()));
    let mut applied = Applied::of(disposition, ObjectKey::Discount(id.clone()));
    let Some(after) = account.discounts.get(id).map(|stored| stored.value.get()) else {
        return applied;
    };
    if before.is_none() && !after.deleted && !already_told {
        applied.emit("coupon_applied", applied_data(after));
    }
    applied
}

/// The audited fields that differ.
pub(super) fn changes(before: Option<&Discount>, after: &Discount) -> Vec<FieldChange> {
    let mut diff = Diff::new("", before, after);
    diff.field("coupon", coupon_id);
    diff.field("active", |discount| !discount.deleted);
    diff.fields()
}

/// Whether a subscription, an item or the customer brought the discount whole, and so told of it.
fn is_inline(account: &Account, id: &StripeId) -> bool {
    let on_customer = account
        .customer
        .as_ref()
        .and_then(|stored| stored.value.get().discount.get().as_ref())
        .is_some_and(|discount| discount.id.as_ref() == Some(id));
    let subscriptions = account.subscriptions.values();
    let mut references = subscriptions.flat_map(|stored| {
        let subscription = stored.value.subscription.get();
        let on_items = subscription.items.iter().flat_map(|item| &item.discounts);
        subscription.discounts.iter().chain(on_items)
    });
    on_customer
        || references.any(|reference| match reference {
            DiscountRef::Inline(discount) => discount.id.as_ref() == Some(id),
            DiscountRef::Id(_) => false,
        })
}

fn coupon_id(discount: &Discount) -> &str {
    match &discount.coupon {
        CouponRef::Inline(coupon) => coupon.id.as_str(),
        CouponRef::Id(id) => id.as_str(),
    }
}

/// What `coupon_applied` tells.
pub(super) fn applied_data(discount: &Discount) -> Value {
    let coupon = match &discount.coupon {
        CouponRef::Inline(coupon) => Some(coupon),
        CouponRef::Id(_) => None,
    };
    json!({
        "coupon": coupon_id(discount),
        "discount": discount.id,
        "subscription": discount.subscription,
        "percent_off": coupon.and_then(|coupon| coupon.percent_off),
        "amount_off": coupon.and_then(|coupon| coupon.amount_off),
        "currency": coupon.and_then(|coupon| coupon.currency.as_ref()),
        "duration": coupon.map(|coupon| &coupon.duration),
    })
}
