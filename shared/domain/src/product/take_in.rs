//! What an event changes: of its user, and of the contact that pays for the workspace.

use std::collections::BTreeSet;

use serde_json::Value;

use super::said::{Moment, Said};
use super::usage::{Usage, thresholds};
use super::{Product, ProductEvent, Traits, What};
use crate::contact::{self, Contact, MAX_USERS, Outcome, Profile};
use crate::event::Event;
use crate::identity::Name;
use crate::settings::Settings;
use crate::time::Timestamp;
use crate::user::{MAX_TRAITS, MAX_WORKSPACES, User};

/// The trait of a contact that says in which hour somebody was seen last.
const SEEN: &str = "last_seen_at";
/// The trait of a contact that says when somebody was in touch last, in RFC 3339.
pub(crate) const CONTACTED: &str = "last_contacted_at";
/// The trait of a contact that says how much it is used, 0 to 100.
const SCORE: &str = "engagement_score";
/// The trait of a contact that says how much of what the plan allows is used, in percent.
pub(super) const USAGE: &str = "usage_percent";
/// What the names of traits begin with where it is noted when they were told.
const TRAIT: &str = "traits.";

impl User {
    /// Takes an event in that is the user's.
    pub fn hear(&mut self, event: &ProductEvent, settings: &Settings) {
        let settings = &settings.product;
        let (workspace, activity) = (event.workspace(settings), event.activity(settings));
        self.last_seen = self.last_seen.max(activity.seen);
        if workspace.is_none() {
            self.elsewhere = self.elsewhere.and(activity);
        }
        if let Some(workspace) = workspace {
            add(&mut self.workspaces, &workspace, MAX_WORKSPACES);
        }
        let What::Identify(traits) = &event.what else {
            return;
        };
        for (name, value) in traits {
            match name.as_str() {
                "name" => field(&mut self.said, "name", event.at, value, &mut self.name),
                "email" => {
                    let address = value.as_str().and_then(Name::email);
                    let value = address.map_or(&Value::Null, |_| value);
                    field(&mut self.said, "email", event.at, value, &mut self.email);
                }
                _ => told(&mut self.said, &mut self.traits, name, event.at, value),
            }
        }
        for dropped in self.said.keep_first(TRAIT, MAX_TRAITS) {
            self.traits.remove(&dropped);
        }
    }
}

impl ProductEvent {
    /// What it says of who pays for the workspace.
    #[must_use]
    pub fn profile(&self) -> Profile {
        let mut profile = Profile::default();
        if let What::Group(traits) = &self.what {
            fill(&mut Said::default(), &mut profile, self.at, traits);
        }
        profile
    }
}

/// An event as a contact hears it.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// The event.
    pub event: &'a ProductEvent,
    /// Its user, who has taken it in.
    pub user: Option<&'a User>,
    /// The workspace that it is about, if that is the contact's.
    pub workspace: Option<&'a str>,
}

impl Contact {
    /// Takes a product event in.
    pub fn hear(&mut self, heard: &Heard<'_>, settings: &Settings, now: Timestamp) -> Outcome {
        let before = self.product.usage.clone();
        let mut outcome = self.change(settings, now, |contact| {
            let mut profile = contact.profile.take().unwrap_or_default();
            heard.apply(&mut contact.product, &mut profile, settings);
            contact.profile = Some(profile);
        });
        let limit = u64::from(settings.alerts.usage_limit_percent);
        for (metric, usage) in &self.product.usage {
            let was_near = before.get(metric).is_some_and(|was| was.percent() >= limit);
            if usage.percent() >= limit && !was_near {
                outcome.events.push(Event {
                    contact: Some(self.id.clone()),
                    ..usage.approached(metric)
                });
            }
        }
        outcome
    }
}

impl Contact {
    /// Somebody was in touch at an instant, as the CRM or our own e-mails tell: of those the latest
    /// counts. The trait is never earlier; it is later where the tenant itself says so.
    ///
    /// It is nothing that the tenant put, so it does not keep a contact that nothing else holds.
    pub fn contacted(&mut self, at: Timestamp, settings: &Settings, now: Timestamp) -> Outcome {
        self.change(settings, now, |contact| {
            contact.product.contacted = contact.product.contacted.max(Some(at));
        })
    }
}

impl Heard<'_> {
    fn apply(&self, product: &mut Product, profile: &mut Profile, settings: &Settings) {
        let said = &mut product.said;
        if let Some(workspace) = self.workspace {
            add(&mut profile.workspaces, workspace, contact::MAX_WORKSPACES);
            if let Some(user) = &self.event.user {
                add(&mut profile.users, user, MAX_USERS);
            }
            product.activity = product.activity.and(self.event.activity(&settings.product));
        }
        let wanted = &settings.product.traits;
        if let Some(user) = self.user {
            product.activity = product.activity.and(user.elsewhere);
            for name in wanted {
                if let Some(at) = user.said.when(&format!("{TRAIT}{name}")) {
                    let value = user.traits.get(name).unwrap_or(&Value::Null);
                    told(said, &mut profile.traits, name, at, value);
                }
            }
        }
        if let (Some(_), What::Group(traits)) = (self.workspace, &self.event.what) {
            fill(said, profile, self.event.at, traits);
            for (name, value) in traits.iter().filter(|(name, _)| wanted.contains(*name)) {
                told(said, &mut profile.traits, name, self.event.at, value);
            }
        }
        product
            .usage
            .retain(|metric, _| settings.product.usage.contains_key(metric));
        let thresholds = thresholds(settings);
        for (metric, of) in &settings.product.usage {
            let new = self.workspace.and_then(|_| Usage::of(self.event, of));
            if let Some(new) = new {
                let held = product.usage.entry(metric.clone()).or_insert(new);
                *held = held.or(new, &thresholds);
            }
        }
    }
}

impl Product {
    /// Writes what follows from it into the traits.
    pub(crate) fn show(&self, profile: &mut Profile, now: Timestamp) {
        if let Some(contacted) = self.contacted {
            at_least(&mut profile.traits, CONTACTED, contacted);
        }
        if let Some(seen) = self.activity.seen {
            at_least(&mut profile.traits, SEEN, seen);
            profile
                .traits
                .insert(SCORE.to_owned(), self.activity.score(now).into());
        }
        if let Some(most) = self.usage.values().map(Usage::percent).max() {
            profile.traits.insert(USAGE.to_owned(), most.into());
        }
    }

    /// The tenant itself says something: what events told before does not count any more.
    pub(crate) fn overrule(&mut self, given: &Profile, now: Timestamp) {
        for (name, given) in [
            ("company", &given.company),
            ("domain", &given.domain),
            ("email", &given.email),
        ] {
            if given.is_some() {
                self.said.forget(name);
            }
        }
        for name in given.traits.keys() {
            self.said.renew(&format!("{TRAIT}{name}"), now.into());
        }
    }

    /// Takes in what another contact has that becomes a part of this one.
    pub(crate) fn adopt(&mut self, other: &Self, settings: &Settings) {
        self.said.fill(&other.said);
        self.activity = self.activity.and(other.activity);
        self.contacted = self.contacted.max(other.contacted);
        let thresholds = thresholds(settings);
        for (metric, usage) in &other.usage {
            let held = self.usage.entry(metric.clone()).or_insert(*usage);
            *held = held.or(*usage, &thresholds);
        }
    }
}

/// Lets a trait that is an instant be no earlier than this one.
fn at_least(traits: &mut Traits, name: &str, at: Timestamp) {
    let held = traits.get(name).and_then(Value::as_str);
    let held = held.and_then(|held| Timestamp::parse(held).ok());
    if held.is_none_or(|held| held < at) {
        traits.insert(name.to_owned(), at.to_string().into());
    }
}

/// What a workspace's traits say of its contact, where the tenant has said nothing itself.
fn fill(said: &mut Said, profile: &mut Profile, at: Moment, traits: &Traits) {
    let domain = traits.get("domain").or_else(|| traits.get("website"));
    let domain = domain.and_then(Value::as_str).and_then(host);
    let email = traits
        .get("email")
        .filter(|email| email.as_str().and_then(Name::email).is_some());
    for (name, given, held) in [
        ("company", traits.get("name").cloned(), &mut profile.company),
        ("domain", domain.map(Value::from), &mut profile.domain),
        ("email", email.cloned(), &mut profile.email),
    ] {
        let is_ours = held.is_none() || said.when(name).is_some();
        if let Some(given) = given.filter(|given| given.is_string() && is_ours) {
            field(said, name, at, &given, held);
        }
    }
}

/// The host of a web address, or a domain by itself.
fn host(address: &str) -> Option<String> {
    let address = address.trim().to_lowercase();
    let rest = address
        .split_once("://")
        .map_or(address.as_str(), |(_, rest)| rest);
    let host = rest.split(['/', ':', '?', '#']).next()?;
    let host = host.trim_start_matches("www.");
    host.contains('.').then(|| host.to_owned())
}

/// Takes a text of a moment; anything else than a text is none.
fn field(said: &mut Said, name: &str, at: Moment, value: &Value, held: &mut Option<String>) {
    let text = value
        .as_str()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let new = text.map_or(Value::Null, Value::from);
    let was = held.as_deref().map(Value::from);
    if said.takes(name, at, &new, was.as_ref()) {
        *held = text.map(str::to_owned);
    }
}

/// Takes a trait of a moment; null removes it.
fn told(said: &mut Said, traits: &mut Traits, name: &str, at: Moment, value: &Value) {
    if !said.takes(&format!("{TRAIT}{name}"), at, value, traits.get(name)) {
        return;
    }
    if value.is_null() {
        traits.remove(name);
    } else {
        traits.insert(name.to_owned(), value.clone());
    }
}

/// Adds a name to as many as there may be: of more, those that come first count, in whatever order
/// they come. One event removes at most one name, so that its commit stays small.
fn add(names: &mut BTreeSet<String>, name: &str, most: usize) {
    if names.insert(name.to_owned()) && names.len() > most {
        names.pop_last();
    }
}

#[cfg(test)]
#[path = "take_in_tests.rs"]
mod tests;
