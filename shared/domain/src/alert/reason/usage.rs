//! Usage: near the plan's limit, and somebody to talk to about a plan.

use serde_json::{Value, json};

use super::Reason;
use crate::alert::Kind;
use crate::alert::hint::Hint;
use crate::alert::plan::Held;
use crate::alert::routing::AlertSettings;
use crate::contact::Contact;
use crate::product::CONTACTED;
use crate::standing::Severity;
use crate::time::Timestamp;

const DAY: i64 = 86_400;
/// The trait that has how much of the plan is used, in percent.
const USAGE: &str = "usage_percent";

/// How much of the plan is used, in percent, if that was told.
fn used(contact: &Contact) -> Option<f64> {
    contact.traits().get(USAGE).and_then(Value::as_f64)
}

/// Most of what the plan allows is used. What the contact says of it goes before what an event
/// said; where it says nothing, an alert that stands stays.
pub(super) fn near_the_limit(
    contact: &Contact,
    settings: &AlertSettings,
    hint: Hint<'_>,
    held: &[Held],
) -> Option<Reason> {
    let stands = held.iter().find(|held| held.id.kind == Kind::UsageLimit);
    let percent = used(contact).or_else(|| hint.usage_percent());
    let near = percent.map(|percent| percent >= f64::from(settings.usage_limit_percent));
    if !near.unwrap_or(stands.is_some()) {
        return None;
    }
    let percent = percent.unwrap_or_default();
    Some(Reason {
        kind: Kind::UsageLimit,
        object: None,
        since: stands.map_or(hint.at, |held| held.id.since),
        severity: Severity::Medium,
        title: format!("Usage is at {percent:.0} % of the plan's limit"),
        evidence: json!({ "usage_percent": percent, "metric": hint.data.get("metric") }),
    })
}

/// They use a lot, and nobody has talked to them for days. (That they are on the default tier is
/// the caller's to see.)
pub(super) fn upsell(
    contact: &Contact,
    settings: &AlertSettings,
    hint: Hint<'_>,
    now: Timestamp,
) -> Option<Reason> {
    let percent = used(contact).filter(|used| *used > f64::from(settings.upsell_above_percent))?;
    let quiet = i64::from(settings.upsell_quiet_days) * DAY;
    let since = match contact.traits().get(CONTACTED) {
        // Somebody did, at a time that nobody can read: better no task than one too many.
        Some(told) => Timestamp::parse(told.as_str()?).ok()?.plus(quiet),
        None => hint.at,
    };
    (since <= now).then(|| Reason {
        kind: Kind::Upsell,
        object: None,
        since,
        severity: Severity::Medium,
        title: format!("Upsell opportunity: usage is at {percent:.0} % without a plan"),
        evidence: json!({ "usage_percent": percent, "last_contacted_at": contact.traits().get(CONTACTED) }),
    })
}
