//! What the API answers: the contract's shapes, made from what is stored.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::account::{Catalog, SubscriptionState};
use crate::contact::Contact;
use crate::decline::{Decline, DeclineKind};
use crate::id::{CustomerId, StripeCustomerId, StripeId};
use crate::money::{Currency, Money};
use crate::mrr;
use crate::objects::invoice::{Attempt, AttemptOutcome, Invoice, InvoiceState, Line};
use crate::objects::subscription::{Item, Subscription};
use crate::rollup::{Context, OnFile, plan_name};
use crate::settings::Settings;
use crate::standing::{Access, Reason, Signal};
use crate::time::{Timestamp, rfc3339, rfc3339_opt};
use crate::totals::Totals;

/// A customer: `GET /api/stripe/customer/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CustomerView {
    /// Our id.
    pub customer_id: CustomerId,
    /// Full name.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Company.
    pub company: Option<String>,
    /// Every Stripe customer that belongs to it.
    pub stripe_customer_ids: Vec<StripeCustomerId>,
    /// Whether all of those are deleted.
    pub deleted: bool,
    /// The billing state.
    pub billing: BillingView,
    /// 0 to 100.
    pub health_score: u8,
    /// Why it is not 100.
    pub health_reasons: Vec<Reason>,
    /// What is wrong.
    pub risk_signals: Vec<Signal>,
    /// The segments it is in.
    pub segments: BTreeSet<String>,
    /// The users of the product who work in it.
    pub users: BTreeSet<String>,
    /// The workspaces of the product that it pays for.
    pub workspaces: BTreeSet<String>,
    /// What the tenant told beside the name.
    pub traits: BTreeMap<String, serde_json::Value>,
    /// Objects of Stripe's whose newest state no event could tell: what is shown of them is a guess.
    pub undecided: BTreeSet<String>,
    /// The newest instant that this includes.
    #[serde(serialize_with = "rfc3339")]
    pub as_of: Timestamp,
}

/// The billing state of a customer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BillingView {
    /// The price of the plan.
    pub plan: Option<StripeId>,
    /// Its name.
    pub plan_name: Option<String>,
    /// The tier.
    pub tier: String,
    /// Minor units per month.
    pub mrr: Money,
    /// Minor units per year.
    pub arr: Money,
    /// The most severe status over all subscriptions.
    pub billing_status: &'static str,
    /// The end of the trial, also after it.
    #[serde(serialize_with = "rfc3339_opt")]
    pub trial_end_date: Option<Timestamp>,
    /// When the primary subscription began.
    #[serde(serialize_with = "rfc3339_opt")]
    pub subscription_start_date: Option<Timestamp>,
    /// When it renews.
    #[serde(serialize_with = "rfc3339_opt")]
    pub renewal_date: Option<Timestamp>,
    /// When the next invoice comes.
    #[serde(serialize_with = "rfc3339_opt")]
    pub next_invoice_date: Option<Timestamp>,
    /// When it ends, if that is set.
    #[serde(serialize_with = "rfc3339_opt")]
    pub cancel_at: Option<Timestamp>,
    /// Paid less given back.
    pub lifetime_value: Money,
    /// The payment method on file.
    pub payment_method: OnFile,
    /// How much may be used.
    pub access: Access,
}

/// Shows a contact as it stands at an instant. The catalog, where it knows the plan's product,
/// gives the name it has now.
#[must_use]
pub fn customer(
    contact: &Contact,
    settings: &Settings,
    catalog: &Catalog,
    now: Timestamp,
) -> CustomerView {
    let billing = contact.billing(settings);
    let standing = contact.standing(&billing, settings, now);
    let profile = contact.profile.as_ref();
    let product = billing.plan.as_ref().and_then(|plan| plan.product.as_ref());
    let name = product.and_then(|product| catalog.products.get(product)?.name.clone());
    CustomerView {
        customer_id: contact.id.clone(),
        name: contact.name().map(str::to_owned),
        email: contact.email().map(str::to_owned),
        company: contact.company().map(str::to_owned),
        stripe_customer_ids: contact
            .accounts
            .keys()
            .filter(|customer| !customer.is_guest())
            .cloned()
            .collect(),
        deleted: contact.is_deleted(),
        billing: BillingView {
            plan: billing.plan.as_ref().map(|plan| plan.price.clone()),
            plan_name: name.or_else(|| billing.plan.map(|plan| plan.name)),
            tier: billing.tier,
            mrr: billing.mrr,
            arr: billing.arr,
            billing_status: billing.status.as_str(),
            trial_end_date: billing.trial_end_date,
            subscription_start_date: billing.subscription_start_date,
            renewal_date: billing.renewal_date,
            next_invoice_date: billing.next_invoice_date,
            cancel_at: billing.cancel_at,
            lifetime_value: billing.lifetime_value,
            payment_method: billing.payment_method,
            access: standing.access,
        },
        health_score: standing.health,
        health_reasons: standing.reasons,
        risk_signals: standing.signals,
        segments: standing.segments,
        users: profile.map(|p| p.users.clone()).unwrap_or_default(),
        workspaces: profile.map(|p| p.workspaces.clone()).unwrap_or_default(),
        traits: contact.traits().into_owned(),
        undecided: contact
            .accounts
            .values()
            .flat_map(|rollup| rollup.undecided.iter().cloned())
            .collect(),
        as_of: contact.evaluated_at,
    }
}

/// A subscription: one of `GET /api/stripe/subscriptions/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubscriptionView {
    /// `sub_…`.
    pub id: StripeId,
    /// The Stripe customer it belongs to.
    pub stripe_customer_id: StripeCustomerId,
    /// Stripe's status.
    pub status: String,
    /// The price of the item that is worth most.
    pub plan: Option<StripeId>,
    /// Its name.
    pub plan_name: Option<String>,
    /// Its tier.
    pub tier: Option<String>,
    /// Over all items.
    pub quantity: u64,
    /// Minor units per month.
    pub mrr: Money,
    /// The running period's first second.
    #[serde(serialize_with = "rfc3339_opt")]
    pub current_period_start: Option<Timestamp>,
    /// The running period's end.
    #[serde(serialize_with = "rfc3339_opt")]
    pub current_period_end: Option<Timestamp>,
    /// Ends with the running period.
    pub cancel_at_period_end: bool,
    /// The instant of a scheduled end, by either way to schedule one.
    #[serde(serialize_with = "rfc3339_opt")]
    pub cancel_at: Option<Timestamp>,
    /// The end of the trial.
    #[serde(serialize_with = "rfc3339_opt")]
    pub trial_end: Option<Timestamp>,
    /// When it began.
    #[serde(serialize_with = "rfc3339")]
    pub start_date: Timestamp,
    /// When it ended.
    #[serde(serialize_with = "rfc3339_opt")]
    pub ended_at: Option<Timestamp>,
    /// Paused by status or by collection.
    pub paused: bool,
    /// What it is planned to become; not in force yet.
    pub scheduled_change: Option<ScheduledChange>,
    /// Whether a change waits for its payment; not in force yet.
    pub has_pending_update: bool,
    /// Whether only an API call could tell all about it.
    pub needs_refetch: bool,
    /// What is bought.
    pub items: Vec<ItemView>,
}

/// The next phase of a subscription's schedule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScheduledChange {
    /// When it comes into force.
    #[serde(serialize_with = "rfc3339")]
    pub at: Timestamp,
    /// The prices from then on.
    pub prices: Vec<StripeId>,
    /// The highest tier among them that the settings know by price.
    pub tier: Option<String>,
}

fn scheduled_change(
    subscription: &Subscription,
    account: &crate::account::Account,
    context: Context<'_>,
) -> Option<ScheduledChange> {
    let schedules = account.schedules.values().map(|stored| stored.value.get());
    let mut own = schedules.filter(|schedule| {
        schedule.subscription.as_ref() == Some(&subscription.id)
            || subscription.schedule.as_ref() == Some(&schedule.id)
    });
    let phase = own.find_map(|schedule| schedule.next_phase(context.now))?;
    let settings = context.settings;
    let tiers = phase.prices.iter();
    let tiers = tiers.filter_map(|price| settings.tier_of(price, None));
    let highest = tiers.max_by_key(|of| settings.rank(&of.tier));
    Some(ScheduledChange {
        at: phase.start,
        prices: phase.prices.clone(),
        tier: highest.map(|of| of.tier.clone()),
    })
}

/// An item of a subscription.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ItemView {
    /// `si_…`.
    pub id: StripeId,
    /// The price.
    pub price: StripeId,
    /// How many.
    pub quantity: Option<u64>,
}

/// Shows a subscription, valued within its account.
#[must_use]
pub fn subscription(
    customer: &StripeCustomerId,
    state: &SubscriptionState,
    account: &crate::account::Account,
    context: Context<'_>,
) -> SubscriptionView {
    let subscription = state.subscription.get();
    let value = context.value(account, subscription);
    let top = top_item(&subscription.items, &value).map(|item| &item.price);
    let period = subscription.period.get();
    SubscriptionView {
        id: subscription.id.clone(),
        stripe_customer_id: customer.clone(),
        status: subscription.status.as_str().to_owned(),
        plan: top.map(|price| price.id.clone()),
        plan_name: top.map(|price| plan_name(price, context.catalog)),
        tier: top.map(|price| context.settings.tier_name(price).to_owned()),
        quantity: subscription
            .items
            .iter()
            .map(|item| item.quantity.unwrap_or(1))
            .sum(),
        current_period_start: period.map(|period| period.start),
        current_period_end: period.map(|period| period.end),
        cancel_at_period_end: subscription.cancel_at_period_end,
        cancel_at: subscription.scheduled_end(),
        trial_end: *subscription.trial_end.get(),
        start_date: subscription.start_date,
        ended_at: subscription.ended_at,
        paused: subscription.is_paused(),
        scheduled_change: Some(subscription)
            .filter(|subscription| subscription.status.is_live())
            .and_then(|subscription| scheduled_change(subscription, account, context)),
        has_pending_update: subscription.has_pending_update,
        needs_refetch: value.incomplete || state.subscription.is_undecided(),
        items: subscription.items.iter().map(item_view).collect(),
        mrr: value.mrr,
    }
}

fn item_view(item: &Item) -> ItemView {
    ItemView {
        id: item.id.clone(),
        price: item.price.id.clone(),
        quantity: item.quantity,
    }
}

/// The item that is worth most: now, else as if active; the first of equals.
#[must_use]
pub fn top_item<'a>(items: &'a [Item], value: &mrr::Value) -> Option<&'a Item> {
    let worth = items.iter().zip(&value.items);
    let best = worth.reduce(|best, next| {
        let more = (&next.1.mrr, &next.1.nominal) > (&best.1.mrr, &best.1.nominal);
        if more { next } else { best }
    });
    best.map(|(item, _)| item)
}

/// An invoice: one of `GET /api/stripe/invoices/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InvoiceView {
    /// `in_…`.
    pub id: StripeId,
    /// The Stripe customer it belongs to.
    pub stripe_customer_id: StripeCustomerId,
    /// Stripe's status.
    pub status: String,
    /// Its currency.
    pub currency: Currency,
    /// Minor units to pay.
    pub amount_due: i64,
    /// Minor units paid.
    pub amount_paid: i64,
    /// When it is to be paid.
    #[serde(serialize_with = "rfc3339_opt")]
    pub due_date: Option<Timestamp>,
    /// When it was paid.
    #[serde(serialize_with = "rfc3339_opt")]
    pub paid_at: Option<Timestamp>,
    /// Automatic attempts so far.
    pub attempt_count: u32,
    /// The next automatic attempt.
    #[serde(serialize_with = "rfc3339_opt")]
    pub next_payment_attempt: Option<Timestamp>,
    /// When it was made.
    #[serde(serialize_with = "rfc3339")]
    pub created: Timestamp,
    /// The subscription that it is for.
    pub subscription: Option<StripeId>,
    /// What is to be paid for.
    pub lines: Vec<LineView>,
    /// What was tried.
    pub attempts: Vec<AttemptView>,
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LineView {
    /// `il_…`.
    pub id: StripeId,
    /// Minor units.
    pub amount: i64,
    /// How many.
    pub quantity: Option<u64>,
    /// The price.
    pub price: Option<StripeId>,
    /// An adjustment for a change within a period.
    pub proration: bool,
    /// The first second that it pays for.
    #[serde(serialize_with = "rfc3339_opt")]
    pub period_start: Option<Timestamp>,
    /// The end of what it pays for.
    #[serde(serialize_with = "rfc3339_opt")]
    pub period_end: Option<Timestamp>,
}

/// An attempt to collect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttemptView {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub at: Timestamp,
    /// How it went.
    pub outcome: AttemptOutcome,
    /// Why it was declined: Stripe's decline code.
    pub decline_code: Option<String>,
    /// What the issuer advises.
    pub advice_code: Option<String>,
    /// Whether the same payment method may still pay.
    pub decline_kind: Option<DeclineKind>,
}

impl AttemptView {
    fn new(attempt: &Attempt, invoice: &Invoice, totals: Option<&Totals>) -> Self {
        let failed = attempt.outcome == AttemptOutcome::Failed;
        let totals = totals.filter(|_| failed);
        let decline = totals.and_then(|totals| totals.decline(invoice, attempt.at));
        Self {
            at: attempt.at,
            outcome: attempt.outcome,
            decline_code: decline.and_then(|decline| decline.code.clone()),
            advice_code: decline.and_then(|decline| decline.advice.clone()),
            decline_kind: decline.and_then(Decline::kind),
        }
    }
}

/// Shows an invoice. The totals of its Stripe customer know why attempts were declined.
#[must_use]
pub fn invoice(
    customer: &StripeCustomerId,
    state: &InvoiceState,
    totals: Option<&Totals>,
) -> InvoiceView {
    let invoice = state.invoice.get();
    InvoiceView {
        id: invoice.id.clone(),
        stripe_customer_id: customer.clone(),
        status: invoice.status.as_str().to_owned(),
        currency: invoice.currency.clone(),
        amount_due: invoice.amount_due,
        amount_paid: invoice.amount_paid,
        due_date: invoice.due_date,
        paid_at: *invoice.paid_at.get(),
        attempt_count: invoice.attempt_count,
        next_payment_attempt: invoice.next_payment_attempt,
        created: invoice.created,
        subscription: invoice.subscription.get().clone(),
        lines: invoice.lines.iter().map(line_view).collect(),
        attempts: state
            .attempts
            .values()
            .map(|attempt| AttemptView::new(attempt, invoice, totals))
            .collect(),
    }
}

fn line_view(line: &Line) -> LineView {
    LineView {
        id: line.id.clone(),
        amount: line.amount,
        quantity: line.quantity,
        price: line.price.clone(),
        proration: line.proration,
        period_start: line.period.map(|period| period.start),
        period_end: line.period.map(|period| period.end),
    }
}

/// The MRR of a customer: `GET /api/stripe/mrr/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MrrView {
    /// Minor units per month.
    pub mrr: Money,
    /// Minor units per year.
    pub arr: Money,
    /// Each subscription's part.
    pub subscriptions: Vec<SubscriptionMrrView>,
}

/// A subscription's part of the MRR.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubscriptionMrrView {
    /// `sub_…`.
    pub id: StripeId,
    /// Minor units per month.
    pub mrr: Money,
}
