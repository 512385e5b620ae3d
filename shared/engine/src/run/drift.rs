//! A difference between what is kept here and what Stripe has: its class, and what is at stake.
#![cfg_attr(
    not(feature = "stripe-api"),
    allow(dead_code, reason = "only who asks Stripe does runs")
)]

use std::collections::{BTreeMap, BTreeSet};

use paygraph_domain::account::{Account, ObjectKey};
use paygraph_domain::apply::ObjectChange;
use paygraph_domain::audit::FieldChange;
pub use paygraph_domain::drift::Class;
use paygraph_domain::fact::{Body, Fact};
use paygraph_domain::id::StripeCustomerId;
use paygraph_domain::money::Money;
use paygraph_domain::objects::invoice::{Invoice, Status};
use paygraph_domain::objects::subscription::Subscription;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::envelope::Told;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Revenue or access is wrong.
    Critical,
    /// Revenue or access is about to be wrong.
    High,
    /// A sum is wrong.
    Medium,
    /// Nobody would notice.
    Low,
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is about to be healed: nothing is committed yet.
    Pending,
    /// Our state is Stripe's now.
    Healed,
    /// The store refused to heal it: the run names the object in `failed`.
    Failed,
    /// A person has to look.
    Review,
    /// Nothing, since nothing was to be changed.
    DryRun,
}

/// A difference that still stood at the second look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// What kind of difference it is.
    pub class: Class,
    /// How bad it is.
    pub severity: Severity,
    /// Whose it is.
    pub customer: StripeCustomerId,
    /// The Stripe object.
    pub object: String,
    /// The field that differs most; null when the whole object does.
    pub field: Option<String>,
    /// Our value.
    pub local: Value,
    /// Stripe's value.
    pub stripe: Value,
    /// Minor units per month by currency.
    pub money_per_month: BTreeMap<String, i64>,
    /// What was done about it.
    pub outcome: Outcome,
}

fn severity(class: Class) -> Severity {
    match class {
        Class::MissingLocal | Class::StatusMismatch | Class::PlanMismatch => Severity::Critical,
        Class::MissingInStripe | Class::UnpaidUpgrade | Class::SilentDunning => Severity::High,
        Class::AmountMismatch => Severity::Medium,
        Class::Stale => Severity::Low,
    }
}

/// The class of a field that differs.
fn class_of(field: &FieldChange) -> Class {
    match field.name {
        "status" | "deleted" => Class::StatusMismatch,
        "plan" => Class::PlanMismatch,
        "quantity" | "mrr" | "amount_due" | "amount_paid" | "amount_refunded" | "amount_total" => {
            Class::AmountMismatch
        }
        _ => Class::Stale,
    }
}

/// Classifies the differences between our objects and Stripe's, the gravest first. `exhausted` are
/// the invoices that Stripe does not try again, with their unpaid amounts in minor units.
#[must_use]
pub fn classify(
    customer: &StripeCustomerId,
    changes: &[ObjectChange],
    exhausted: &BTreeMap<String, BTreeMap<String, i64>>,
) -> Vec<Drift> {
    let drift_of = |change: &ObjectChange| {
        let gravest = change.fields.iter().min_by_key(|field| class_of(field))?;
        let object = change.id(customer);
        let unpaid = exhausted.get(object);
        let class = match (unpaid, change.was_known) {
            (Some(_), _) => Class::SilentDunning,
            (None, false) => Class::MissingLocal,
            (None, true) => class_of(gravest),
        };
        Some(Drift {
            money_per_month: unpaid.cloned().unwrap_or_else(|| at_stake(&change.fields)),
            field: (class != Class::MissingLocal).then(|| gravest.name.to_owned()),
            local: gravest.before.clone(),
            stripe: gravest.after.clone(),
            ..Drift::new(class, customer, object)
        })
    };
    let mut drift: Vec<_> = changes.iter().filter_map(drift_of).collect();
    drift.sort_by(|a, b| (a.class, &a.object).cmp(&(b.class, &b.object)));
    drift
}

/// What the change of MRR comes to, whichever way it goes; else what an invoice asks for.
fn at_stake(fields: &[FieldChange]) -> BTreeMap<String, i64> {
    let find = |name: &str| fields.iter().find(|field| field.name == name);
    let mut money = BTreeMap::new();
    let sums = |value: &Value| {
        let sums = value.as_object().into_iter().flatten();
        let sums = sums.filter_map(|(currency, sum)| Some((currency.clone(), sum.as_i64()?)));
        sums.collect::<BTreeMap<_, _>>()
    };
    if let Some(change) = find("mrr").or_else(|| find("amount_due")) {
        let (before, after) = (sums(&change.before), sums(&change.after));
        for currency in before.keys().chain(after.keys()) {
            let sum = |of: &BTreeMap<String, i64>| of.get(currency).copied().unwrap_or(0);
            let difference = (sum(&after) - sum(&before)).abs();
            if difference > 0 {
                money.insert(currency.clone(), difference);
            }
        }
    }
    money
}

/// Invoices for which Stripe makes no other attempt, with what is to be paid.
#[must_use]
pub fn exhausted(facts: &[Fact]) -> BTreeMap<String, BTreeMap<String, i64>> {
    let tried = invoices(facts).filter(|invoice| invoice.lacks_next_attempt());
    tried
        .map(|invoice| (invoice.id.to_string(), unpaid(invoice)))
        .collect()
}

fn invoices(facts: &[Fact]) -> impl Iterator<Item = &Invoice> {
    facts.iter().filter_map(|fact| {
        if let Body::Invoice(invoice) = &fact.body {
            Some(invoice.as_ref())
        } else {
            None
        }
    })
}

fn unpaid(invoice: &Invoice) -> BTreeMap<String, i64> {
    let due = invoice.amount_due - invoice.amount_paid;
    BTreeMap::from([(invoice.currency.to_string(), due)])
}

/// Live subscriptions on which an upgrade's invoice was tried, and is not paid.
#[must_use]
pub fn unpaid_upgrades(
    customer: &StripeCustomerId,
    account: &Account,
    facts: &[Fact],
) -> Vec<Drift> {
    let upgrades = invoices(facts).filter(|invoice| {
        invoice.billing_reason.as_deref() == Some("subscription_update")
            && invoice.status == Status::Open
            && invoice.attempt_count > 0
            && invoice.amount_due > invoice.amount_paid
    });
    let told = |invoice: &Invoice| {
        let id = invoice.subscription.get().as_ref()?;
        let held = account.subscriptions.get(id)?.value.subscription.get();
        let item = held.items.first()?;
        held.status.is_live().then(|| Drift {
            field: Some("latest_invoice".to_owned()),
            local: json!(item.price.id),
            stripe: json!(invoice.id),
            money_per_month: unpaid(invoice),
            ..Drift::new(Class::UnpaidUpgrade, customer, invoice.id.as_str())
        })
    };
    upgrades.filter_map(told).collect()
}

impl Drift {
    fn new(class: Class, customer: &StripeCustomerId, object: &str) -> Self {
        Self {
            class,
            severity: severity(class),
            customer: customer.clone(),
            object: object.to_owned(),
            field: None,
            local: Value::Null,
            stripe: Value::Null,
            money_per_month: BTreeMap::new(),
            outcome: Outcome::DryRun,
        }
    }

    /// A subscription that is live here, and that Stripe does not have.
    #[must_use]
    pub fn missing(customer: &StripeCustomerId, subscription: &Subscription, mrr: &Money) -> Self {
        let sums = mrr.iter();
        Self {
            money_per_month: sums
                .map(|(currency, sum)| (currency.to_string(), sum))
                .collect(),
            local: json!(subscription.status),
            ..Self::new(Class::MissingInStripe, customer, subscription.id.as_str())
        }
    }

    /// A customer that is not deleted here, and that Stripe does not have.
    #[must_use]
    pub(super) fn missing_customer(customer: &StripeCustomerId) -> Self {
        Self::new(Class::MissingInStripe, customer, customer.as_str())
    }

    /// Decides whether it is healed, or left for a person to review.
    pub(super) fn decide(&mut self, dry_run: bool, review: &BTreeSet<Class>) {
        self.outcome = if dry_run {
            Outcome::DryRun
        } else if self.class.can_be_healed() && !review.contains(&self.class) {
            Outcome::Pending
        } else {
            Outcome::Review
        };
    }

    /// Whether taking a fact over would put it right.
    pub(super) fn is_about(&self, fact: &Fact) -> bool {
        let whole = ObjectKey::beside(&fact.body);
        let whole = whole.as_ref().and_then(ObjectKey::id);
        self.object == fact.body.id() || whole.is_some_and(|id| self.object == id.as_str())
    }

    /// What the bus hears of it.
    pub(super) fn told(&self, run: &str) -> Vec<Told> {
        let data = json!({
            "run": run, "class": self.class, "object": self.object, "field": self.field,
            "local": self.local, "stripe": self.stripe, "severity": self.severity,
            "money_per_month": self.money_per_month,
        });
        let detected = ("drift_detected".to_owned(), data.clone(), None);
        if self.outcome != Outcome::Pending {
            return vec![detected];
        }
        // Told in the commit that heals it.
        vec![detected, ("drift_healed".to_owned(), data, None)]
    }
}
