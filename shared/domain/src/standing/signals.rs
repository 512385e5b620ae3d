//! The signals of risk: one for each kind of trouble, with its beginning, severity and evidence.

use jiff::civil::date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Clock, DAY};
use crate::contact::{Billing, Contact, instant};
use crate::decline::Decline;
use crate::id::StripeId;
use crate::rollup::OnFile;
use crate::time::{Timestamp, rfc3339};

/// How long a downgrade is a signal.
const DOWNGRADE_DAYS: i64 = 30;
/// How long before its end a card's expiry is a signal.
const CARD_DAYS: i64 = 30;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An open invoice could not be collected.
    FailedPayment,
    /// Changed to something that costs less, within thirty days.
    Downgrade,
    /// A live subscription has a scheduled end.
    CancellationRequested,
    /// Stripe is trying again to collect an invoice.
    Dunning,
    /// A subscription is past due or unpaid.
    PastDue,
    /// The card on file runs out within thirty days, or has.
    CardExpiring,
    /// A dispute is open.
    Dispute,
}

impl Kind {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FailedPayment => "failed_payment",
            Self::Downgrade => "downgrade",
            Self::CancellationRequested => "cancellation_requested",
            Self::Dunning => "dunning",
            Self::PastDue => "past_due",
            Self::CardExpiring => "card_expiring",
            Self::Dispute => "dispute",
        }
    }
}

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To know.
    Low,
    /// To watch.
    Medium,
    /// To act on.
    High,
    /// To act on today.
    Critical,
}

/// A risk signal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Signal {
    /// What is wrong.
    pub kind: Kind,
    /// Since when.
    #[serde(serialize_with = "rfc3339")]
    pub since: Timestamp,
    /// How bad.
    pub severity: Severity,
    /// The object, where there can be several of a kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<StripeId>,
    /// What it is seen by.
    pub evidence: Value,
}

/// The name of a signal: its kind, and the object where there can be several.
pub type SignalKey = (Kind, Option<StripeId>);

/// The last second in which a card is valid.
#[must_use]
pub fn card_end(method: &OnFile) -> Option<Timestamp> {
    let year = i16::try_from(method.exp_year?).ok()?;
    let month = i8::try_from(method.exp_month?).ok()?;
    if !(1..=12).contains(&month) || !(1970..=9998).contains(&year) {
        return None;
    }
    let (year, month) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    let end = date(year, month, 1).to_zoned(TimeZone::UTC).ok()?;
    Timestamp::from_unix(end.timestamp().as_second()).ok()
}

/// Signals as they are raised, one kind after the other.
#[derive(Default)]
struct Signals(Vec<Signal>);

impl Signals {
    fn raise(&mut self, kind: Kind, since: Timestamp, severity: Severity, evidence: Value) {
        self.0.push(Signal {
            kind,
            since,
            severity,
            object: None,
            evidence,
        });
    }
}

pub(super) fn signals(contact: &Contact, billing: &Billing, clock: &mut Clock) -> Vec<Signal> {
    let mut signals = Signals::default();
    payments(contact, &mut signals);
    changes(contact, &mut signals, clock);
    expiry(contact, billing, &mut signals, clock);
    for (dispute, open) in contact.accounts.values().flat_map(|r| &r.risk.disputes) {
        let evidence = json!({ "dispute": dispute, "amount": open.amount, "reason": open.reason });
        signals.0.push(Signal {
            kind: Kind::Dispute,
            since: open.since,
            severity: Severity::Critical,
            object: Some(dispute.clone()),
            evidence,
        });
    }
    signals.0
}

/// What could not be collected.
fn payments(contact: &Contact, signals: &mut Signals) {
    let failed = contact.accounts.values();
    let failed = failed.flat_map(|rollup| rollup.totals.failed_invoices());
    let mut failed: Vec<_> = failed
        .filter_map(|invoice| Some((invoice.failed_at()?, invoice)))
        .collect();
    failed.sort_by_key(|(since, invoice)| (*since, invoice.id));
    if let Some((since, first)) = failed.first() {
        let decline = first.decline();
        let evidence = json!({
            "invoice": first.id, "amount": first.invoice.amount,
            "attempts": first.invoice.attempts,
            "decline_code": decline.and_then(|decline| decline.code.as_ref()),
            "invoices": failed.len(),
            "decline_kind": decline.and_then(Decline::kind),
        });
        signals.raise(Kind::FailedPayment, *since, Severity::Medium, evidence);
    }
    let retried = failed.iter();
    let retried = retried.filter(|(_, invoice)| invoice.invoice.next_attempt.is_some());
    if let Some((since, first)) = retried.min_by_key(|(_, first)| first.invoice.next_attempt) {
        let evidence = json!({
            "invoice": first.id, "attempts": first.invoice.attempts,
            "next_attempt": instant(first.invoice.next_attempt),
        });
        signals.raise(Kind::Dunning, *since, Severity::Medium, evidence);
    }
    let owing = contact.accounts.values();
    let owing = owing.filter_map(|rollup| rollup.risk.past_due.as_ref());
    if let Some((since, subscription)) = owing.min() {
        let exhausted = failed.iter().any(|(_, invoice)| invoice.is_exhausted());
        let severity = if exhausted {
            Severity::Critical
        } else {
            Severity::High
        };
        let evidence = json!({ "subscription": subscription, "retries_exhausted": exhausted });
        signals.raise(Kind::PastDue, *since, severity, evidence);
    }
}

/// Who goes, or takes less.
fn changes(contact: &Contact, signals: &mut Signals, clock: &mut Clock) {
    let rollups = || contact.accounts.values();
    let leaving = rollups().filter_map(|rollup| rollup.risk.leaving.as_ref());
    if let Some(leaving) = leaving.min_by_key(|leaving| (leaving.end, *leaving)) {
        let evidence = json!({
            "subscription": leaving.subscription, "cancel_at": instant(Some(leaving.end)),
            "feedback": leaving.feedback,
        });
        let since = leaving.since;
        signals.raise(Kind::CancellationRequested, since, Severity::High, evidence);
    }
    let downgrade = rollups()
        .filter_map(|rollup| rollup.risk.downgrade.as_ref())
        .max();
    if let Some((at, change)) = downgrade
        && !clock.at(Some(at.plus(DOWNGRADE_DAYS * DAY)))
    {
        signals.raise(Kind::Downgrade, *at, Severity::Medium, json!(change));
    }
}

/// A card that runs out while something is charged to it.
fn expiry(contact: &Contact, billing: &Billing, signals: &mut Signals, clock: &mut Clock) {
    let charged = contact.accounts.values().any(|rollup| rollup.risk.charged);
    let Some(end) = card_end(&billing.payment_method).filter(|_| charged) else {
        return;
    };
    let warned = end.plus(-CARD_DAYS * DAY);
    let over = clock.at(Some(end));
    if clock.at(Some(warned)) {
        let method = &billing.payment_method;
        let evidence = json!({
            "brand": method.brand, "last4": method.last4, "exp_month": method.exp_month,
            "exp_year": method.exp_year, "expires_at": instant(Some(end)), "expired": over,
        });
        let severity = if over { Severity::High } else { Severity::Low };
        signals.raise(Kind::CardExpiring, warned, severity, evidence);
    }
}
