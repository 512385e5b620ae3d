//! Who hears of an alert: owners, places, and who asked for it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::subscription::Subscription;
use super::{Channel, Kind};
use crate::contact::Contact;
use crate::id::CustomerId;

/// The trait that names a contact's owner.
const OWNER: &str = "owner";

/// What a tenant decides about its alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertSettings {
    /// Whose the alerts are of a contact whose trait `owner` names nobody, and those of no contact.
    pub default_owner: Option<String>,
    /// The kinds that are sent to Slack.
    pub slack: BTreeSet<Kind>,
    /// The kinds that are published to the deployment's SNS topic.
    pub sns: BTreeSet<Kind>,
    /// From which `usage_percent` on a customer is near the plan's limit.
    pub usage_limit_percent: u8,
    /// Above which `usage_percent` a customer on the default tier is somebody to talk to.
    pub upsell_above_percent: u8,
    /// For how many days nobody may have talked to them (trait `last_contacted_at`).
    pub upsell_quiet_days: u16,
}

impl Default for AlertSettings {
    fn default() -> Self {
        let all = Kind::ALL.into_iter();
        // What fails to be paid is dunned: whoever heard of the one knows the other.
        let told: BTreeSet<_> = all.filter(|kind| *kind != Kind::Dunning).collect();
        Self {
            default_owner: None,
            slack: told.clone(),
            sns: told,
            usage_limit_percent: 80,
            upsell_above_percent: 75,
            upsell_quiet_days: 7,
        }
    }
}

impl AlertSettings {
    /// Whose task an alert is: the contact's owner, else the default.
    #[must_use]
    pub fn owner(&self, contact: Option<&Contact>) -> Option<String> {
        let traits = contact.map(Contact::traits);
        let named = traits.as_ref().and_then(|traits| traits.get(OWNER));
        let named = named.and_then(Value::as_str);
        let named = named.filter(|owner| !owner.trim().is_empty());
        named
            .map(str::to_owned)
            .or_else(|| self.default_owner.clone())
    }
}

/// Where an alert is sent, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Route {
    /// Where it is sent.
    pub channels: BTreeSet<Channel>,
    /// Who asked to be told.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub subscribers: BTreeSet<String>,
}

impl Route {
    /// Where a kind of alert goes: by the settings, and to whoever asked for it.
    #[must_use]
    pub fn of(
        kind: Kind,
        customer: Option<&CustomerId>,
        settings: &AlertSettings,
        subscriptions: &[Subscription],
    ) -> Self {
        let mut route = Self::default();
        let places = [
            (Channel::Slack, &settings.slack),
            (Channel::Sns, &settings.sns),
        ];
        for (channel, kinds) in places {
            if kinds.contains(&kind) {
                route.channels.insert(channel);
            }
        }
        for subscription in subscriptions {
            if subscription.wants(kind, customer) {
                route.channels.insert(subscription.channel);
                route.subscribers.insert(subscription.subscriber.clone());
            }
        }
        route
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subscription_adds_its_place_and_its_name() {
        let settings = AlertSettings {
            slack: BTreeSet::new(),
            ..AlertSettings::default()
        };
        let json = json!({ "subscriber": "cs-team", "kinds": ["dunning"], "channel": "slack" });
        let subscription: Subscription = serde_json::from_value(json).unwrap();
        let wanted = [subscription];
        let route = Route::of(Kind::Dunning, None, &settings, &wanted);
        assert_eq!(route.channels, [Channel::Slack].into());
        assert_eq!(route.subscribers, ["cs-team".to_owned()].into());
        let route = Route::of(Kind::PastDue, None, &settings, &wanted);
        assert_eq!(
            (route.channels, route.subscribers),
            ([Channel::Sns].into(), BTreeSet::new())
        );
    }

    #[test]
    fn an_alert_is_the_owners() {
        let mut contact = Contact::new(CustomerId::parse("acme").unwrap());
        let mut settings = AlertSettings::default();
        assert_eq!(settings.owner(Some(&contact)), None);
        settings.default_owner = Some("everybody".to_owned());
        assert_eq!(settings.owner(Some(&contact)).as_deref(), Some("everybody"));
        let traits = [("owner".to_owned(), json!("north"))].into();
        contact.profile = Some(crate::contact::Profile {
            traits,
            ..Default::default()
        });
        assert_eq!(settings.owner(Some(&contact)).as_deref(), Some("north"));
        assert_eq!(settings.owner(None).as_deref(), Some("everybody"));
    }
}
