//! The roll-up: what one Stripe customer's working set comes to.
//!
//! It is all that a contact keeps of a Stripe customer, so it is bounded, and several of them can
//! be merged without loading the objects again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::account::{Account, Catalog, CatalogKey};
use crate::id::StripeId;
use crate::money::{Currency, Exact, Money, floor_multiple};
use crate::mrr::{self, ItemValue};
use crate::objects::catalog::{CouponRef, Price, Scheme};
use crate::objects::discount::DiscountRef;
use crate::objects::payment_method::PaymentMethod;
use crate::objects::subscription::{Item, Status, Subscription};
use crate::risk::Risk;
use crate::settings::{MrrSettings, Settings};
use crate::time::Timestamp;
use crate::totals::{Purchase, Totals};

/// The most subscriptions that are listed as waiting for a fetch.
const MAX_REFETCH: usize = 50;

/// The billing status, the most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingStatus {
    /// Retries are over.
    Unpaid,
    /// A payment is missing.
    PastDue,
    /// Running and paid.
    Active,
    /// In a trial.
    Trialing,
    /// Paused, or active with collection paused.
    Paused,
    /// The first payment is missing.
    Incomplete,
    /// Ended.
    Canceled,
    /// The first payment never came.
    IncompleteExpired,
    /// No subscription.
    #[default]
    None,
}

impl BillingStatus {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::PastDue => "past_due",
            Self::Active => "active",
            Self::Trialing => "trialing",
            Self::Paused => "paused",
            Self::Incomplete => "incomplete",
            Self::Canceled => "canceled",
            Self::IncompleteExpired => "incomplete_expired",
            Self::None => "none",
        }
    }

    fn of(subscription: &Subscription) -> Self {
        if subscription.is_paused() {
            return Self::Paused;
        }
        match subscription.status {
            Status::Unpaid => Self::Unpaid,
            Status::PastDue => Self::PastDue,
            Status::Active => Self::Active,
            Status::Trialing => Self::Trialing,
            Status::Paused => Self::Paused,
            Status::Incomplete => Self::Incomplete,
            Status::Canceled => Self::Canceled,
            Status::IncompleteExpired => Self::IncompleteExpired,
            Status::Other(_) => Self::None,
        }
    }
}

/// An order over what subscriptions are worth: per month in millionths of the minor unit, then the
/// same as if active and undiscounted, then the newest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Weight {
    mrr: i64,
    nominal: i64,
    created: Timestamp,
    subscription: StripeId,
}

/// The plan: the item that is worth most among live subscriptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How it compares to those of other Stripe customers.
    pub weight: Option<Weight>,
    /// The price's id.
    pub price: StripeId,
    /// The product, whose name goes first.
    pub product: Option<StripeId>,
    /// A name: the product's, else the price's nickname, lookup key or id.
    pub name: String,
    /// The tier.
    pub tier: String,
}

/// The subscription that dates are taken from: the live one worth most, else the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Primary {
    /// Live ones go before ended ones.
    pub live: bool,
    /// How it compares to those of other Stripe customers.
    pub weight: Weight,
    /// When it began.
    pub start_date: Timestamp,
    /// The end of the running period.
    pub period_end: Option<Timestamp>,
    /// A scheduled end.
    pub cancel_at: Option<Timestamp>,
    /// The end of its trial.
    pub trial_end: Option<Timestamp>,
}

/// The payment method on file, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OnFile {
    /// Whether there is one.
    pub on_file: bool,
    /// `card`, …
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `visa`, …
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// The month that a card is valid through.
    pub exp_month: Option<u8>,
    /// The year that a card is valid through.
    pub exp_year: Option<u16>,
}

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
            && (totals, needs_refetch) == (&other.totals, &other.needs_refetch)
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
        stale_at: stale_at(account, context.now),
        lifetime: totals
            .lifetime()
            .and_then(|purchase| lifetime_plan(purchase, context)),
        totals,
        ..Rollup::default()
    };
    for stored in account.subscriptions.values() {
        let undecided = stored.value.subscription.is_undecided();
        add_subscription(
            &mut rollup,
            account,
            stored.value.subscription.get(),
            undecided,
            context,
        );
    }
    rollup
}

fn add_subscription(
    rollup: &mut Rollup,
    account: &Account,
    subscription: &Subscription,
    undecided: bool,
    context: Context<'_>,
) {
    rollup.status = rollup.status.min(BillingStatus::of(subscription));
    if subscription.status.is_final() {
        add_ended(rollup, subscription, undecided);
        return;
    }
    let value = context.value(account, subscription);
    let live = subscription.status.is_live();
    rollup.mrr.add_all(&value.mrr);
    rollup.arr.add_all(&value.arr);
    if (value.incomplete || undecided) && rollup.needs_refetch.len() < MAX_REFETCH {
        rollup.needs_refetch.insert(subscription.id.clone());
    }
    let weight = |items: &[ItemValue]| Weight {
        mrr: millionths(items.iter().map(|item| &item.mrr)),
        nominal: millionths(items.iter().map(|item| &item.nominal)),
        created: subscription.created,
        subscription: subscription.id.clone(),
    };
    let candidate = primary(subscription, weight(&value.items));
    rollup.offer(candidate);
    if !live {
        return;
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
}

/// An ended subscription is worth nothing, and may still be the newest.
fn add_ended(rollup: &mut Rollup, subscription: &Subscription, undecided: bool) {
    if undecided && rollup.needs_refetch.len() < MAX_REFETCH {
        rollup.needs_refetch.insert(subscription.id.clone());
    }
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

fn primary(subscription: &Subscription, weight: Weight) -> Primary {
    Primary {
        live: subscription.status.is_live(),
        weight,
        start_date: subscription.start_date,
        period_end: subscription.period.get().map(|period| period.end),
        cancel_at: subscription.scheduled_end(),
        trial_end: *subscription.trial_end.get(),
    }
}

impl Primary {
    /// Whether this one goes before the other: live before ended; of live ones the one worth
    /// most, of ended ones the newest.
    #[must_use]
    pub fn beats(&self, other: &Self) -> bool {
        if self.live != other.live {
            return self.live;
        }
        if self.live {
            return self.weight > other.weight;
        }
        let newest = |p: &Self| (p.weight.created, p.weight.subscription.clone());
        newest(self) > newest(other)
    }
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

/// The name of a price as people know it.
#[must_use]
pub fn plan_name(price: &Price, catalog: &Catalog) -> String {
    let product = price
        .product
        .as_ref()
        .and_then(|product| catalog.products.get(product));
    product
        .and_then(|product| product.name.as_ref())
        .or(price.product_name.as_ref())
        .or(price.nickname.as_ref())
        .or(price.lookup_key.as_ref())
        .cloned()
        .unwrap_or_else(|| price.id.to_string())
}

fn lifetime_plan(purchase: &Purchase, context: Context<'_>) -> Option<Plan> {
    let product = purchase.product.as_ref();
    let of = context
        .settings
        .tier_of(&purchase.price, product)
        .filter(|of| of.lifetime)?;
    let known = product.and_then(|product| context.catalog.products.get(product));
    let name = known.and_then(|product| product.name.clone());
    Some(Plan {
        weight: None,
        price: purchase.price.clone(),
        product: purchase.product.clone(),
        name: name.unwrap_or_else(|| purchase.price.to_string()),
        tier: of.tier.clone(),
    })
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

/// The customer's default payment method, else any attached one.
fn on_file(account: &Account) -> OnFile {
    let customer = account.customer.as_ref().map(|stored| stored.value.get());
    let default = customer
        .filter(|customer| !customer.deleted)
        .and_then(|customer| customer.default_payment_method.get().as_ref());
    let method = |id| {
        account
            .payment_methods
            .get(id)
            .map(|stored| stored.value.get())
    };
    match default.map(method) {
        Some(Some(default)) if default.attached => return describe(default),
        // Stripe says that it is the default, and nothing says that it was detached.
        Some(None) => {
            return OnFile {
                on_file: true,
                ..OnFile::default()
            };
        }
        Some(Some(_)) | None => {}
    }
    account
        .payment_methods
        .values()
        .filter(|stored| stored.value.get().attached)
        .max_by_key(|stored| (stored.value.watermark(), &stored.value.get().id))
        .map_or_else(OnFile::default, |stored| describe(stored.value.get()))
}

fn describe(method: &PaymentMethod) -> OnFile {
    OnFile {
        on_file: true,
        kind: Some(method.kind.clone()),
        brand: method.brand.clone(),
        last4: method.last4.clone(),
        exp_month: method.exp_month,
        exp_year: method.exp_year,
    }
}

/// The catalog entries that an account's roll-up reads: names, tiers and coupons it does not hold.
#[must_use]
pub fn catalog_keys(account: &Account, totals: &Totals) -> BTreeSet<CatalogKey> {
    let subscriptions = account.subscriptions.values();
    let mut keys: BTreeSet<_> = subscriptions
        .flat_map(|stored| subscription_keys(stored.value.subscription.get()))
        .collect();
    let customer = account
        .customer
        .as_ref()
        .and_then(|c| c.value.get().discount.get().as_ref());
    let discounts = account.discounts.values().map(|stored| stored.value.get());
    for discount in discounts.chain(customer) {
        if let CouponRef::Id(id) = &discount.coupon {
            keys.insert(CatalogKey::Coupon(id.clone()));
        }
    }
    let bought = totals
        .purchases
        .values()
        .filter_map(|purchase| purchase.product.clone());
    keys.extend(bought.map(CatalogKey::Product));
    keys
}

/// The catalog entries that valuing a live subscription reads.
#[must_use]
pub fn subscription_keys(subscription: &Subscription) -> BTreeSet<CatalogKey> {
    let mut keys = BTreeSet::new();
    if !subscription.status.is_live() {
        return keys;
    }
    for item in &subscription.items {
        item_keys(item, &mut keys);
    }
    let on_items = subscription.items.iter().flat_map(|item| &item.discounts);
    for reference in subscription.discounts.iter().chain(on_items) {
        if let DiscountRef::Inline(discount) = reference
            && let CouponRef::Id(id) = &discount.coupon
        {
            keys.insert(CatalogKey::Coupon(id.clone()));
        }
    }
    keys
}

fn item_keys(item: &Item, keys: &mut BTreeSet<CatalogKey>) {
    if let Some(product) = &item.price.product {
        keys.insert(CatalogKey::Product(product.clone()));
    }
    if matches!(
        item.price.scheme,
        Scheme::Tiered(_, None) | Scheme::PerUnit(None)
    ) {
        keys.insert(CatalogKey::Price(item.price.id.clone()));
    }
}

/// Minor units of one currency, as events tell them.
#[must_use]
pub fn amount(currency: &Currency, minor: i64) -> serde_json::Value {
    serde_json::json!({ currency.as_str(): minor })
}
