//! What an event tells: which lines and which messages, in one table.

mod customer;
mod payment;
mod subscription;

use paygraph_bus::incoming::Incoming;
use paygraph_domain::id::{CustomerId, StripeCustomerId};
use paygraph_domain::money::Currency;
use paygraph_domain::text::single_line;
use serde_json::Value;

use crate::line::{Line, brief};
use crate::state::{State, Step, step_of};
use crate::subject::subject;
use crate::whom::Whom;

/// One thing that an event tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its name. An event tells nothing twice under one name.
    pub action: &'static str,
    /// Its line, where it has one.
    pub line: Option<Line>,
    /// Its subject on NATS, where it has one.
    pub subject: Option<String>,
    /// The state that it leads to.
    pub state: Option<State>,
    /// The step that it is.
    pub step: Option<Step>,
}

impl Told {
    /// Something without a line.
    #[must_use]
    pub fn silent(action: &'static str) -> Self {
        Self {
            action,
            line: None,
            subject: None,
            state: None,
            step: None,
        }
    }

    /// Something with a line: one, whatever an address, a reason or a coupon's name has in it.
    #[must_use]
    pub fn line(codes: String, action: &'static str, entity: &str, message: String) -> Self {
        let line = Line {
            codes,
            action,
            entity: single_line(entity),
            message: single_line(&message),
        };
        Self {
            line: Some(line),
            ..Self::silent(action)
        }
    }

    /// The same with a message, by the tokens of its subject.
    #[must_use]
    pub fn on(self, tokens: &[&str]) -> Self {
        Self {
            subject: Some(subject(tokens)),
            ..self
        }
    }

    /// The same with its state.
    #[must_use]
    pub fn is(self, state: State) -> Self {
        Self {
            state: Some(state),
            ..self
        }
    }

    /// The same with its step, by the type of Stripe's.
    #[must_use]
    pub fn by(self, event_type: &str) -> Self {
        Self {
            step: step_of(event_type),
            ..self
        }
    }
}

/// An event with whom it is about.
struct Event<'a> {
    incoming: &'a Incoming,
    whom: &'a Whom,
}

type Writer = fn(&Event<'_>) -> Vec<Told>;

/// Which event tells what.
const TABLE: &[(&str, Writer)] = &[
    ("customer_created", customer::created),
    ("payment_method_updated", customer::payment_method),
    ("coupon_applied", customer::coupon),
    ("checkout_completed", payment::checkout_complete),
    ("checkout_abandoned", payment::checkout_abandoned),
    ("payment_succeeded", payment::paid),
    ("invoice.payment_failed", payment::failed),
    ("subscription_created", subscription::created),
    ("subscription_updated", subscription::updated),
    ("subscription_canceled", subscription::canceled),
    ("subscription_expired", subscription::expired),
    ("subscription_past_due", subscription::past_due),
    ("subscription_expiring", subscription::expiring),
    ("cancellation_scheduled", subscription::cancel_scheduled),
    ("trial_started", subscription::trial_started),
];

/// What an event tells; nothing for most.
#[must_use]
pub fn told(incoming: &Incoming, whom: &Whom) -> Vec<Told> {
    let writer = TABLE.iter().find(|(name, _)| *name == incoming.detail_type);
    writer
        .map(|(_, write)| write(&Event { incoming, whom }))
        .unwrap_or_default()
}

/// The names of the events that tell anything.
pub fn events() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// Whether an event tells anything at all.
#[must_use]
pub fn tells(detail_type: &str) -> bool {
    TABLE.iter().any(|(name, _)| *name == detail_type)
}

impl Event<'_> {
    fn entity(&self) -> &str {
        &self.whom.entity
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.incoming.detail.data.get(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(Value::as_str)
    }

    fn number(&self, name: &str) -> i64 {
        self.value(name).and_then(Value::as_i64).unwrap_or(0)
    }

    /// The tier that the event names, else the contact's.
    fn tier(&self) -> &str {
        self.text("tier").unwrap_or(&self.whom.tier)
    }

    /// The day of an instant.
    fn day(&self, name: &str) -> &str {
        let day = self.text(name).and_then(|at| at.split('T').next());
        day.unwrap_or("?")
    }

    /// The amount as lines write it, and its currency.
    fn amount(&self) -> (String, &str) {
        let amounts = self.value("amount").and_then(Value::as_object);
        let first = amounts.and_then(|amounts| amounts.iter().next());
        let (code, minor) = first.map_or(("usd", 0), |(code, minor)| {
            (code.as_str(), minor.as_i64().unwrap_or(0))
        });
        (in_currency(code, minor), code)
    }

    /// The customer as a token: by Stripe's id, else by ours.
    fn customer(&self) -> &str {
        let detail = &self.incoming.detail;
        let stripes = detail
            .stripe_customer_id
            .as_ref()
            .map(StripeCustomerId::as_str);
        let ours = detail.customer_id.as_ref().map(CustomerId::as_str);
        stripes.or(ours).unwrap_or("unknown")
    }
}

/// Minor units as lines write them.
fn in_currency(code: &str, minor: i64) -> String {
    Currency::parse(code).map_or_else(|_| minor.to_string(), |currency| brief(&currency, minor))
}
