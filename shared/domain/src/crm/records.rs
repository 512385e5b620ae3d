//! The records of a contact, in the order in which they need each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Belongs, Field, MAX_WORKSPACES, Object, Record};
use crate::contact::Contact;
use crate::id::StripeCustomerId;
use crate::identity::Name;
use crate::money::{Decimal, Money};
use crate::rollup::Rollup;
use crate::user::User;

/// The trait that has how much of the plan is used, in percent.
const USAGE: &str = "usage_percent";

/// Everything that a CRM is to show of a contact. `users` are those of its users that are known.
#[must_use]
pub fn records(contact: &Contact, users: &[User]) -> Vec<Record> {
    let workspaces = workspaces(contact);
    let mut records: Vec<_> = workspaces
        .iter()
        .map(|id| workspace(contact, id.clone()))
        .collect();
    let accounts = contact.accounts.iter();
    if let Some(first) = workspaces.first() {
        records.extend(accounts.filter_map(|(id, rollup)| subscription(id, rollup, first)));
    }
    records.extend(
        users
            .iter()
            .filter_map(|known| user(contact, known, &workspaces)),
    );
    records
}

/// The workspaces that the contact pays for; it is one itself where none is named.
fn workspaces(contact: &Contact) -> BTreeSet<String> {
    let named = contact.profile.iter();
    let named = named.flat_map(|profile| profile.workspaces.iter());
    let named: BTreeSet<_> = named.take(MAX_WORKSPACES).cloned().collect();
    if named.is_empty() {
        return [contact.id.to_string()].into();
    }
    named
}

fn workspace(contact: &Contact, id: String) -> Record {
    let name = contact.company().or_else(|| contact.name());
    let usage = match contact.traits().get(USAGE) {
        Some(Value::Number(percent)) => Decimal::parse(&percent.to_string()).ok(),
        Some(_) | None => None,
    };
    let own = contact.profile.as_ref();
    let own = own.and_then(|profile| profile.domain.as_deref());
    let domain = match own.or_else(|| contact.email()).and_then(Name::domain) {
        Some(Name::Domain(domain)) => Some(domain),
        Some(Name::Email(_) | Name::Company(_) | Name::User(_) | Name::Workspace(_)) | None => None,
    };
    let domains = domain.map(|domain| ("domains", BTreeSet::from([domain])));
    Record {
        object: Object::Workspace,
        id,
        fields: known([
            ("name", name.map(text)),
            ("usage_percent", usage.map(Field::Number)),
        ]),
        added: domains.into_iter().collect(),
        belongs: Belongs::Nowhere,
    }
}

/// A user, once the address is known: no CRM takes one without. The workspaces are the user's own
/// among those of the contact; all of them, where the user names none.
fn user(contact: &Contact, user: &User, workspaces: &BTreeSet<String>) -> Option<Record> {
    let email = user.email.as_deref()?;
    let is_named = contact.profile.as_ref();
    let is_named = is_named.is_some_and(|profile| !profile.workspaces.is_empty());
    let among = if is_named && !user.workspaces.is_empty() {
        workspaces.intersection(&user.workspaces).cloned().collect()
    } else {
        workspaces.clone()
    };
    Some(Record {
        object: Object::User,
        id: user.id.clone(),
        fields: known([
            ("email", Some(text(email))),
            ("name", user.name.as_deref().map(text)),
        ]),
        added: BTreeMap::new(),
        belongs: Belongs::Among(among),
    })
}

/// What a Stripe customer pays for; nothing where it never had a subscription. It belongs to the
/// first of its contact's workspaces.
fn subscription(id: &StripeCustomerId, rollup: &Rollup, workspace: &str) -> Option<Record> {
    let plan = rollup.plan.as_ref().or(rollup.lifetime.as_ref());
    if plan.is_none() && rollup.primary.is_none() {
        return None;
    }
    let renewing = rollup.primary.as_ref();
    let renewing = renewing.filter(|primary| primary.live && primary.cancel_at.is_none());
    let renewal = renewing.and_then(|primary| primary.period_end);
    let (arr, currency) = yearly(&rollup.arr)?;
    Some(Record {
        object: Object::Subscription,
        id: id.to_string(),
        fields: known([
            ("status", Some(text(rollup.status.as_str()))),
            ("plan_name", plan.map(|plan| text(&plan.name))),
            ("arr", Some(Field::Number(arr))),
            ("currency", currency.map(Field::Text)),
            ("renewal_date", renewal.map(Field::Day)),
        ]),
        added: BTreeMap::new(),
        belongs: Belongs::To(workspace.to_owned()),
    })
}

/// A year's worth in the currency's major unit. Stripe bills a customer in one currency; should
/// there be several, they are not added together, and the first by its code counts.
fn yearly(arr: &Money) -> Option<(Decimal, Option<String>)> {
    let Some((currency, minor)) = arr.iter().next() else {
        return Some((Decimal::default(), None));
    };
    let major = Decimal::parse(&format!("{minor}e-{}", currency.minor_digits())).ok()?;
    Some((major, Some(currency.as_str().to_uppercase())))
}

fn text(text: &str) -> Field {
    Field::Text(text.to_owned())
}

/// What is known, and no nulls.
fn known<const N: usize>(
    fields: [(&'static str, Option<Field>); N],
) -> BTreeMap<&'static str, Field> {
    let known = fields.into_iter();
    known
        .filter_map(|(name, field)| Some((name, field?)))
        .collect()
}
