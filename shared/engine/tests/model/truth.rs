//! Comparing what is stored with the truth of the simulated Stripe.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use paygraph_domain::account::{Account, Catalog, Object};
use paygraph_domain::contact::Contact;
use paygraph_domain::id::StripeId;
use paygraph_domain::objects::dispute::Dispute;
use paygraph_domain::order::{Snapshot, Tracked};
use paygraph_domain::rollup::{Context, Rollup};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view;
use paygraph_engine::memory::MemoryStore;
use paygraph_testkit::world::{InvoiceTruth, SubscriptionTruth, Truth};
use serde_json::{Value, json};

use super::contact::contact_is_true;

/// By which way the record came to be: not every way can tell everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By all events.
    Events,
    /// By Stripe's lists.
    Import,
    /// By some of the events, and by a comparison with Stripe.
    Comparison,
}

impl Way {
    /// Whether Stripe tells of a customer at all. No list has a deleted customer; the lists of
    /// subscriptions, invoices and charges still have what belonged to it.
    fn tells_of(self, truth: &Truth) -> bool {
        let has_history = !truth.subscriptions.is_empty()
            || !truth.invoices.is_empty()
            || !truth.lifetime_value.is_empty();
        self == Self::Events || !truth.deleted || has_history
    }

    /// Whether it tells which contact a customer names: a deleted one has no metadata any more.
    fn tells_contact(self, truth: &Truth) -> bool {
        self == Self::Events || !truth.deleted
    }

    /// Whether it tells amounts in other currencies: an event has no `currency_options`, and a list
    /// has them if they are expanded.
    pub fn tells_currencies(self) -> bool {
        self != Self::Events
    }

    /// Whether it tells when an attempt to collect failed. A charge says when it was made. A card is
    /// declined in that second, but a bank debit fails days later.
    pub fn tells_failures(self, truth: &Truth) -> bool {
        self == Self::Events || !truth.standing.debits
    }

    /// Whether it tells if a payment method is on file. Stripe lists payment methods by customer
    /// only, one request for each: runs ask for those of customers with a live subscription. All
    /// customers come with their default one.
    pub fn tells_methods(self, truth: &Truth) -> bool {
        let ended = ["canceled", "incomplete", "incomplete_expired"];
        let mut subscriptions = truth.subscriptions.values();
        let is_live = subscriptions.any(|of| !ended.contains(&of.status.as_str()));
        self == Self::Events || truth.default_last4.is_some() || (is_live && !truth.deleted)
    }
}

/// Compares all that is stored with all that is true, with the catalog that is stored beside it.
/// Gives the kinds of objects about which the record says that it cannot know; what depends on those
/// is left out.
pub fn compare(
    way: Way,
    (store, catalog): (&MemoryStore, &Catalog),
    truths: &[Truth],
    now: i64,
) -> Result<BTreeSet<&'static str>, String> {
    let contacts = store.contacts();
    let mut all = BTreeSet::new();
    for (id, account, beside) in store.accounts() {
        let truth = truths.iter().find(|truth| truth.customer == id.as_str());
        let truth = truth.ok_or_else(|| format!("nobody is {id}"))?;
        let holder = contacts
            .iter()
            .find(|contact| contact.accounts.contains_key(&id))
            .ok_or_else(|| format!("nobody holds {id}"))?;
        let rollup = &holder.accounts[&id];
        let undecided = undecided(&account, &beside);
        account_is_true((way, catalog), &account, &beside, truth)?;
        rollup_is_true(way, holder, rollup, truth, &undecided)
            .map_err(|error| format!("{id}: {error}"))?;
        all.extend(undecided);
    }
    let stored: BTreeSet<String> = store.accounts().iter().map(|of| of.0.to_string()).collect();
    let told = truths.iter().filter(|truth| way.tells_of(truth));
    let missing: Vec<_> = told
        .filter(|truth| !stored.contains(&truth.customer))
        .collect();
    same(
        "missing customers",
        &Vec::new(),
        &missing.iter().map(|of| &of.customer).collect(),
    )?;
    if way != Way::Events {
        // Stripe was asked for what events could not tell.
        same("undecided", &BTreeSet::new(), &all)?;
    }
    if all.is_empty() {
        for contact in &contacts {
            contact_is_true(way, contact, truths, now)?;
        }
    }
    Ok(all)
}

/// Objects of which the events do not tell the newest state, by kind.
fn undecided(account: &Account, beside: &[Object]) -> BTreeSet<&'static str> {
    fn unsure<T: Snapshot>(tracked: &Tracked<T>) -> bool {
        tracked.is_undecided()
    }
    let mut kinds = BTreeSet::new();
    let mut note = |kind, any: bool| any.then(|| kinds.insert(kind));
    // What is only incomplete, since no event tells which products a coupon is for, is a true guess:
    // the world's coupons are for all.
    let mut subscriptions = account.subscriptions.values();
    note(
        "subscription",
        subscriptions.any(|held| held.value.subscription.is_undecided()),
    );
    note(
        "customer",
        account.customer.iter().any(|c| unsure(&c.value)),
    );
    let methods = &account.payment_methods;
    note("payment method", methods.values().any(|m| unsure(&m.value)));
    note(
        "dispute",
        account.disputes.values().any(|d| unsure(&d.value)),
    );
    for object in beside {
        match object {
            Object::Invoice(state) => note("invoice", unsure(&state.invoice)),
            Object::Charge(state) => note("charge", state.charge.iter().any(unsure)),
            Object::Checkout(state) => note("checkout", unsure(state)),
            Object::Customer(_)
            | Object::Subscription(_)
            | Object::PaymentMethod(_)
            | Object::Dispute(_)
            | Object::Discount(_)
            | Object::Schedule(_) => None,
        };
    }
    kinds
}

/// Every subscription, invoice and dispute by itself.
fn account_is_true(
    known: (Way, &Catalog),
    account: &Account,
    beside: &[Object],
    truth: &Truth,
) -> Result<(), String> {
    let ids: Vec<&str> = account.subscriptions.keys().map(StripeId::as_str).collect();
    let expected: Vec<&str> = truth.subscriptions.keys().map(String::as_str).collect();
    same("subscriptions", &expected, &ids)?;
    for (id, stored) in &account.subscriptions {
        let state = &stored.value;
        if !state.subscription.is_undecided() {
            let expected = &truth.subscriptions[id.as_str()];
            subscription_is_true(known, account, expected, id)?;
        }
    }
    let mut invoices = truth.invoices.clone();
    for object in beside {
        if let Object::Invoice(state) = object {
            let invoice = state.invoice.get();
            let expected = invoices.remove(invoice.id.as_str());
            let found = InvoiceTruth {
                status: invoice.status.as_str().to_owned(),
                amount_due: invoice.amount_due,
                amount_paid: invoice.amount_paid,
                attempt_count: i64::from(invoice.attempt_count),
                next_payment_attempt: invoice.next_payment_attempt.map(Timestamp::unix),
                due_date: invoice.due_date.map(Timestamp::unix),
                paid_at: invoice.paid_at.get().map(Timestamp::unix),
            };
            if !state.invoice.is_undecided() {
                same(invoice.id.as_str(), &expected, &Some(found))?;
            }
        }
    }
    same("missing invoices", &0, &invoices.len())?;
    let disputes = account.disputes.values().map(|stored| stored.value.get());
    let is_open = |dispute: &&Dispute| !dispute.is_inquiry() && !dispute.is_closed();
    let open = disputes
        .filter(is_open)
        .map(|dispute| (dispute.id.to_string(), dispute.created.unix()));
    same("open disputes", &truth.open_disputes, &open.collect())
}

/// A subscription as the API shows it.
fn subscription_is_true(
    (way, catalog): (Way, &Catalog),
    account: &Account,
    truth: &SubscriptionTruth,
    id: &StripeId,
) -> Result<(), String> {
    let stored = &account.subscriptions[id];
    let settings = Settings::example().unwrap();
    let context = Context {
        settings: &settings,
        catalog,
        now: stored.value.subscription.watermark(),
    };
    let customer = account.stripe_customer().unwrap();
    let view = view::subscription(customer, &stored.value, account, context);
    let mrr = serde_json::to_value(&view.mrr).unwrap();
    let own = mrr[&truth.currency].as_i64();
    let other = mrr
        .as_object()
        .unwrap()
        .keys()
        .any(|code| *code != truth.currency);
    same("currency of the MRR", &false, &other)?;
    let items = view.items.iter().map(|item| {
        let bought = (item.price.to_string(), item.quantity.unwrap_or(1));
        (item.id.to_string(), bought)
    });
    let subscription = stored.value.subscription.get();
    let found = SubscriptionTruth {
        status: view.status,
        items: items.collect(),
        mrr: if truth.mrr.is_some() && (truth.told || way.tells_currencies()) {
            Some(own.unwrap_or(0))
        } else {
            truth.mrr
        },
        arr: truth.arr,
        told: truth.told,
        currency: subscription.currency.as_ref().unwrap().to_string(),
        collection_paused: subscription.pause.get().is_some(),
        cancel_at: view.cancel_at.map(Timestamp::unix),
        trial_end: view.trial_end.map(Timestamp::unix),
        start_date: view.start_date.unix(),
        ended_at: view.ended_at.map(Timestamp::unix),
    };
    same(id.as_str(), truth, &found)
}

/// What a Stripe customer comes to.
fn rollup_is_true(
    way: Way,
    holder: &Contact,
    rollup: &Rollup,
    truth: &Truth,
    undecided: &BTreeSet<&str>,
) -> Result<(), String> {
    let sure = |kinds: &[&str]| !kinds.iter().any(|kind| undecided.contains(kind));
    if sure(&["subscription"]) {
        same("status", &truth.billing_status, &rollup.status.as_str())?;
        if truth
            .subscriptions
            .values()
            .all(|s| (s.told || way.tells_currencies()) && s.mrr.is_some())
        {
            same("mrr", &sum(truth, |s| s.mrr), &json!(rollup.mrr))?;
            same("arr", &sum(truth, |s| s.arr), &json!(rollup.arr))?;
        }
        let untold = truth.subscriptions.iter().filter(|(_, s)| {
            let counts = matches!(s.status.as_str(), "active" | "past_due");
            counts && !s.told && !way.tells_currencies()
        });
        for (id, _) in untold {
            let named = rollup
                .needs_refetch
                .iter()
                .any(|named| named.as_str() == id);
            same("untold, and listed to be fetched", &true, &named)?;
        }
        if way.tells_currencies() {
            same("to be fetched", &BTreeSet::new(), &rollup.needs_refetch)?;
        }
    }
    if sure(&["customer"]) && way.tells_contact(truth) {
        same("contact", &truth.contact.as_str(), &holder.id.as_str())?;
    }
    if sure(&["customer", "payment method"]) {
        let method = &rollup.payment_method;
        // A method that is known is asked for by its id: what was taken away is never on file.
        if way.tells_methods(truth) || method.on_file {
            same("on file", &truth.on_file, &method.on_file)?;
        }
        if truth.default_last4.is_some() && !truth.deleted {
            same("card", &truth.default_last4, &method.last4)?;
        }
    }
    if sure(&["invoice", "charge", "checkout"]) {
        let value = rollup.totals.lifetime_value();
        let expected = json!(truth.lifetime_value);
        same("lifetime value", &expected, &json!(value))?;
        same(
            "lifetime purchase",
            &truth.lifetime,
            &rollup.lifetime.is_some(),
        )?;
    }
    same("deleted", &truth.deleted, &rollup.deleted)
}

fn sum(truth: &Truth, of: impl Fn(&SubscriptionTruth) -> Option<i64>) -> Value {
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for subscription in truth.subscriptions.values() {
        *sums.entry(&subscription.currency).or_default() += of(subscription).unwrap_or(0);
    }
    sums.retain(|_, sum| *sum != 0);
    json!(sums)
}

pub fn same<T: PartialEq + Debug>(what: &str, expected: &T, found: &T) -> Result<(), String> {
    if expected == found {
        Ok(())
    } else {
        Err(format!("{what}: true is {expected:?}, stored {found:?}"))
    }
}
