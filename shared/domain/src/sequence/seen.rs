//! A contact as a sequence sees it at an instant: for its conditions, and for its texts.

use serde_json::Value;

use crate::condition::Facts;
use crate::contact::{Billing, Contact};
use crate::money::{Currency, Money};
use crate::settings::Settings;
use crate::standing::{Basis, Standing, card_end};
use crate::time::Timestamp;

/// A contact at an instant.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The contact.
    pub contact: &'a Contact,
    /// The instant; never before the one that the contact was computed for.
    pub now: Timestamp,
    settings: &'a Settings,
    billing: Billing,
    standing: Standing,
}

/// Something that a text may name.
#[derive(Debug)]
pub struct Variable {
    /// Its name between the braces.
    pub name: &'static str,
    /// Whether every contact has it.
    pub always: bool,
    /// Its value as text.
    pub value: fn(&Seen<'_>) -> Option<String>,
}

const fn always(name: &'static str, value: fn(&Seen<'_>) -> Option<String>) -> Variable {
    Variable {
        name,
        always: true,
        value,
    }
}

const fn maybe(name: &'static str, value: fn(&Seen<'_>) -> Option<String>) -> Variable {
    Variable {
        name,
        always: false,
        value,
    }
}

/// Everything that a text may name, beside `traits.…`.
pub const VARIABLES: &[Variable] = &[
    always("customer.id", |seen| Some(seen.contact.id.to_string())),
    maybe("customer.name", |seen| owned(seen.contact.name())),
    maybe("customer.email", |seen| owned(seen.contact.email())),
    maybe("customer.company", |seen| owned(seen.contact.company())),
    maybe("billing.plan_name", |seen| {
        seen.billing.plan.as_ref().map(|plan| plan.name.clone())
    }),
    always("billing.tier", |seen| Some(seen.billing.tier.clone())),
    maybe("billing.mrr", |seen| money(&seen.billing.mrr)),
    maybe("billing.arr", |seen| money(&seen.billing.arr)),
    always("billing.billing_status", |seen| {
        owned(Some(seen.billing.status.as_str()))
    }),
    maybe("billing.trial_end_date", |seen| {
        seen.billing.trial_end_date.map(Timestamp::day)
    }),
    maybe("billing.renewal_date", |seen| {
        seen.billing.renewal_date.map(Timestamp::day)
    }),
    maybe("billing.next_invoice_date", |seen| {
        seen.billing.next_invoice_date.map(Timestamp::day)
    }),
    maybe("billing.cancel_at", |seen| {
        seen.billing.cancel_at.map(Timestamp::day)
    }),
    maybe("billing.access.until", |seen| {
        seen.standing.access.until.map(Timestamp::day)
    }),
    maybe("billing.payment_method.brand", |seen| {
        seen.billing.payment_method.brand.clone()
    }),
    maybe("billing.payment_method.last4", |seen| {
        seen.billing.payment_method.last4.clone()
    }),
    maybe("billing.payment_method.expires_at", |seen| {
        card_end(&seen.billing.payment_method).map(Timestamp::day)
    }),
];

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// Amounts as people read them: `58.00 USD and 10.00 EUR`.
fn money(amounts: &Money) -> Option<String> {
    let each: Vec<String> = amounts.iter().map(|(c, minor)| amount(c, minor)).collect();
    (!each.is_empty()).then(|| each.join(" and "))
}

fn amount(currency: &Currency, minor: i64) -> String {
    let code = currency.as_str().to_uppercase();
    format!("{} {code}", currency.major(minor))
}

impl<'a> Seen<'a> {
    /// A contact as it stands at an instant.
    #[must_use]
    pub fn at(contact: &'a Contact, settings: &'a Settings, now: Timestamp) -> Self {
        let now = contact.evaluated_at.max(now);
        let billing = contact.billing(settings);
        let standing = contact.standing(&billing, settings, now);
        Self {
            contact,
            now,
            settings,
            billing,
            standing,
        }
    }

    /// What conditions are asked about; `event` is the data of an event.
    #[must_use]
    pub fn facts(&self, event: Option<&Value>) -> Facts {
        let basis = Basis {
            contact: self.contact,
            billing: &self.billing,
            settings: self.settings,
            access: &self.standing.access,
            signals: &self.standing.signals,
            health: self.standing.health,
            now: self.now,
        };
        basis.facts(self.settings.sequences.names(), event)
    }

    /// Whether it is in a segment.
    #[must_use]
    pub fn is_in(&self, segment: &str) -> bool {
        self.standing.segments.contains(segment)
    }

    /// What the tenant told of it under a name, as text; none for lists and objects.
    pub(super) fn trait_text(&self, name: &str) -> Option<String> {
        match self.contact.traits().get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(is) => Some(is.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}
