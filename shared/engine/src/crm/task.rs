//! Tasks: one for each alert that is one.

use std::fmt;

use paygraph_domain::alert::hint::Hint;
use paygraph_domain::alert::plan::{Held, Plan, plan};
use paygraph_domain::alert::{AlertId, Kind, reason};
use paygraph_domain::contact::Contact;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use serde_json::Value;

/// Something for somebody to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The alert that it is.
    pub alert: AlertId,
    /// What is to be done, in a few words.
    pub title: String,
    /// The CRM's id of the workspace that it is about.
    pub workspace: String,
}

impl fmt::Display for Task {
    /// As people read it. No two tasks read the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.title, self.alert)
    }
}

/// What there is to do about a contact, and what no longer is. By the rule of alerts: the same events
/// give the same task that they give as an alert.
pub(super) fn due(
    contact: &Contact,
    held: &[Held],
    settings: &Settings,
    news: Option<Hint<'_>>,
    now: Timestamp,
) -> Plan {
    let hint = news.unwrap_or(Hint {
        name: "",
        data: &Value::Null,
        at: now,
    });
    let reasons = reason::of_contact(contact, settings, hint, held, now);
    plan(held, &reasons, &[Kind::Upsell].into(), &raises(hint))
}

fn raises(hint: Hint<'_>) -> std::collections::BTreeSet<Kind> {
    let kinds = hint.may_raise().into_iter();
    kinds.filter(|kind| *kind == Kind::Upsell).collect()
}
