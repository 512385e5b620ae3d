//! What SES tells of e-mails that came back or were called unwanted, by way of EventBridge.

use std::collections::BTreeMap;

use paygraph_domain::email::{Address, Suppressed};
use paygraph_domain::id::TenantId;
use serde::Deserialize;
use serde_json::Value;

use crate::tenant_tag;

/// One such message, as the queue has it.
#[derive(Debug, Deserialize)]
pub struct Feedback {
    source: String,
    detail: Detail,
}

#[derive(Debug, Deserialize)]
struct Detail {
    mail: Mail,
    bounce: Option<Bounce>,
    complaint: Option<Complaint>,
}

#[derive(Debug, Deserialize)]
struct Mail {
    /// What the e-mail was tagged with when it was sent.
    #[serde(default)]
    tags: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    bounce_type: String,
    bounced_recipients: Vec<To>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    complained_recipients: Vec<To>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct To {
    email_address: String,
}

impl Feedback {
    /// Reads a message of the queue, if it is from SES.
    #[must_use]
    pub fn parse(body: &str) -> Option<Self> {
        let feedback: Self = serde_json::from_str(body).ok()?;
        (feedback.source == "aws.ses").then_some(feedback)
    }

    /// Whose e-mail it was.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        tenant_tag::tenant(&self.detail.mail.tags)
    }

    /// Whom not to write to any more, and why. An address that is only full for now may be.
    #[must_use]
    pub fn suppresses(&self) -> Vec<(Address, Suppressed)> {
        let bounce = self.detail.bounce.as_ref();
        let bounced = bounce
            .filter(|bounce| bounce.bounce_type == "Permanent")
            .map(|bounce| &bounce.bounced_recipients);
        let complained = self.detail.complaint.as_ref();
        let complained = complained.map(|complaint| &complaint.complained_recipients);
        let with = |why| move |to: &To| Some((address(&to.email_address)?, why));
        let bounced = bounced.into_iter().flatten();
        let complained = complained.into_iter().flatten();
        bounced
            .filter_map(with(Suppressed::Bounced))
            .chain(complained.filter_map(with(Suppressed::Complained)))
            .collect()
    }
}

/// The address, with or without a name before it.
fn address(text: &str) -> Option<Address> {
    let inner = text.rsplit_once('<').map_or(text, |(_, inner)| inner);
    Address::parse(inner.trim_end_matches('>'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(detail: serde_json::Value) -> Vec<(String, Suppressed)> {
        let body = json!({ "source": "aws.ses", "detail-type": "Email Bounced", "detail": detail });
        let feedback = Feedback::parse(&body.to_string()).unwrap();
        assert_eq!(feedback.tenant(), TenantId::parse("acme").ok());
        let found = feedback.suppresses().into_iter();
        found
            .map(|(address, why)| (address.as_str().to_owned(), why))
            .collect()
    }

    #[test]
    fn who_bounced_for_good_or_complained_is_named() {
        let mail = json!({ "tags": { "tenant": ["acme"] } });
        let bounce = |kind: &str| {
            found(json!({ "eventType": "Bounce", "mail": mail,
                "bounce": { "bounceType": kind, "bouncedRecipients": [
                    { "emailAddress": "Ada <ada@acme.example>" }, { "emailAddress": "no address" }] } }))
        };
        let ada = "ada@acme.example".to_owned();
        assert_eq!(bounce("Permanent"), [(ada.clone(), Suppressed::Bounced)]);
        assert_eq!(bounce("Transient"), []);
        let complaint = found(json!({ "eventType": "Complaint", "mail": mail,
            "complaint": { "complainedRecipients": [{ "emailAddress": ada }] } }));
        assert_eq!(complaint, [(ada, Suppressed::Complained)]);
    }

    #[test]
    fn what_is_not_from_ses_is_none() {
        let of = |source: &str| json!({ "source": source, "detail": { "mail": {} } }).to_string();
        assert!(Feedback::parse(&of("paygraph")).is_none());
        assert!(Feedback::parse("{}").is_none());
        assert_eq!(Feedback::parse(&of("aws.ses")).unwrap().tenant(), None);
    }
}
