//! A difference between what is kept here and what Stripe has: its class, and what is at stake.
#![cfg_attr(
    not(feature = "stripe-api"),
    allow(dead_code, reason = "only who asks Stripe does runs")
)]

use std::collections::{BTreeMap, BTreeSet};

use paygraph_domain::account::{Account, ObjectKey};
use paygraph_domain::audit::Change;
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
    /// Our state is Stripe's now.
    Healed,
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

fn of_field(field: &str) -> Class {
    match field {
        "status" | "deleted" => Class::StatusMismatch,
        "plan" => Class::PlanMismatch,
        "quantity" | "mrr" => Class::AmountMismatch,
        amount if amount.starts_with("amount") => Class::AmountMismatch,
        _ => Class::Stale,
    }
}

/// Sorts what applying Stripe's state would change by object, and says of each what it is; `known`
/// are the objects that are here already.
#[must_use]
pub fn classify(
    customer: &StripeCustomerId,
    changes: &[Change],
    known: &BTreeSet<String>,
    exhausted: &BTreeMap<String, BTreeMap<String, i64>>,
) -> Vec<Drift> {
    let mut objects: BTreeMap<String, Vec<(&str, &Change)>> = BTreeMap::new();
    for change in changes {
        let (object, field) = split(customer, &change.field);
        objects.entry(object).or_default().push((field, change));
    }
    let told = |(object, changes): (String, Vec<(&str, &Change)>)| {
        let gravest = changes.iter().min_by_key(|(field, _)| of_field(field))?;
        let (field, change) = *gravest;
        let mut class = of_field(field);
        if exhausted.contains_key(&object) {
            class = Class::SilentDunning;
        } else if !known.contains(&object) {
            class = Class::MissingLocal;
        }
        Some(Drift {
            money_per_month: exhausted
                .get(&object)
                .filter(|_| class == Class::SilentDunning)
                .cloned()
                .unwrap_or_else(|| at_stake(&changes)),
            field: (class != Class::MissingLocal).then(|| field.to_owned()),
            local: change.before.clone(),
            stripe: change.after.clone(),
            ..Drift::new(class, customer, &object)
        })
    };
    let mut drift: Vec<_> = objects.into_iter().filter_map(told).collect();
    drift.sort_by(|a, b| (a.class, &a.object).cmp(&(b.class, &b.object)));
    drift
}

/// `subscriptions.sub_1.status` is `status` of `sub_1`; `customer.email` is the customer's.
fn split<'a>(customer: &StripeCustomerId, field: &'a str) -> (String, &'a str) {
    let mut parts = field.splitn(3, '.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(object), Some(field)) => (object.to_owned(), field),
        (Some(_), Some(field), None) => (customer.to_string(), field),
        _ => (customer.to_string(), field),
    }
}

/// What the change of MRR comes to, whichever way it goes; else what an invoice asks for.
fn at_stake(changes: &[(&str, &Change)]) -> BTreeMap<String, i64> {
    let find = |name: &str| changes.iter().find(|(field, _)| *field == name);
    let mut money = BTreeMap::new();
    let sums = |value: &Value| {
        let sums = value.as_object().into_iter().flatten();
        let sums = sums.filter_map(|(currency, sum)| Some((currency.clone(), sum.as_i64()?)));
        sums.collect::<BTreeMap<_, _>>()
    };
    if let Some((_, change)) = find("mrr").or_else(|| find("amount_due")) {
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
    let tried = invoices(facts).filter(|invoice| invoice.is_exhausted());
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
            && matches!(invoice.status, Status::Open | Status::Uncollectible)
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

    /// Says what is to become of it, where somebody wants to look at some classes first.
    pub(super) fn decide(&mut self, dry_run: bool, review: &BTreeSet<Class>) {
        self.outcome = if dry_run {
            Outcome::DryRun
        } else if self.class.can_be_healed() && !review.contains(&self.class) {
            Outcome::Healed
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
        if self.outcome != Outcome::Healed {
            return vec![detected];
        }
        vec![detected, ("drift_healed".to_owned(), data, None)]
    }
}
