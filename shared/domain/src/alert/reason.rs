//! What there is to be alerted about, as things stand now.

use serde_json::{Value, json};

use super::hint::{Hint, of_signal};
use super::plan::Held;
use super::words::{day, joined, money, number, text};
use super::{AlertId, Kind};
use crate::contact::Contact;
use crate::decline::Decline;
use crate::drift::Class;
use crate::id::{CustomerId, StripeId};
use crate::settings::Settings;
use crate::standing::{Severity, Signal};
use crate::time::Timestamp;

mod usage;

/// The most reasons of one contact: raised and resolved together, they fit into one transaction.
const MAX_REASONS: usize = 45;

/// Something that somebody is to be told, while it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// What it is about.
    pub kind: Kind,
    /// Which one, where there can be several of a kind.
    pub object: Option<StripeId>,
    /// Since when.
    pub since: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// What has happened, in a few words, without anybody's name.
    pub title: String,
    /// What it is seen by.
    pub evidence: Value,
}

impl Reason {
    /// The alert that it is the reason for.
    #[must_use]
    pub fn alert(&self, customer: Option<&CustomerId>) -> AlertId {
        AlertId {
            kind: self.kind,
            since: self.since,
            object: self.object.clone(),
            customer: customer.cloned(),
        }
    }
}

/// All that there is about a contact at an instant: its signals, invoices that Stripe has given up,
/// and its usage. `held` are the alerts that it has, `hint` is what somebody looks at it for.
#[must_use]
pub fn of_contact(
    contact: &Contact,
    settings: &Settings,
    hint: Hint<'_>,
    held: &[Held],
    now: Timestamp,
) -> Vec<Reason> {
    let billing = contact.billing(settings);
    let standing = contact.standing(&billing, settings, now);
    let mut reasons: Vec<_> = standing.signals.iter().filter_map(of_a_signal).collect();
    reasons.extend(exhausted(contact));
    reasons.extend(usage::near_the_limit(contact, &settings.alerts, hint, held));
    let is_default = billing.tier == settings.default_tier;
    reasons.extend(usage::upsell(contact, &settings.alerts, hint, now).filter(|_| is_default));
    reasons.truncate(MAX_REASONS);
    reasons
}

pub(super) fn of_a_signal(signal: &Signal) -> Option<Reason> {
    let kind = of_signal(signal.kind)?;
    Some(Reason {
        kind,
        object: signal.object.clone(),
        since: signal.since,
        severity: signal.severity,
        title: title(kind, &signal.evidence),
        evidence: signal.evidence.clone(),
    })
}

fn title(kind: Kind, evidence: &Value) -> String {
    let amount = || Some(money(evidence.get("amount"))).filter(|amount| !amount.is_empty());
    let word = |name: &str| text(evidence, name).map(str::to_owned);
    let (words, more) = match kind {
        Kind::PaymentFailure => {
            let attempt = number(evidence, "attempts").map(|n| format!("attempt {n}"));
            (
                "Payment failed",
                joined([amount(), declined(evidence), attempt]),
            )
        }
        Kind::Dunning => {
            let next = day(evidence, "next_attempt").map(|day| format!("next attempt {day}"));
            ("Stripe tries a payment again", joined([next]))
        }
        Kind::PastDue => ("Past due", joined([word("subscription")])),
        Kind::CardExpiring => {
            let end = day(evidence, "expires_at").map(|day| format!("by {day}"));
            let last4 = word("last4").map(|last4| format!("ending in {last4}"));
            (
                "The card on file runs out",
                joined([word("brand"), last4, end]),
            )
        }
        Kind::Dispute => ("Disputed", joined([amount(), word("reason")])),
        Kind::Cancellation => {
            let end = day(evidence, "cancel_at").map(|day| format!("ends {day}"));
            ("Cancellation requested", joined([end, word("feedback")]))
        }
        // These have reasons, and titles, of their own.
        Kind::RetriesExhausted | Kind::UsageLimit | Kind::Upsell | Kind::Drift | Kind::Endpoint => {
            (kind.as_str(), String::new())
        }
    };
    if more.is_empty() {
        return words.to_owned();
    }
    format!("{words}: {more}")
}

/// `insufficient_funds (soft)`
fn declined(evidence: &Value) -> Option<String> {
    let code = text(evidence, "decline_code")?;
    Some(match text(evidence, "decline_kind") {
        Some(kind) => format!("{code} ({kind})"),
        None => code.to_owned(),
    })
}

/// Invoices that Stripe no longer tries to collect by itself.
fn exhausted(contact: &Contact) -> impl Iterator<Item = Reason> {
    let failed = contact.accounts.values();
    let failed = failed.flat_map(|rollup| rollup.totals.failed_invoices());
    let given_up = failed.filter(|invoice| invoice.is_exhausted());
    given_up.filter_map(|open| {
        let decline = open.decline();
        let evidence = json!({
            "invoice": open.id, "amount": open.invoice.amount,
            "attempts": open.invoice.attempts, "subscription": open.invoice.subscription,
            "decline_code": decline.and_then(|decline| decline.code.as_ref()),
            "decline_kind": decline.and_then(Decline::kind),
        });
        let amount = money(evidence.get("amount"));
        Some(Reason {
            kind: Kind::RetriesExhausted,
            object: Some(open.id.clone()),
            since: open.failed_at()?,
            severity: Severity::Critical,
            title: format!("Every retry has failed: {amount} is not collected"),
            evidence,
        })
    })
}

/// A comparison found differences of a class; `money` is what one of them is worth a month.
#[must_use]
pub fn drift(class: Class, run: &str, since: Timestamp, money_per_month: &Value) -> Reason {
    let at_stake = Some(money(Some(money_per_month))).filter(|amount| !amount.is_empty());
    let at_stake = at_stake.map(|amount| format!(", {amount} a month at stake"));
    let at_stake = at_stake.unwrap_or_default();
    Reason {
        kind: Kind::Drift,
        object: StripeId::parse(class.as_str()).ok(),
        since,
        severity: gravity(class),
        title: format!(
            "Records differed from Stripe's: {}{at_stake}",
            class.as_str()
        ),
        evidence: json!({ "run": run, "class": class, "money_per_month": money_per_month }),
    }
}

fn gravity(class: Class) -> Severity {
    match class {
        Class::MissingLocal
        | Class::MissingInStripe
        | Class::StatusMismatch
        | Class::UnpaidUpgrade
        | Class::SilentDunning => Severity::High,
        Class::PlanMismatch | Class::AmountMismatch => Severity::Medium,
        Class::Stale => Severity::Low,
    }
}

/// Stripe's events do not reach us, for these reasons.
#[must_use]
pub fn endpoint(reasons: &[String], since: Timestamp) -> Reason {
    Reason {
        kind: Kind::Endpoint,
        object: None,
        since,
        severity: Severity::Critical,
        title: format!("Stripe's events do not reach us: {}", reasons.join("; ")),
        evidence: json!({ "reasons": reasons }),
    }
}
