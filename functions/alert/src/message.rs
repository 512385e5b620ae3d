//! What people read of an alert.

use paygraph_domain::alert::Alert;
use paygraph_domain::contact::Contact;
use paygraph_domain::id::TenantId;

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
        let whom = self.whom().map(|whom| format!(" — {whom}"));
        let mut lines = vec![format!("{task}{}{}", alert.title, whom.unwrap_or_default())];
        let severity = serde_json::to_value(alert.severity).unwrap_or_default();
        let mut more = vec![format!(
            "severity {}",
            severity.as_str().unwrap_or_default()
        )];
        more.extend(alert.owner.as_ref().map(|owner| format!("owner {owner}")));
        let asked: Vec<_> = alert.route.subscribers.iter().map(String::as_str).collect();
        if !asked.is_empty() {
            more.push(format!("for {}", asked.join(", ")));
        }
        more.push(format!("since {}", alert.id.since));
        lines.push(more.join(" · "));
        lines
    }

    /// The company, the name or the id of whom it is about.
    fn whom(&self) -> Option<String> {
        let id = self.alert.id.customer.as_ref()?;
        let contact = self.contact;
        let name = contact.and_then(|contact| contact.company().or_else(|| contact.name()));
        Some(match name {
            Some(name) => format!("{name} ({id})"),
            None => id.to_string(),
        })
    }
}
