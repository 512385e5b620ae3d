//! How a contact stands at an instant: access, risk signals, health, segments.
//!
//! A pure function of the contact and the time. A read asks it for now; the contact keeps what was
//! told last, so that a change is told once, and the instant at which time alone may change it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::condition::{Facts, Values, given};
use crate::contact::{Billing, Contact, instant};
use crate::event::Event;
use crate::id::StripeId;
use crate::risk::Basis;
use crate::rollup::{BillingStatus, OnFile};
use crate::settings::{HealthSettings, Settings};
use crate::time::{Timestamp, rfc3339, rfc3339_opt};

const DAY: i64 = 86_400;
/// How long a downgrade is a signal.
const DOWNGRADE_DAYS: i64 = 30;
/// How long before its end a card's expiry is a signal.
const CARD_DAYS: i64 = 30;

/// How much of the product a customer may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing runs.
    #[default]
    None,
    /// Unpaid, paused, or out of grace.
    Restricted,
    /// Past due, and trusted for a while.
    Grace,
    /// Paid, or in a trial.
    Full,
}

impl Level {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Restricted => "restricted",
            Self::Grace => "grace",
            Self::Full => "full",
        }
    }
}

/// Access, and until when it is sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Access {
    /// How much.
    pub level: Level,
    /// The end of grace.
    #[serde(serialize_with = "rfc3339_opt", default, deserialize_with = "opt")]
    pub until: Option<Timestamp>,
}

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

/// Points of the health score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// A signal's kind, or `inactive`, `low_engagement`, `ended`.
    pub kind: &'static str,
    /// What it adds; mostly below 0.
    pub points: i32,
}

/// How a contact stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// How much it may use.
    pub access: Access,
    /// What is wrong.
    pub signals: Vec<Signal>,
    /// 0 to 100.
    pub health: u8,
    /// Why it is not 100.
    pub reasons: Vec<Reason>,
    /// The segments it is in.
    pub segments: BTreeSet<String>,
    /// The first instant at which time alone may change any of this.
    pub next: Option<Timestamp>,
}

/// What was told last of how a contact stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// How much it may use.
    pub access: Access,
    /// The signals that are up, with their beginnings.
    #[serde(with = "signals")]
    pub signals: BTreeMap<SignalKey, Timestamp>,
    /// 0 to 100.
    pub health: u8,
    /// The segments it is in.
    pub segments: BTreeSet<String>,
    /// The first instant at which time alone may change any of this.
    pub next: Option<Timestamp>,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            access: Access::default(),
            signals: BTreeMap::new(),
            health: 100,
            segments: BTreeSet::new(),
            next: None,
        }
    }
}

/// Signals as a list, since JSON's keys are texts.
mod signals {
    use super::{BTreeMap, Deserialize, Kind, Serialize, SignalKey, StripeId, Timestamp};
    use serde::{Deserializer, Serializer};

    type Entry = (Kind, Option<StripeId>, Timestamp);

    pub fn serialize<S: Serializer>(
        signals: &BTreeMap<SignalKey, Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let list = signals.iter();
        let list: Vec<_> = list
            .map(|((kind, object), since)| (kind, object, since))
            .collect();
        list.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<SignalKey, Timestamp>, D::Error> {
        let list = Vec::<Entry>::deserialize(deserializer)?;
        let list = list.into_iter();
        Ok(list
            .map(|(kind, object, since)| ((kind, object), since))
            .collect())
    }
}

fn opt<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Timestamp::parse(&text).map_err(serde::de::Error::custom))
        .transpose()
}

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

/// How a contact stands at an instant.
#[must_use]
pub fn standing(
    contact: &Contact,
    billing: &Billing,
    settings: &Settings,
    now: Timestamp,
) -> Standing {
    let mut clock = Clock { now, next: None };
    let access = access(contact, billing, settings, &mut clock);
    let signals = signals_of(contact, billing, &mut clock);
    let reasons = reasons(contact, billing, &signals, &settings.health, &mut clock);
    let points: i32 = reasons.iter().map(|reason| reason.points).sum();
    let health = u8::try_from((100 + points).clamp(0, 100)).unwrap_or(0);
    for rollup in contact.accounts.values() {
        clock.at(rollup.stale_at);
        clock.at(rollup.trial_end);
    }
    let facts = facts(contact, billing, settings, &access, &signals, health, now);
    let segments = settings.segments.of(&facts);
    clock.at(settings.segments.next_flip(&facts, now));
    Standing {
        access,
        signals,
        health,
        reasons,
        segments,
        next: clock.next,
    }
}

/// Now, and the first instant after it that somebody asked for.
struct Clock {
    now: Timestamp,
    next: Option<Timestamp>,
}

impl Clock {
    /// Notes an instant at which something changes. Tells whether it has come.
    fn at(&mut self, instant: Option<Timestamp>) -> bool {
        match instant {
            Some(instant) if instant > self.now => {
                self.next = Some(self.next.map_or(instant, |next| next.min(instant)));
                false
            }
            Some(_) => true,
            None => false,
        }
    }
}

fn access(contact: &Contact, billing: &Billing, settings: &Settings, clock: &mut Clock) -> Access {
    let basis = contact
        .accounts
        .values()
        .map(|rollup| rollup.risk.basis)
        .max();
    let bought = billing.plan.as_ref().is_some_and(|plan| {
        let of = settings.tier_of(&plan.price, plan.product.as_ref());
        plan.weight.is_none() && of.is_some_and(|of| of.lifetime)
    });
    let held = contact
        .accounts
        .values()
        .any(|rollup| rollup.lifetime.is_some());
    let level = match basis.unwrap_or_default() {
        _ if bought || held => Level::Full,
        Basis::Full => Level::Full,
        Basis::Grace(until) if clock.at(Some(until)) => Level::Restricted,
        Basis::Grace(until) => {
            return Access {
                level: Level::Grace,
                until: Some(until),
            };
        }
        Basis::Restricted => Level::Restricted,
        Basis::None => Level::None,
    };
    Access { level, until: None }
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

fn signals_of(contact: &Contact, billing: &Billing, clock: &mut Clock) -> Vec<Signal> {
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
    let failing = contact.accounts.values().flat_map(|rollup| {
        let failing = rollup.totals.failing.iter();
        failing.map(|(invoice, failing)| (invoice, failing, &rollup.totals))
    });
    let mut failing: Vec<_> = failing.collect();
    failing.sort_by_key(|(invoice, failing, _)| (failing.since, *invoice));
    if let Some((invoice, first, totals)) = failing.first() {
        let evidence = json!({
            "invoice": invoice, "amount": first.amount, "attempts": first.attempts,
            "decline_code": totals.decline_of(invoice, first), "invoices": failing.len(),
        });
        signals.raise(Kind::FailedPayment, first.since, Severity::Medium, evidence);
    }
    let retried = failing
        .iter()
        .filter(|(_, failing, _)| failing.next_attempt.is_some());
    if let Some((invoice, first, _)) = retried.min_by_key(|(_, failing, _)| failing.next_attempt) {
        let evidence = json!({
            "invoice": invoice, "attempts": first.attempts,
            "next_attempt": instant(first.next_attempt),
        });
        signals.raise(Kind::Dunning, first.since, Severity::Medium, evidence);
    }
    let owing = contact.accounts.values();
    let owing = owing.filter_map(|rollup| rollup.risk.past_due.as_ref());
    if let Some((since, subscription)) = owing.min() {
        let exhausted = failing.iter().any(|(_, failing, _)| failing.exhausted);
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

/// What takes points from the health score, and what gives some. (docs/HEALTH.md)
fn reasons(
    contact: &Contact,
    billing: &Billing,
    signals: &[Signal],
    settings: &HealthSettings,
    clock: &mut Clock,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let kinds: BTreeSet<Kind> = signals.iter().map(|signal| signal.kind).collect();
    for kind in kinds {
        let points = settings.signals.get(&kind).copied().unwrap_or(0);
        reasons.push(Reason {
            kind: kind.as_str(),
            points: -i32::from(points),
        });
    }
    let ended = matches!(
        billing.status,
        BillingStatus::Canceled | BillingStatus::IncompleteExpired
    );
    if ended && billing.plan.is_none() {
        reasons.push(Reason {
            kind: "ended",
            points: -i32::from(settings.ended),
        });
    }
    let traits = contact.traits();
    let seen = traits.get("last_seen_at").and_then(Value::as_str);
    let quiet = seen.and_then(|seen| Timestamp::parse(seen).ok());
    let quiet = quiet.map(|seen| seen.plus(i64::from(settings.inactive_days) * DAY));
    if clock.at(quiet) {
        reasons.push(Reason {
            kind: "inactive",
            points: -i32::from(settings.inactive),
        });
    }
    let engagement = traits.get("engagement_score").and_then(Value::as_f64);
    if engagement.is_some_and(|score| score < f64::from(settings.low_engagement_below)) {
        reasons.push(Reason {
            kind: "low_engagement",
            points: -i32::from(settings.low_engagement),
        });
    }
    reasons.retain(|reason| reason.points != 0);
    reasons
}

fn facts(
    contact: &Contact,
    billing: &Billing,
    settings: &Settings,
    access: &Access,
    signals: &[Signal],
    health: u8,
    now: Timestamp,
) -> Facts {
    let names = Some(settings.segments.names());
    let mut customer = Values::new("customer", names);
    customer.text("id", Some(contact.id.as_str()));
    customer.text("name", contact.name());
    customer.text("email", contact.email());
    customer.text("company", contact.company());
    customer.set("deleted", || contact.is_deleted().into());
    let mut held = Values::new("billing", names);
    let plan = billing.plan.as_ref();
    held.text("plan", plan.map(|plan| plan.price.as_str()));
    held.text("plan_name", plan.map(|plan| plan.name.as_str()));
    held.text("tier", Some(&billing.tier));
    held.set("tier_rank", || {
        i64::from(settings.rank(&billing.tier)).into()
    });
    held.money("mrr", &billing.mrr);
    held.money("arr", &billing.arr);
    held.text("billing_status", Some(billing.status.as_str()));
    held.time("trial_end_date", billing.trial_end_date);
    held.time("subscription_start_date", billing.subscription_start_date);
    held.time("renewal_date", billing.renewal_date);
    held.time("next_invoice_date", billing.next_invoice_date);
    held.time("cancel_at", billing.cancel_at);
    held.money("lifetime_value", &billing.lifetime_value);
    held.set("payment_method", || {
        let mut method = Values::new("", None);
        method.set("on_file", || billing.payment_method.on_file.into());
        method.text("type", billing.payment_method.kind.as_deref());
        method.text("brand", billing.payment_method.brand.as_deref());
        method.time("expires_at", card_end(&billing.payment_method));
        method.build()
    });
    held.set("access", || {
        let mut level = Values::new("", None);
        level.text("level", Some(access.level.as_str()));
        level.time("until", access.until);
        level.build()
    });
    let mut up = Values::new("signals", names);
    for signal in signals {
        up.set(signal.kind.as_str(), || {
            let mut told = Values::new("", None);
            told.time("since", Some(signal.since));
            told.build()
        });
    }
    let mut traits = Values::new("traits", names);
    for (name, value) in contact.traits() {
        traits.set(name, || given(value));
    }
    Facts::new(now, health, [customer, held, up, traits])
}

impl Standing {
    /// What is kept of it.
    #[must_use]
    pub fn told(&self) -> Told {
        let signals = self.signals.iter();
        Told {
            access: self.access,
            signals: signals
                .map(|signal| ((signal.kind, signal.object.clone()), signal.since))
                .collect(),
            health: self.health,
            segments: self.segments.clone(),
            next: self.next,
        }
    }

    /// What is to be told, after what was told before.
    #[must_use]
    pub fn events(&self, before: &Told) -> Vec<Event> {
        let mut events = Vec::new();
        let mut tell = |name, data| events.push(Event::new(name, data));
        if before.access.level != self.access.level {
            let data = json!({
                "before": before.access.level, "after": self.access.level,
                "until": instant(self.access.until),
            });
            tell("access_changed", data);
        }
        let mut up = BTreeSet::new();
        for signal in &self.signals {
            let key = (signal.kind, signal.object.clone());
            if !before.signals.contains_key(&key) {
                let data = json!({
                    "kind": signal.kind, "since": instant(Some(signal.since)),
                    "severity": signal.severity, "evidence": signal.evidence,
                });
                tell("risk_signal_raised", data);
                if signal.kind == Kind::CardExpiring {
                    tell("card_expiring", card(&signal.evidence));
                }
            }
            up.insert(key);
        }
        for ((kind, object), since) in &before.signals {
            if !up.contains(&(*kind, object.clone())) {
                let data = json!({ "kind": kind, "since": instant(Some(*since)) });
                tell("risk_signal_cleared", data);
            }
        }
        if before.health != self.health {
            let data =
                json!({ "before": before.health, "after": self.health, "reasons": self.reasons });
            tell("health_score_changed", data);
        }
        for segment in self.segments.difference(&before.segments) {
            tell("segment_entered", json!({ "segment": segment }));
        }
        for segment in before.segments.difference(&self.segments) {
            tell("segment_left", json!({ "segment": segment }));
        }
        events
    }
}

/// The card of a signal's evidence.
fn card(evidence: &Value) -> Value {
    let mut card = evidence.clone();
    if let Value::Object(fields) = &mut card {
        fields.remove("expired");
    }
    card
}
