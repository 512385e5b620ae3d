//! "Alert me on …": somebody asks to be told.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{Channel, Kind};
use crate::id::CustomerId;

/// The most subscriptions of a tenant.
pub const MAX_SUBSCRIPTIONS: usize = 200;
/// The most characters of a subscriber's name.
const MAX_NAME: usize = 200;

/// What somebody asked to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Who, as they are called where it is sent: `@ana`, `cs-team`.
    pub subscriber: String,
    /// Of what; of everything when there is none.
    #[serde(default)]
    pub kinds: BTreeSet<Kind>,
    /// Of whom; of everybody when there is none.
    #[serde(default)]
    pub customer: Option<CustomerId>,
    /// Where.
    pub channel: Channel,
}

impl Subscription {
    /// Whether an alert of a kind is one that was asked for.
    #[must_use]
    pub fn wants(&self, kind: Kind, customer: Option<&CustomerId>) -> bool {
        let kinds = self.kinds.is_empty() || self.kinds.contains(&kind);
        let wanted = self.customer.as_ref();
        kinds && wanted.is_none_or(|wanted| Some(wanted) == customer)
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let name = &self.subscriber;
        let long = name.chars().count() > MAX_NAME;
        let odd = name.trim() != name || name.chars().any(char::is_control);
        (name.is_empty() || long || odd).then_some(
            "subscriber has 1 to 200 characters, no control characters and no outer spaces",
        )
    }

    /// Its id: the same for the same wish, so that asking twice is asking once.
    #[must_use]
    pub fn id(&self) -> String {
        let mut text = format!("{}\n{}", self.subscriber, self.channel.as_str());
        for kind in &self.kinds {
            text.push('\n');
            text.push_str(kind.as_str());
        }
        if let Some(customer) = &self.customer {
            text.push_str("\n\n");
            text.push_str(customer.as_str());
        }
        format!("as_{:016x}", xxh3_64(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(text: &str) -> Subscription {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn kinds_and_customers_narrow_a_wish() {
        let acme = CustomerId::parse("acme").unwrap();
        let all = wish(r#"{"subscriber":"a","channel":"slack"}"#);
        assert!(all.wants(Kind::Drift, None) && all.wants(Kind::PastDue, Some(&acme)));
        let some =
            wish(r#"{"subscriber":"a","kinds":["past_due"],"customer":"acme","channel":"slack"}"#);
        assert!(some.wants(Kind::PastDue, Some(&acme)));
        assert!(!some.wants(Kind::Dispute, Some(&acme)) && !some.wants(Kind::PastDue, None));
        assert_ne!(all.id(), some.id());
        assert_eq!(all.id(), all.clone().id());
        assert_eq!(all.problem(), None);
        assert!(
            wish(r#"{"subscriber":" a","channel":"sns"}"#)
                .problem()
                .is_some()
        );
    }
}
