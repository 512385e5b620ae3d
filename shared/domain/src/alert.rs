//! Alerts: what somebody is to be told about, and what becomes of it.
//!
//! An alert is one transition: something has begun to be wrong ([`reason`]). Nobody hears of it again
//! while it stands ([`plan`]), and it is resolved when its reason is gone. Who hears of it is
//! [`routing`].

mod about;
pub mod hint;
mod id;
pub mod plan;
pub mod reason;
pub mod routing;
pub mod subscription;
mod words;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::about::{Channel, Kind, Status};
pub use self::id::{AlertId, InvalidAlertId};
use crate::contact::instant;
use crate::id::CustomerId;
use crate::standing::Severity;
use crate::time::Timestamp;
use reason::Reason;
use routing::Route;

/// Somebody has taken an alert on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who, in their own words.
    pub by: String,
    /// When, by our clock.
    pub at: Timestamp,
}

/// An alert as it is kept. It has no name and no address: who the customer is stands in the contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is about; no two alerts have the same.
    pub id: AlertId,
    /// How bad it is.
    pub severity: Severity,
    /// What has happened, in a few words.
    pub title: String,
    /// What it is seen by: ids and amounts.
    pub evidence: Value,
    /// Whose task it is.
    pub owner: Option<String>,
    /// Where it is sent, and who asked for it.
    pub route: Route,
    /// When it was raised, by our clock.
    pub raised_at: Timestamp,
    /// How it stands.
    pub status: Status,
    /// Who took it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledged>,
    /// When its reason was gone, by our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
}

impl Alert {
    /// A new alert.
    #[must_use]
    pub fn new(
        reason: &Reason,
        customer: Option<&CustomerId>,
        owner: Option<String>,
        route: Route,
        now: Timestamp,
    ) -> Self {
        Self {
            id: reason.alert(customer),
            severity: reason.severity,
            title: reason.title.clone(),
            evidence: reason.evidence.clone(),
            owner,
            route,
            raised_at: now,
            status: Status::Open,
            acknowledged: None,
            resolved_at: None,
        }
    }

    /// Whether it asks for something to be done, rather than tells of trouble.
    #[must_use]
    pub fn is_task(&self) -> bool {
        self.id.kind == Kind::Upsell
    }

    /// How long it took until somebody took it on, in seconds.
    #[must_use]
    pub fn seconds_to_acknowledge(&self) -> Option<i64> {
        let at = self.acknowledged.as_ref()?.at;
        Some((at.unix() - self.raised_at.unix()).max(0))
    }

    /// As the API shows it.
    #[must_use]
    pub fn shown(&self) -> Value {
        let acknowledged = self.acknowledged.as_ref();
        json!({
            "id": self.id.to_string(), "kind": self.id.kind, "status": self.status,
            "severity": self.severity, "task": self.is_task(), "title": self.title,
            "customer_id": self.id.customer, "object": self.id.object, "owner": self.owner,
            "since": self.id.since.to_string(), "raised_at": self.raised_at.to_string(),
            "acknowledged_at": instant(acknowledged.map(|acknowledged| acknowledged.at)),
            "acknowledged_by": acknowledged.map(|acknowledged| &acknowledged.by),
            "resolved_at": instant(self.resolved_at), "evidence": self.evidence,
            "channels": self.route.channels, "subscribers": self.route.subscribers,
        })
    }
}

/// Every kind that is about a contact.
#[must_use]
pub fn of_contacts() -> BTreeSet<Kind> {
    let kinds = Kind::ALL.into_iter();
    kinds.filter(|kind| kind.is_of_contacts()).collect()
}

#[cfg(test)]
mod tests;
