//! How a contact stands at an instant: access, risk signals, health, segments.
//!
//! A pure function of the contact and the time. A read asks it for now; the contact keeps what was
//! told last, so that a change is told once, and the instant at which time alone may change it.

mod access;
mod health;
mod signals;

use std::collections::{BTreeMap, BTreeSet};

pub use access::{Access, Level};
pub use health::Reason;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
pub use signals::{Kind, Severity, Signal, SignalKey, card_end};

use crate::condition::{Facts, Names, Values, given, whole};
use crate::contact::{Billing, Contact, instant};
use crate::event::Event;
use crate::id::StripeId;
use crate::settings::Settings;
use crate::time::Timestamp;

const DAY: i64 = 86_400;
/// How long before its end it is told that a subscription is about to end.
const EXPIRING_DAYS: i64 = 3;

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
    /// Subscriptions that end within three days, with their ends.
    pub expiring: BTreeSet<Expiring>,
    /// Its tier.
    tier: String,
    /// The first instant at which time alone may change any of this.
    pub next: Option<Timestamp>,
}

/// A subscription with its end.
pub type Expiring = (StripeId, Timestamp);

/// What was told last of how a contact stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// How much it may use.
    pub access: Access,
    /// The signals that are up, with their beginnings.
    #[serde(with = "as_list")]
    pub signals: BTreeMap<SignalKey, Timestamp>,
    /// 0 to 100.
    pub health: u8,
    /// The segments it is in.
    pub segments: BTreeSet<String>,
    /// Subscriptions that are about to end, with their ends.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub expiring: BTreeSet<Expiring>,
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
            expiring: BTreeSet::new(),
            next: None,
        }
    }
}

/// Signals as a list, since JSON's keys are texts.
mod as_list {
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

/// How a contact stands at an instant.
#[must_use]
pub fn standing(
    contact: &Contact,
    billing: &Billing,
    settings: &Settings,
    now: Timestamp,
) -> Standing {
    let mut clock = Clock { now, next: None };
    let access = access::access(contact, billing, settings, &mut clock);
    let signals = signals::signals(contact, billing, &mut clock);
    let reasons = health::reasons(contact, billing, &signals, &settings.health, &mut clock);
    let points: i32 = reasons.iter().map(|reason| reason.points).sum();
    let health = u8::try_from((100 + points).clamp(0, 100)).unwrap_or(0);
    for rollup in contact.accounts.values() {
        clock.keep(rollup.stale_at);
        clock.at(rollup.trial_end);
    }
    let expiring = expiring(contact, &mut clock);
    clock.at(contact.product.activity.falls_at(now));
    let basis = Basis {
        contact,
        billing,
        settings,
        access: &access,
        signals: &signals,
        health,
        now,
    };
    let facts = basis.facts(settings.segments.names(), None);
    let segments = settings.segments.of(&facts);
    clock.at(settings.segments.next_flip(&facts, now));
    Standing {
        access,
        signals,
        health,
        reasons,
        segments,
        expiring,
        tier: billing.tier.clone(),
        next: clock.next,
    }
}

/// The subscriptions that end within three days: of each Stripe customer the one that ends first.
fn expiring(contact: &Contact, clock: &mut Clock) -> BTreeSet<Expiring> {
    let rollups = contact.accounts.values();
    let leaving = rollups.filter_map(|rollup| rollup.risk.leaving.as_ref());
    let near = leaving.filter(|leaving| {
        // What should have ended by now waits for Stripe to say so, and is no warning any more.
        clock.at(Some(leaving.end.plus(-EXPIRING_DAYS * DAY))) && !clock.at(Some(leaving.end))
    });
    let near = near.map(|leaving| (leaving.subscription.clone(), leaving.end));
    near.collect()
}

/// Now, and the first instant at which to look again.
struct Clock {
    now: Timestamp,
    next: Option<Timestamp>,
}

impl Clock {
    /// Notes an instant at which something changes. Tells whether it has come.
    fn at(&mut self, instant: Option<Timestamp>) -> bool {
        match instant {
            Some(instant) if instant > self.now => {
                self.keep(Some(instant));
                false
            }
            Some(_) => true,
            None => false,
        }
    }

    /// Notes an instant also when it has come: whoever stands here cannot do what is to be done
    /// then.
    fn keep(&mut self, instant: Option<Timestamp>) {
        self.next = self.next.into_iter().chain(instant).min();
    }
}

impl Told {
    /// What ends with the contact: its signals, and its places in segments.
    pub(crate) fn ended(&self) -> impl Iterator<Item = Event> {
        let signals = self
            .signals
            .iter()
            .map(|((kind, _), since)| Event::new("risk_signal_cleared", cleared(*kind, *since)));
        let segments = self
            .segments
            .iter()
            .map(|segment| Event::new("segment_left", json!({ "segment": segment })));
        signals.chain(segments)
    }
}

/// What conditions are asked about, before anybody says which of it they need.
pub(crate) struct Basis<'a> {
    pub(crate) contact: &'a Contact,
    pub(crate) billing: &'a Billing,
    pub(crate) settings: &'a Settings,
    pub(crate) access: &'a Access,
    pub(crate) signals: &'a [Signal],
    pub(crate) health: u8,
    pub(crate) now: Timestamp,
}

impl Basis<'_> {
    /// The facts that are named, with the data of an event where there is one.
    pub(crate) fn facts(&self, names: &Names, event: Option<&Value>) -> Facts {
        let names = Some(names);
        let mut up = Values::new("signals", names);
        for signal in self.signals {
            up.set(signal.kind.as_str(), || {
                let mut told = Values::new("", None);
                told.time("since", Some(signal.since));
                told.build()
            });
        }
        let known = self.contact.traits();
        let mut traits = Values::new("traits", names);
        for (name, value) in known.iter() {
            traits.set(name, || given(value));
        }
        let mut happened = Values::new("event", names);
        for (name, value) in event.and_then(Value::as_object).into_iter().flatten() {
            happened.set(name, || whole(value));
        }
        let parts = [
            self.customer(names),
            self.billing(names),
            up,
            traits,
            happened,
        ];
        Facts::new(self.now, self.health, parts)
    }

    fn customer<'n>(&'n self, names: Option<&'n Names>) -> Values<'n> {
        let contact = self.contact;
        let mut customer = Values::new("customer", names);
        customer.text("id", Some(contact.id.as_str()));
        customer.text("name", contact.name());
        customer.text("email", contact.email());
        customer.text("company", contact.company());
        customer.set("deleted", || contact.is_deleted().into());
        customer
    }

    fn billing<'n>(&'n self, names: Option<&'n Names>) -> Values<'n> {
        let (billing, settings, access) = (self.billing, self.settings, self.access);
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
        held
    }
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
            expiring: self.expiring.clone(),
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
                tell("risk_signal_cleared", cleared(*kind, *since));
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
        for (subscription, end) in self.expiring.difference(&before.expiring) {
            let data = json!({
                "subscription": subscription, "tier": self.tier, "cancel_at": instant(Some(*end)),
            });
            tell("subscription_expiring", data);
        }
        events
    }
}

/// A signal that is gone.
fn cleared(kind: Kind, since: Timestamp) -> Value {
    json!({ "kind": kind, "since": instant(Some(since)) })
}

/// The card of a signal's evidence.
fn card(evidence: &Value) -> Value {
    let mut card = evidence.clone();
    if let Value::Object(fields) = &mut card {
        fields.remove("expired");
    }
    card
}
