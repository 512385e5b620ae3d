//! A subscription: every transition that somebody may want to hear of.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Applied, discount};
use crate::account::{Account, Catalog, ObjectKey, Stored, SubscriptionState};
use crate::audit::{Diff, FieldChange};
use crate::contact::instant;
use crate::fact::Fact;
use crate::id::StripeId;
use crate::money::{Exact, whole};
use crate::mrr;
use crate::objects::discount::{Discount, DiscountRef};
use crate::objects::subscription::{Item, Status, Subscription};
use crate::order::{Disposition, Seen, Tracked};
use crate::risk::{Downgrade, invoices_past_due_since};
use crate::rollup::{Context, plan_name};
use crate::time::Timestamp;
use crate::totals::Totals;
use crate::view::top_item;

/// The most announced trial ends that are kept.
const MAX_ANNOUNCED: usize = 8;
/// The most downgrades that are kept.
const MAX_DOWNGRADES: usize = 5;
const DAY: i64 = 86_400;

pub(super) fn apply(
    account: &mut Account,
    totals: &Totals,
    fact: &Fact,
    new: &Subscription,
    context: Context<'_>,
) -> Applied {
    let key = ObjectKey::Subscription(new.id.clone());
    let version = fact.version(new.clone());
    let (mut stored, before, disposition) = match account.subscriptions.remove(&new.id) {
        Some(mut stored) => {
            let before = stored.value.subscription.get().clone();
            let disposition = stored.edit().subscription.observe(version);
            stored.rev += u64::from(disposition == Disposition::Applied);
            (stored, Some(before), disposition)
        }
        None => {
            let value = SubscriptionState {
                subscription: Tracked::first(version),
                announced_trial_ends: BTreeSet::new(),
                downgrades: BTreeMap::new(),
            };
            (Stored::new(1, value), None, Disposition::Applied)
        }
    };
    let mut applied = Applied::of(disposition, key.clone());
    let announced = announce(fact, new, &mut stored);
    let downgraded = downgrade(fact, new, context)
        .is_some_and(|downgrade| note(&mut stored, fact.at, downgrade));
    if announced || downgraded {
        applied.touch(key, &mut stored.rev);
    }
    let after = stored.value.subscription.get().clone();
    account.subscriptions.insert(new.id.clone(), stored);
    let changed = before.as_ref() != Some(&after);
    if !changed && !announced {
        return applied;
    }
    let worth = context.value(account, &after);
    let view = View {
        subscription: &after,
        worth: &worth,
        context,
    };
    if announced {
        let mut data = view.data();
        put(&mut data, "trial_end", instant(*new.trial_end.get()));
        applied.emit("customer.subscription.trial_will_end", data);
    }
    if !changed {
        return applied;
    }
    let worth_before = before.as_ref().map(|before| context.value(account, before));
    let view_before = before.as_ref().zip(worth_before.as_ref());
    let view_before = view_before.map(|(subscription, worth)| View {
        subscription,
        worth,
        context,
    });
    transitions(&mut applied, view_before, view, fact, totals);
    coupons(&mut applied, account, before.as_ref(), &after);
    applied
}

/// The audited fields that differ between two states of a subscription, each in its own account.
pub(super) fn changes(
    before: Option<(&Account, &Subscription)>,
    (account, after): (&Account, &Subscription),
    context: Context<'_>,
) -> Vec<FieldChange> {
    let worth = context.value(account, after);
    let worth_before = before.map(|(account, before)| context.value(account, before));
    let before = before.zip(worth_before.as_ref());
    let before = before.map(|((_, subscription), worth)| View {
        subscription,
        worth,
        context,
    });
    let after = View {
        subscription: after,
        worth: &worth,
        context,
    };
    View::changes(before, after)
}

/// Notes the trial end that a `trial_will_end` announces. Tells whether it is new.
fn announce(fact: &Fact, new: &Subscription, stored: &mut Stored<SubscriptionState>) -> bool {
    let end = new
        .trial_end
        .get()
        .filter(|_| fact.event_type == "customer.subscription.trial_will_end");
    let Some(end) = end else { return false };
    let state = stored.edit();
    let fresh = state.announced_trial_ends.insert(end);
    while state.announced_trial_ends.len() > MAX_ANNOUNCED {
        state.announced_trial_ends.pop_first();
    }
    fresh && state.announced_trial_ends.contains(&end)
}

/// What an update says of a change to something that costs less.
///
/// The event tells what was before, and only list prices are compared, so that it counts the same
/// in whichever order events come.
fn downgrade(fact: &Fact, new: &Subscription, context: Context<'_>) -> Option<Downgrade> {
    let old = listed(fact.replaced.as_deref()?);
    if new.status.is_final() {
        return None;
    }
    let new = listed(new);
    let (account, catalog) = (Account::default(), Catalog::default());
    let context = Context {
        catalog: &catalog,
        ..context
    };
    let (worth_before, worth) = (context.value(&account, &old), context.value(&account, &new));
    let before = View {
        subscription: &old,
        worth: &worth_before,
        context,
    };
    let after = View {
        subscription: &new,
        worth: &worth,
        context,
    };
    let falls = match kind(before, after) {
        "downgrade" => true,
        "price" | "quantity" => after.nominal() < before.nominal(),
        _ => false,
    };
    falls.then(|| Downgrade {
        subscription: new.id.clone(),
        tier_before: before.tier().map(str::to_owned),
        tier_after: after.tier().map(str::to_owned),
        mrr_before: worth_before.mrr.clone(),
        mrr_after: worth.mrr.clone(),
    })
}

/// A subscription as it would be without anything that lowers its worth.
fn listed(subscription: &Subscription) -> Subscription {
    let mut listed = subscription.clone();
    listed.status = Status::Active;
    listed.discounts.clear();
    listed.cancel_at_period_end = false;
    listed.cancel_at = Seen::default();
    listed.pause = Seen::default();
    for item in &mut listed.items {
        item.discounts.clear();
        item.trial_until = None;
    }
    listed
}

/// Notes a downgrade. Tells whether that changed anything.
fn note(stored: &mut Stored<SubscriptionState>, at: Timestamp, downgrade: Downgrade) -> bool {
    if let Some(known) = stored.value.downgrades.get(&at)
        && *known >= downgrade
    {
        return false;
    }
    let full = stored.value.downgrades.len() >= MAX_DOWNGRADES;
    let oldest = stored.value.downgrades.keys().next();
    if full && oldest.is_some_and(|oldest| at < *oldest) {
        return false;
    }
    let downgrades = &mut stored.edit().downgrades;
    downgrades.insert(at, downgrade);
    while downgrades.len() > MAX_DOWNGRADES {
        downgrades.pop_first();
    }
    true
}

/// A subscription with what it is worth.
#[derive(Clone, Copy)]
struct View<'a> {
    subscription: &'a Subscription,
    worth: &'a mrr::Value,
    context: Context<'a>,
}

impl<'a> View<'a> {
    /// The item that is worth most, and so names the plan.
    fn top(self) -> Option<&'a Item> {
        top_item(&self.subscription.items, self.worth)
    }

    fn plan(self) -> Option<&'a StripeId> {
        self.top().map(|item| &item.price.id)
    }

    fn tier(self) -> Option<&'a str> {
        self.top()
            .map(|item| self.context.settings.tier_name(&item.price))
    }

    fn quantity(self) -> u64 {
        self.subscription
            .items
            .iter()
            .map(|item| item.quantity.unwrap_or(1))
            .sum()
    }

    /// As if active and before discounts.
    fn nominal(self) -> Exact {
        let items = self.worth.items.iter();
        items.fold(whole(0), |sum, item| sum + &item.nominal)
    }

    fn data(self) -> Value {
        json!({
            "subscription": self.subscription.id,
            "status": self.subscription.status,
            "plan": self.plan(),
            "plan_name": self.top().map(|item| plan_name(&item.price, self.context.catalog)),
            "tier": self.tier(),
            "quantity": self.quantity(),
            "mrr": self.worth.mrr,
        })
    }

    fn changes(before: Option<Self>, after: Self) -> Vec<FieldChange> {
        let mut diff = Diff::new("", before, after);
        diff.field("status", |view| &view.subscription.status);
        diff.field("plan", Self::plan);
        diff.field("quantity", Self::quantity);
        diff.field("mrr", |view| &view.worth.mrr);
        diff.time("current_period_end", |view| {
            view.subscription.period.get().map(|period| period.end)
        });
        diff.time("cancel_at", |view| view.subscription.scheduled_end());
        diff.time("trial_end", |view| *view.subscription.trial_end.get());
        diff.field("paused", |view| view.subscription.is_paused());
        diff.time("ended_at", |view| view.subscription.ended_at);
        diff.fields()
    }
}

fn put(data: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = data {
        fields.insert(name.to_owned(), value);
    }
}

fn transitions(
    applied: &mut Applied,
    before: Option<View<'_>>,
    after: View<'_>,
    fact: &Fact,
    totals: &Totals,
) {
    let new = after.subscription;
    let old = before.map(|view| view.subscription);
    let old_status = old.map(|old| &old.status);
    let became = |status: Status| new.status == status && old_status != Some(&status);

    if old.is_none() && !new.status.is_final() {
        applied.emit("subscription_created", after.data());
    }
    if became(Status::Trialing) {
        let mut data = after.data();
        let (start, end) = (new.trial_start.get(), new.trial_end.get());
        let days = start
            .zip(*end)
            .map(|(start, end)| (end.unix() - start.unix() + DAY - 1) / DAY);
        put(&mut data, "trial_end", instant(*end));
        put(&mut data, "trial_days", json!(days));
        applied.emit("trial_started", data);
    }
    if became(Status::Active) && old_status == Some(&Status::Trialing) {
        applied.emit("trial_converted", after.data());
    }
    if let Some(before) = before {
        updated(applied, before, after);
    }
    if became(Status::PastDue) {
        let since = past_due_since(old, new, fact, totals);
        let days = since.map(|since| (fact.at.unix() - since.unix()).max(0) / DAY);
        let mut data = after.data();
        put(&mut data, "past_due_since", instant(since));
        put(&mut data, "past_due_days", json!(days));
        applied.emit("subscription_past_due", data);
    }
    pauses(applied, old, after);
    endings(applied, before, after);
}

/// Since when it is past due: by its open invoices. If none is known yet, an update that tells of the
/// change itself is the best that is known, else the unpaid period.
fn past_due_since(
    old: Option<&Subscription>,
    new: &Subscription,
    fact: &Fact,
    totals: &Totals,
) -> Option<Timestamp> {
    let replaced = fact.replaced.as_deref().or(old);
    let changes = replaced.is_some_and(|replaced| replaced.status != Status::PastDue);
    let period = || new.period.get().map(|period| period.start);
    invoices_past_due_since(new, totals)
        .or((changes && fact.since.is_none()).then_some(fact.at))
        .or_else(period)
}

fn pauses(applied: &mut Applied, old: Option<&Subscription>, after: View<'_>) {
    let was_paused = old.is_some_and(Subscription::is_paused);
    let is_paused = after.subscription.is_paused();
    if is_paused && !was_paused {
        applied.emit("subscription_paused", after.data());
    }
    if was_paused && !is_paused && after.subscription.status.is_live() {
        applied.emit("subscription_resumed", after.data());
    }
}

fn endings(applied: &mut Applied, before: Option<View<'_>>, after: View<'_>) {
    let new = after.subscription;
    let was_scheduled = before.and_then(|view| view.subscription.scheduled_end());
    match (was_scheduled, new.scheduled_end()) {
        (None, Some(end)) => {
            let mut data = after.data();
            put(&mut data, "cancel_at", instant(Some(end)));
            applied.emit("cancellation_scheduled", data);
        }
        (Some(_), None) if !new.status.is_final() => {
            applied.emit("cancellation_unscheduled", after.data());
        }
        (Some(_) | None, Some(_) | None) => {}
    }
    if before.is_some_and(|view| view.subscription.status.is_final()) {
        return;
    }
    let last = before.unwrap_or(after);
    match new.status {
        Status::Canceled => {
            let mut data = after.data();
            put(&mut data, "reason", json!(new.cancel_reason.get()));
            put(&mut data, "feedback", json!(new.cancel_feedback.get()));
            put(&mut data, "mrr_before", json!(last.worth.mrr));
            let status = before.map(|view| &view.subscription.status);
            put(&mut data, "status_before", json!(status));
            applied.emit("subscription_canceled", data);
        }
        Status::IncompleteExpired => applied.emit("subscription_expired", after.data()),
        Status::Incomplete
        | Status::Trialing
        | Status::Active
        | Status::PastDue
        | Status::Unpaid
        | Status::Paused
        | Status::Other(_) => {}
    }
}

/// Tells of a change in what is bought, and of which kind it is.
fn updated(applied: &mut Applied, before: View<'_>, after: View<'_>) {
    let bought = |view: View<'_>| -> Vec<(StripeId, Option<u64>)> {
        view.subscription
            .items
            .iter()
            .map(|i| (i.price.id.clone(), i.quantity))
            .collect()
    };
    let same_status = before.subscription.status == after.subscription.status;
    let revalued = same_status && before.worth.mrr != after.worth.mrr;
    if after.subscription.status.is_final() || (bought(before) == bought(after) && !revalued) {
        return;
    }
    let mut data = after.data();
    put(&mut data, "change", json!(kind(before, after)));
    put(&mut data, "mrr_before", json!(before.worth.mrr));
    put(&mut data, "plan_before", json!(before.plan()));
    put(&mut data, "tier_before", json!(before.tier()));
    put(&mut data, "quantity_before", json!(before.quantity()));
    applied.emit("subscription_updated", data);
}

fn kind(before: View<'_>, after: View<'_>) -> &'static str {
    let product = |view: View<'_>| view.top().and_then(|item| item.price.product.clone());
    let recurring = |view: View<'_>| view.top().and_then(|item| item.price.recurring.clone());
    if product(before) != product(after) || before.tier() != after.tier() {
        let rank = |view: View<'_>| view.context.settings.rank(view.tier().unwrap_or_default());
        let by_rank = rank(before).cmp(&rank(after));
        return match by_rank.then_with(|| before.nominal().cmp(&after.nominal())) {
            std::cmp::Ordering::Less => "upgrade",
            std::cmp::Ordering::Greater => "downgrade",
            std::cmp::Ordering::Equal => "price",
        };
    }
    let same_quantity = before.quantity() == after.quantity();
    let same_interval = recurring(before) == recurring(after);
    match (same_interval, same_quantity) {
        (false, true) => "interval",
        (true, false) if before.plan() == after.plan() => "quantity",
        (true | false, true | false) => "price",
    }
}

/// Tells of discounts that came whole with the subscription.
fn coupons(
    applied: &mut Applied,
    account: &Account,
    before: Option<&Subscription>,
    after: &Subscription,
) {
    let inline = |subscription: &Subscription| -> Vec<Discount> {
        let items = subscription.items.iter().flat_map(|item| &item.discounts);
        let whole = |reference: &DiscountRef| match reference {
            DiscountRef::Inline(discount) => Some(discount.as_ref().clone()),
            DiscountRef::Id(_) => None,
        };
        subscription
            .discounts
            .iter()
            .chain(items)
            .filter_map(whole)
            .collect()
    };
    let known = before.map(inline).unwrap_or_default();
    for discount in inline(after) {
        let told = discount
            .id
            .as_ref()
            .is_some_and(|id| account.discounts.contains_key(id));
        let same = |other: &Discount| other.id == discount.id && other.coupon == discount.coupon;
        if !told && !known.iter().any(same) {
            let discount = Discount {
                subscription: Some(after.id.clone()),
                ..discount
            };
            applied.emit("coupon_applied", discount::applied_data(&discount));
        }
    }
}
