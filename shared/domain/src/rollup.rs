//! The roll-up: what one Stripe customer's working set comes to.
//!
//! It is all that a contact keeps of a Stripe customer, so it is bounded, and several of them can
//! be merged without loading the objects again.

mod keys;
mod method;
mod plan;
mod status;
mod undecided;

use std::collections::BTreeSet;

pub use keys::{catalog_keys, subscription_keys};
pub use method::OnFile;
pub use plan::{Plan, Primary, Weight, plan_name};
use serde::{Deserialize, Serialize};
pub use status::BillingStatus;

use crate::account::{Account, Catalog, CatalogKey};
use crate::id::StripeId;
use crate::money::{Currency, Exact, Money, floor_multiple};
use crate::mrr::{self, ItemValue};
use crate::objects::discount::DiscountRef;
use crate::objects::subscription::{Status, Subscription};
use crate::risk::Risk;
use crate::settings::{MrrSettings, Settings};
use crate::time::Timestamp;
use crate::totals::Totals;
use method::on_file;
use plan::{lifetime_plan, primary};

/// The most subscriptions that are listed as waiting for a fetch.
const MAX_REFETCH: usize = 50;

/// What a Stripe customer comes to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rollup {
    /// The digest of the working set that this was computed from.
    pub digest: u64,
    /// Whether the customer object itself was seen.
    pub seen: bool,
    /// When the Stripe customer was made.
    pub created: Option<Timestamp>,
    /// Its name.
    pub name: Option<String>,
    /// Its e-mail address.
    pub email: Option<String>,
    /// Its company.
    pub company: Option<String>,
    /// Deleted at Stripe.
    pub deleted: bool,
    /// The most severe status.
    pub status: BillingStatus,
    /// Minor units per month.
    pub mrr: Money,
    /// Minor units per year.
    pub arr: Money,
    /// The plan of the live subscriptions.
    pub plan: Option<Plan>,
    /// A purchase that holds for good.
    pub lifetime: Option<Plan>,
    /// Where dates come from.
    pub primary: Option<Primary>,
    /// The earliest next invoice of a live subscription.
    pub next_invoice: Option<Timestamp>,
    /// The payment method on file.
    pub payment_method: OnFile,
    /// What access and risk follow from.
    #[serde(default)]
    pub risk: Risk,
    /// When the first trial of those that run ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_end: Option<Timestamp>,
    /// When a discount or an item's trial ends, so that this must be computed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_at: Option<Timestamp>,
    /// Sums over what is not loaded.
    pub totals: Totals,
    /// Subscriptions about which only an API call could tell all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs_refetch: BTreeSet<StripeId>,
    /// Entries of the catalog without which it cannot tell all: it is computed again when they come.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub awaits: BTreeSet<CatalogKey>,
    /// Ids of objects, of any kind, whose newest state no event could tell: the kept state is a guess.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub undecided: BTreeSet<String>,
}

impl Rollup {
    /// Whether it says the same as another, of whatever objects each was computed.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let Self {
            digest: _,
            seen,
            created,
            name,
            email,
            company,
            deleted,
            status,
            mrr,
            arr,
            plan,
            lifetime,
            primary,
            next_invoice,
            payment_method,
            risk,
            trial_end,
            stale_at,
            totals,
            needs_refetch,
            awaits,
            undecided,
        } = self;
        (seen, created, name, email, company, deleted)
            == (
                &other.seen,
                &other.created,
                &other.name,
                &other.email,
                &other.company,
                &other.deleted,
            )
            && (status, mrr, arr, plan, lifetime, primary)
                == (
                    &other.status,
                    &other.mrr,
                    &other.arr,
                    &other.plan,
                    &other.lifetime,
                    &other.primary,
                )
            && (next_invoice, payment_method, risk, trial_end, stale_at)
                == (
                    &other.next_invoice,
                    &other.payment_method,
                    &other.risk,
                    &other.trial_end,
                    &other.stale_at,
                )
            && (totals, needs_refetch, awaits, undecided)
                == (
                    &other.totals,
                    &other.needs_refetch,
                    &other.awaits,
                    &other.undecided,
                )
    }

    /// Takes a subscription for the primary one if it goes before the one held.
    fn offer(&mut self, candidate: Primary) {
        if self
            .primary
            .as_ref()
            .is_none_or(|held| candidate.beats(held))
        {
            self.primary = Some(candidate);
        }
    }
}

/// What a roll-up depends on beside the account.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The tenant's choices.
    pub settings: &'a Settings,
    /// What the tenant sells.
    pub catalog: &'a Catalog,
    /// The instant at which it is asked.
    pub now: Timestamp,
}

impl<'a> Context<'a> {
    fn mrr(self, account: &'a Account) -> mrr::Context<'a> {
        let settings: &MrrSettings = &self.settings.mrr;
        mrr::Context {
            settings,
            catalog: self.catalog,
            account,
            now: self.now,
        }
    }

    /// What a subscription of the account is worth.
    #[must_use]
    pub fn value(self, account: &Account, subscription: &Subscription) -> mrr::Value {
        mrr::value(subscription, self.mrr(account))
    }
}

/// Rolls an account up.
#[must_use]
pub fn rollup(account: &Account, totals: Totals, context: Context<'_>) -> Rollup {
    let customer = account.customer.as_ref().map(|stored| stored.value.get());
    let mut rollup = Rollup {
        digest: account.digest(),
        seen: customer.is_some(),
        created: customer.and_then(|customer| *customer.created.get()),
        name: customer.and_then(|customer| customer.name.get().clone()),
        email: customer.and_then(|customer| customer.email.get().clone()),
        company: customer.and_then(|customer| customer.company.get().clone()),
        deleted: customer.is_some_and(|customer| customer.deleted),
        payment_method: on_file(account),
        risk: Risk::of(account, &totals, context),
        undecided: undecided::undecided(account, &totals),
        stale_at: stale_at(account, context.now),
        lifetime: totals
            .lifetime()
            .and_then(|purchase| lifetime_plan(purchase, context)),
        totals,
        ..Rollup::default()
    };
    let mut incomplete = false;
    let is_single = has_single_live_item(account);
    for stored in account.subscriptions.values() {
        let subscription = stored.value.subscription.get();
        let undecided = stored.value.subscription.is_undecided();
        let unknown = add_subscription(&mut rollup, account, subscription, context);
        incomplete |= unknown.worth || unknown.plan;
        // Of a single item it is known that it is the plan.
        let guessed = unknown.worth || undecided || (unknown.plan && !is_single);
        if guessed && rollup.needs_refetch.len() < MAX_REFETCH {
            rollup.needs_refetch.insert(subscription.id.clone());
        }
    }
    if incomplete {
        rollup.awaits = keys::awaited(account, context.catalog);
    }
    rollup
}

/// Whether at most one item of the live subscriptions can be the plan.
fn has_single_live_item(account: &Account) -> bool {
    let subscriptions = account.subscriptions.values();
    let live = subscriptions
        .map(|stored| stored.value.subscription.get())
        .filter(|subscription| subscription.status.is_live());
    let items =
        live.map(|subscription| subscription.items.len() + usize::from(subscription.items_cut));
    items.sum::<usize>() <= 1
}

/// The values that depend on an amount that only an API call could tell.
#[derive(Debug, Clone, Copy, Default)]
struct UnknownValues {
    /// The MRR of the subscription.
    worth: bool,
    /// The rank of its items in the choice of the plan.
    plan: bool,
}

/// Adds a subscription. Returns its unknown values.
fn add_subscription(
    rollup: &mut Rollup,
    account: &Account,
    subscription: &Subscription,
    context: Context<'_>,
) -> UnknownValues {
    rollup.status = rollup.status.min(BillingStatus::of(subscription));
    if subscription.status.is_final() {
        add_ended(rollup, subscription);
        return UnknownValues::default();
    }
    let value = context.value(account, subscription);
    let live = subscription.status.is_live();
    rollup.mrr.add_all(&value.mrr);
    rollup.arr.add_all(&value.arr);
    let unknown = UnknownValues {
        worth: value.incomplete,
        plan: live && value.unknown_nominal,
    };
    let weight = |items: &[ItemValue]| Weight {
        mrr: millionths(items.iter().map(|item| &item.mrr)),
        nominal: millionths(items.iter().map(|item| &item.nominal)),
        created: subscription.created,
        subscription: subscription.id.clone(),
    };
    let candidate = primary(subscription, weight(&value.items));
    rollup.offer(candidate);
    if !live {
        return unknown;
    }
    for (item, worth) in subscription.items.iter().zip(&value.items) {
        let weight = Some(weight(std::slice::from_ref(worth)));
        if rollup.plan.as_ref().is_none_or(|held| weight > held.weight) {
            let price = &item.price;
            rollup.plan = Some(Plan {
                weight,
                price: price.id.clone(),
                product: price.product.clone(),
                name: plan_name(price, context.catalog),
                tier: context.settings.tier_name(price).to_owned(),
            });
        }
    }
    if subscription.status == Status::Trialing {
        let end = *subscription.trial_end.get();
        rollup.trial_end = [rollup.trial_end, end].into_iter().flatten().min();
    }
    let next = next_invoice(subscription);
    rollup.next_invoice = [rollup.next_invoice, next].into_iter().flatten().min();
    unknown
}

/// An ended subscription is worth nothing, and may still be the newest.
fn add_ended(rollup: &mut Rollup, subscription: &Subscription) {
    let weight = Weight {
        mrr: 0,
        nominal: 0,
        created: subscription.created,
        subscription: subscription.id.clone(),
    };
    rollup.offer(primary(subscription, weight));
}

/// A sum in millionths of the minor unit, for comparing only.
fn millionths<'a>(amounts: impl Iterator<Item = &'a Exact>) -> i64 {
    let sum = amounts.cloned().reduce(|sum, amount| sum + amount);
    sum.map_or(0, |sum| floor_multiple(&sum, 1_000_000))
}

fn next_invoice(subscription: &Subscription) -> Option<Timestamp> {
    if !subscription.status.is_live() || subscription.status == Status::Paused {
        return None;
    }
    let next = subscription.period.get().map(|period| period.end)?;
    subscription
        .scheduled_end()
        .is_none_or(|end| end > next)
        .then_some(next)
}

/// The next instant at which time alone changes what the account is worth.
fn stale_at(account: &Account, now: Timestamp) -> Option<Timestamp> {
    let live = account.subscriptions.values();
    let live = live.map(|stored| stored.value.subscription.get());
    let live = live.filter(|subscription| subscription.status.is_live());
    let of_subscriptions = live.flat_map(|subscription| {
        let items = subscription.items.iter();
        let on_items = items.clone().flat_map(|item| &item.discounts);
        let discounts = subscription.discounts.iter().chain(on_items);
        let ends = discounts.filter_map(|reference| match reference {
            DiscountRef::Inline(discount) => discount.end,
            DiscountRef::Id(_) => None,
        });
        items.filter_map(|item| item.trial_until).chain(ends)
    });
    let customer = account.customer.as_ref();
    let customer = customer.and_then(|stored| stored.value.get().discount.get().as_ref());
    let known = account.discounts.values().map(|stored| stored.value.get());
    let ends = known.chain(customer).filter_map(|discount| discount.end);
    of_subscriptions.chain(ends).filter(|end| *end > now).min()
}

/// Minor units of one currency, as events tell them.
#[must_use]
pub fn amount(currency: &Currency, minor: i64) -> serde_json::Value {
    serde_json::json!({ currency.as_str(): minor })
}
