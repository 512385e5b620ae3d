//! The contact: one customer of the tenant's, with every Stripe customer that belongs to it.

mod billing;
mod names;
mod shown;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use billing::Billing;
pub use names::{MAX_USERS, MAX_WORKSPACES, TooMany};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::Account;
use crate::audit::Change;
use crate::event::Event;
use crate::id::{CustomerId, StripeCustomerId};
use crate::identity::{By, Linked};
use crate::product::Product;
use crate::rollup::Rollup;
use crate::settings::Settings;
use crate::standing::{Standing, Told, standing};
use crate::time::Timestamp;
use crate::totals::Totals;
use shown::Shown;

/// What the tenant itself says of a contact; it goes before what Stripe says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// Full name.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Company.
    pub company: Option<String>,
    /// Its own domain, where that is not the one of the e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The users of the product who work in it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub users: BTreeSet<String>,
    /// The workspaces of the product that it pays for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub workspaces: BTreeSet<String>,
    /// What else is known, by name: acquisition channel, usage, last seen, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traits: BTreeMap<String, Value>,
}

/// A contact as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// Our id.
    pub id: CustomerId,
    /// How often it was written; 0 before the first time.
    pub version: u64,
    /// Set when the tenant put the contact itself: it then stays when nothing is linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// What each linked Stripe customer comes to.
    pub accounts: BTreeMap<StripeCustomerId, Arc<Rollup>>,
    /// The latest instant that it was computed for; never moves back.
    pub evaluated_at: Timestamp,
    /// What was told last of how it stands.
    #[serde(default)]
    pub told: Told,
    /// What product events told.
    #[serde(default, skip_serializing_if = "Product::is_empty")]
    pub product: Product,
}

/// What a change of a contact gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// For the bus.
    pub events: Vec<Event>,
    /// For the audit trail.
    pub changes: Vec<Change>,
}

impl Contact {
    /// A contact that nothing is known of yet.
    #[must_use]
    pub fn new(id: CustomerId) -> Self {
        Self {
            id,
            version: 0,
            profile: None,
            accounts: BTreeMap::new(),
            evaluated_at: Timestamp::default(),
            told: Told::default(),
            product: Product::default(),
        }
    }

    /// Whether nothing holds it: no Stripe customer, and the tenant never put it.
    #[must_use]
    pub fn is_vacant(&self) -> bool {
        self.accounts.is_empty() && self.profile.is_none()
    }

    /// Takes a Stripe customer's new roll-up in.
    pub fn settle(
        &mut self,
        customer: &StripeCustomerId,
        rollup: Rollup,
        settings: &Settings,
        now: Timestamp,
    ) -> Outcome {
        let held = self.accounts.get(customer);
        let same = held.is_some_and(|held| held.says_the_same(&rollup));
        if same && self.told.next.is_none_or(|next| next > now) {
            // The usual case, and nothing follows from it.
            self.accounts.insert(customer.clone(), Arc::new(rollup));
            self.version += 1;
            self.evaluated_at = self.evaluated_at.max(now);
            return Outcome::default();
        }
        self.change(settings, now, |contact| {
            contact.accounts.insert(customer.clone(), Arc::new(rollup));
        })
    }

    /// Takes a Stripe customer in that was the last that another contact had: with what that one
    /// knew beside it, since nothing is left of it.
    pub fn inherit(
        &mut self,
        customer: &StripeCustomerId,
        rollup: Rollup,
        left: &Self,
        settings: &Settings,
        now: Timestamp,
    ) -> Outcome {
        self.change(settings, now, |contact| {
            contact.accounts.insert(customer.clone(), Arc::new(rollup));
            contact.product.adopt(&left.product, settings);
        })
    }

    /// Lets a Stripe customer go, to another contact.
    pub fn release(
        &mut self,
        customer: &StripeCustomerId,
        settings: &Settings,
        now: Timestamp,
    ) -> Outcome {
        self.change(settings, now, |contact| {
            contact.accounts.remove(customer);
        })
    }

    /// Takes over what the tenant says; fields that it leaves out stay.
    pub fn merge_profile(
        &mut self,
        given: Profile,
        settings: &Settings,
        now: Timestamp,
    ) -> Outcome {
        self.change(settings, now, |contact| {
            contact.product.overrule(&given, now);
            let mut profile = contact.profile.take().unwrap_or_default();
            profile.domain = given.domain.or(profile.domain);
            profile.users.extend(given.users);
            profile.workspaces.extend(given.workspaces);
            profile.name = given.name.or(profile.name);
            profile.email = given.email.or(profile.email);
            profile.company = given.company.or(profile.company);
            for (name, value) in given.traits {
                if value.is_null() {
                    profile.traits.remove(&name);
                } else {
                    profile.traits.insert(name, value);
                }
            }
            contact.profile = Some(profile);
        })
    }

    /// Takes in all that another contact is and has. What this one says itself stays.
    pub fn adopt(&mut self, other: &Self, settings: &Settings, now: Timestamp) -> Outcome {
        self.change(settings, now, |contact| {
            for (customer, rollup) in &other.accounts {
                let mut rollup = Rollup::clone(rollup);
                rollup.totals.linked = Some(Linked {
                    by: By::Hand,
                    contact: contact.id.clone(),
                });
                contact.accounts.insert(customer.clone(), Arc::new(rollup));
            }
            contact.product.adopt(&other.product, settings);
            let Some(other) = other.profile.clone() else {
                return;
            };
            let mut profile = contact.profile.take().unwrap_or_default();
            profile.name = profile.name.or(other.name);
            profile.email = profile.email.or(other.email);
            profile.company = profile.company.or(other.company);
            profile.domain = profile.domain.or(other.domain);
            profile.users.extend(other.users);
            profile.workspaces.extend(other.workspaces);
            for (name, value) in other.traits {
                profile.traits.entry(name).or_insert(value);
            }
            contact.profile = Some(profile);
        })
    }

    pub(crate) fn change(
        &mut self,
        settings: &Settings,
        now: Timestamp,
        edit: impl FnOnce(&mut Self),
    ) -> Outcome {
        let before = self.clone();
        edit(self);
        self.version += 1;
        self.evaluated_at = self.evaluated_at.max(now);
        self.show_use();
        let mut outcome = self.compare(&before, settings, false);
        outcome.events.extend(self.told_anew(&before));
        outcome
    }

    /// The tenant told something else of it than before.
    fn told_anew(&self, before: &Self) -> Option<Event> {
        let nothing = Profile::default();
        let was = before.profile.as_ref().unwrap_or(&nothing);
        let is = self.profile.as_ref().unwrap_or(&nothing);
        let changed = [
            ("name", was.name != is.name),
            ("email", was.email != is.email),
            ("company", was.company != is.company),
            ("domain", was.domain != is.domain),
            ("users", was.users != is.users),
            ("workspaces", was.workspaces != is.workspaces),
            ("traits", before.traits() != self.traits()),
        ];
        let fields = changed.into_iter().filter(|(_, changed)| *changed);
        let fields: Vec<_> = fields.map(|(name, _)| name).collect();
        (!fields.is_empty()).then(|| Event {
            name: "customer_updated",
            data: json!({ "fields": fields }),
            contact: Some(self.id.clone()),
        })
    }

    /// Computes how it stands at an instant, with roll-ups that were computed anew, and what that
    /// changes.
    pub fn recompute(
        &mut self,
        rolled: BTreeMap<StripeCustomerId, Rollup>,
        settings: &Settings,
        now: Timestamp,
    ) -> Outcome {
        let before = self.clone();
        let rolled = rolled.into_iter();
        self.accounts
            .extend(rolled.map(|(customer, rollup)| (customer, Arc::new(rollup))));
        self.version += 1;
        self.evaluated_at = self.evaluated_at.max(now);
        self.show_use();
        self.compare(&before, settings, true)
    }

    /// Writes into its traits what follows from product events at the instant it is computed for.
    fn show_use(&mut self) {
        if let Some(profile) = &mut self.profile {
            self.product.show(profile, self.evaluated_at);
        }
    }

    /// What is new since `before`. Unless `always`, how it stands is computed only when something
    /// that it follows from has changed, or its time has come.
    fn compare(&mut self, before: &Self, settings: &Settings, always: bool) -> Outcome {
        let known = before.version > 0;
        let (was, is) = (Shown::of(before, settings), Shown::of(self, settings));
        let due = self.told.next.is_some_and(|next| next <= self.evaluated_at);
        if known && was == is && !due && !always {
            return Outcome::default();
        }
        let standing = standing(self, &is.billing, settings, self.evaluated_at);
        let mut events = self.events(&was.billing, &is.billing);
        for event in standing.events(&self.told) {
            events.push(Event {
                contact: Some(self.id.clone()),
                ..event
            });
        }
        let told = standing.told();
        let changes = Shown::changes(known.then_some((&was, &before.told)), (&is, &told));
        self.told = told;
        Outcome { events, changes }
    }

    /// What is known of it beside its name. One that nobody put has those that are told of it
    /// without the tenant: they do not hold it.
    #[must_use]
    pub fn traits(&self) -> Cow<'_, BTreeMap<String, Value>> {
        if let Some(profile) = &self.profile {
            return Cow::Borrowed(&profile.traits);
        }
        let mut shown = Profile::default();
        self.product.show(&mut shown, self.evaluated_at);
        Cow::Owned(shown.traits)
    }

    /// What ends with it when it is removed, since all that it had is another's.
    #[must_use]
    pub fn ended(&self) -> Vec<Event> {
        let own = |event| Event {
            contact: Some(self.id.clone()),
            ..event
        };
        self.told.ended().map(own).collect()
    }

    /// How it stands at an instant, which is never before what was computed already.
    #[must_use]
    pub fn standing(&self, billing: &Billing, settings: &Settings, now: Timestamp) -> Standing {
        standing(self, billing, settings, self.evaluated_at.max(now))
    }

    /// When time alone may change it.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.told.next
    }

    fn events(&self, before: &Billing, after: &Billing) -> Vec<Event> {
        let own = |name, data| Event {
            name,
            data,
            contact: Some(self.id.clone()),
        };
        let mut events = Vec::new();
        if before.status != after.status {
            let data = json!({ "before": before.status.as_str(), "after": after.status.as_str() });
            events.push(own("billing_status_changed", data));
        }
        if before.mrr != after.mrr {
            let data = json!({ "before": before.mrr, "after": after.mrr, "arr": after.arr });
            events.push(own("mrr_changed", data));
        }
        events
    }

    /// The name, by the tenant or by the first Stripe customer that has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.told(
            |profile| profile.name.as_deref(),
            |rollup| rollup.name.as_deref(),
        )
    }

    /// The e-mail address, likewise.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.told(
            |profile| profile.email.as_deref(),
            |rollup| rollup.email.as_deref(),
        )
    }

    /// The company, likewise.
    #[must_use]
    pub fn company(&self) -> Option<&str> {
        self.told(
            |profile| profile.company.as_deref(),
            |rollup| rollup.company.as_deref(),
        )
    }

    fn told<'a>(
        &'a self,
        ours: impl Fn(&'a Profile) -> Option<&'a str>,
        stripes: impl Fn(&'a Rollup) -> Option<&'a str>,
    ) -> Option<&'a str> {
        let mut rollups: Vec<_> = self.accounts.iter().collect();
        rollups.sort_by_key(|(id, rollup)| (rollup.created, *id));
        let told = || rollups.into_iter().find_map(|(_, rollup)| stripes(rollup));
        self.profile.as_ref().and_then(ours).or_else(told)
    }

    /// Whether every linked Stripe customer is deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        !self.accounts.is_empty() && self.accounts.values().all(|rollup| rollup.deleted)
    }
}

/// An instant as events and the audit trail show it.
pub(crate) fn instant(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::String(time.to_string()))
}

/// The contact that an account belongs to: linked by hand, else named by the customer's metadata,
/// else by a checkout session, else found once by its address or company, else called as Stripe
/// calls it.
#[must_use]
pub fn contact_of(customer: &StripeCustomerId, account: &Account, totals: &Totals) -> CustomerId {
    let linked = totals.linked.as_ref();
    if let Some(linked) = linked.filter(|linked| linked.by == By::Hand) {
        return linked.contact.clone();
    }
    let named = account
        .customer
        .as_ref()
        .and_then(|c| c.value.get().contact.get().clone());
    let claimed = || totals.claim.as_ref().map(|(_, _, contact)| contact.clone());
    named
        .or_else(claimed)
        .or_else(|| linked.map(|linked| linked.contact.clone()))
        .unwrap_or_else(|| customer.clone().into())
}
