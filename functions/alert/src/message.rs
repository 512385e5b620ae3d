//! What people read of an alert. Every line is one line, whatever a name has in it.

use paygraph_domain::alert::{Alert, Kind};
use paygraph_domain::contact::Contact;
use paygraph_domain::id::TenantId;
use paygraph_domain::text::{shorten, single_line};
use paygraph_domain::time::Timestamp;

/// The most characters of a title.
const MAX_TITLE: usize = 240;
/// The most characters of a name.
const MAX_NAME: usize = 80;
/// The most subscribers that are named.
const MAX_SUBSCRIBERS: usize = 10;

/// An alert with whom it is about.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// The alert.
    pub alert: &'a Alert,
    /// The contact, where there is one.
    pub contact: Option<&'a Contact>,
    /// The page of whom it is about in the CRM, where there is one.
    pub page: Option<&'a str>,
}

impl Message<'_> {
    /// In a sentence or two, one per line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let alert = self.alert;
        let task = if alert.is_task() { "Task: " } else { "" };
        let title = shorten(&alert.title, MAX_TITLE);
        let whom = self.whom().map(|whom| format!(" — {whom}"));
        let first = format!("{task}{title}{}", whom.unwrap_or_default());
        let severity = serde_json::to_value(alert.severity).unwrap_or_default();
        let mut more = vec![format!(
            "severity {}",
            severity.as_str().unwrap_or_default()
        )];
        let owner = alert.owner.as_deref();
        more.extend(owner.map(|owner| format!("owner {}", shorten(owner, MAX_NAME))));
        let asked = alert.route.subscribers.iter().take(MAX_SUBSCRIBERS);
        let asked: Vec<_> = asked.map(|name| shorten(name, MAX_NAME)).collect();
        if !asked.is_empty() {
            more.push(format!("for {}", asked.join(", ")));
        }
        more.push(format!("since {}", alert.id.since));
        [first, more.join(" · ")]
            .map(|line| single_line(&line))
            .into()
    }

    /// The company, the name or the id of whom it is about.
    fn whom(&self) -> Option<String> {
        let id = self.alert.id.customer.as_ref()?;
        let contact = self.contact;
        let name = contact.and_then(|contact| contact.company().or_else(|| contact.name()));
        Some(match name {
            Some(name) => format!("{} ({id})", shorten(name, MAX_NAME)),
            None => id.to_string(),
        })
    }
}

/// Several alerts of one kind that were raised within one minute.
#[derive(Debug, Clone, Copy)]
pub struct Digest<'a> {
    /// Whose they are.
    pub tenant: &'a TenantId,
    /// Their kind.
    pub kind: Kind,
    /// The beginning of the minute.
    pub begins_at: Timestamp,
    /// How many there are, without those that have a message of their own.
    pub count: usize,
}

impl Digest<'_> {
    /// In two lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let (count, kind) = (self.count, self.kind.as_str());
        let alerts = if count == 1 { "alert" } else { "alerts" };
        vec![
            format!("{count} more {alerts} of the kind {kind}"),
            format!(
                "raised within a minute from {} · GET /api/alerts?status=open lists each",
                self.begins_at
            ),
        ]
    }
}
