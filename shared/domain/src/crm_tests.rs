//! What a contact comes to in a CRM, and what is left out.

use serde_json::{Value, json};

use super::*;
use crate::contact::{Contact, Profile};
use crate::id::{CustomerId, StripeCustomerId};
use crate::money::{Currency, Money};
use crate::rollup::{BillingStatus, Primary, Rollup};
use crate::settings::Settings;
use crate::user::User;

const NOW: i64 = 1_790_000_000;

fn contact(profile: Value, rollups: Vec<(&str, Rollup)>) -> Contact {
    let mut contact = Contact::new(CustomerId::parse("acme").unwrap());
    contact.profile = Some(serde_json::from_value::<Profile>(profile).unwrap());
    for (id, rollup) in rollups {
        let id = StripeCustomerId::parse(id).unwrap();
        contact.accounts.insert(id, rollup.into());
    }
    contact
}

fn pays(arr: &[(&str, i64)], cancel_at: Option<i64>) -> Rollup {
    let at = |seconds: i64| Timestamp::from_unix(seconds).unwrap();
    let primary = json!({ "live": true, "start_date": NOW, "period_end": NOW + 86_400,
        "cancel_at": cancel_at, "trial_end": null,
        "weight": { "mrr": 1, "nominal": 1, "created": NOW, "subscription": "sub_1" } });
    let mut money = Money::default();
    for (currency, minor) in arr {
        money.add(&Currency::parse(currency).unwrap(), *minor);
    }
    Rollup {
        email: Some("ann@acme.example".to_owned()),
        created: Some(at(NOW)),
        status: BillingStatus::Active,
        arr: money,
        primary: Some(serde_json::from_value::<Primary>(primary).unwrap()),
        ..Rollup::default()
    }
}

fn user(id: &str, email: Option<&str>, workspaces: &[&str]) -> User {
    User {
        email: email.map(str::to_owned),
        workspaces: workspaces.iter().map(|&id| id.to_owned()).collect(),
        ..User::new(id)
    }
}

fn shown(contact: &Contact, users: &[User]) -> Value {
    serde_json::to_value(records(contact, users)).unwrap()
}

#[test]
fn a_contact_is_a_workspace_with_its_users_and_subscriptions() {
    let profile = json!({ "name": "Ann", "company": "Acme", "email": null,
        "users": ["u1"], "traits": { "usage_percent": 82.5 } });
    let contact = contact(profile, vec![("cus_1", pays(&[("usd", 69_950)], None))]);
    let known = user("u1", Some("ann@acme.example"), &[]);
    let expected = json!([
        { "object": "workspace", "id": "acme", "belongs": "nowhere",
          "fields": { "name": { "text": "Acme" }, "usage_percent": { "number": "82.5" } },
          "added": { "domains": ["acme.example"] } },
        { "object": "subscription", "id": "cus_1", "belongs": { "to": "acme" }, "added": {},
          "fields": { "status": { "text": "active" }, "arr": { "number": "699.5" },
              "currency": { "text": "USD" }, "renewal_date": { "day": NOW + 86_400 } } },
        { "object": "user", "id": "u1", "belongs": { "among": ["acme"] }, "added": {},
          "fields": { "email": { "text": "ann@acme.example" } } },
    ]);
    assert_eq!(shown(&contact, &[known]), expected);
}

/// N16: what is not known is left out. Nobody is a user without an address, or a domain of free mail.
#[test]
fn n16_nothing_is_sent_for_what_is_not_known() {
    let profile = json!({ "name": null, "email": "ann@gmail.com", "company": null,
        "traits": { "usage_percent": "much" } });
    let contact = contact(profile, vec![("cus_1", Rollup::default())]);
    let records = shown(&contact, &[user("u1", None, &[])]);
    let expected = json!([{ "object": "workspace", "id": "acme", "fields": {}, "added": {},
        "belongs": "nowhere" }]);
    assert_eq!(records, expected);
}

#[test]
fn users_belong_to_their_own_workspaces_and_a_subscription_to_the_first() {
    let profile =
        json!({ "name": null, "email": null, "company": null, "workspaces": ["w2", "w1"] });
    let contact = contact(profile, vec![("cus_1", pays(&[], None))]);
    let users = [
        user("a", Some("a@x.example"), &["w2", "elsewhere"]),
        user("b", Some("b@x.example"), &[]),
    ];
    let records = records(&contact, &users);
    let belongs: Vec<_> = records
        .iter()
        .map(|record| (record.key(), record.belongs.workspaces().collect()))
        .collect();
    let expected: Vec<(String, Vec<&str>)> = vec![
        ("workspace#w1".to_owned(), vec![]),
        ("workspace#w2".to_owned(), vec![]),
        ("subscription#cus_1".to_owned(), vec!["w1"]),
        ("user#a".to_owned(), vec!["w2"]),
        ("user#b".to_owned(), vec!["w1", "w2"]),
    ];
    assert_eq!(belongs, expected);
}

#[test]
fn a_years_worth_is_in_major_units_and_never_of_two_currencies() {
    let nobody = json!({ "name": null, "email": null, "company": null });
    for (arr, expected) in [
        (&[("usd", 69_600)][..], json!(["696", "USD"])),
        (&[("jpy", 5_800)], json!(["5800", "JPY"])),
        (&[("kwd", 1_001)], json!(["1.001", "KWD"])),
        (&[("usd", 100), ("eur", 250)], json!(["2.5", "EUR"])),
        (&[], json!(["0", null])),
    ] {
        let contact = contact(nobody.clone(), vec![("cus_1", pays(arr, Some(NOW)))]);
        let fields = shown(&contact, &[])[1]["fields"].take();
        let shown = json!([fields["arr"]["number"], fields["currency"]["text"]]);
        assert_eq!(shown, expected);
        assert_eq!(fields.get("renewal_date"), None, "it ends");
    }
}

/// What a CRM shows of what the tenant tells is told on the bus, once.
#[test]
fn what_the_tenant_tells_anew_is_an_event() {
    let settings = Settings::example().unwrap();
    let mut contact = Contact::new(CustomerId::parse("acme").unwrap());
    let mut told = |given: Value| {
        let mut profile = json!({ "name": null, "email": null, "company": null });
        let given = given.as_object().unwrap().clone();
        profile.as_object_mut().unwrap().extend(given);
        let given: Profile = serde_json::from_value(profile).unwrap();
        let now = Timestamp::from_unix(NOW).unwrap();
        let events = contact.merge_profile(given, &settings, now).events;
        let mut events = events.into_iter();
        let event = events.find(|event| event.name == "customer_updated")?;
        Some(event.data["fields"].clone())
    };
    let first = json!({ "company": "Acme", "workspaces": ["w1"] });
    assert_eq!(told(first.clone()), Some(json!(["company", "workspaces"])));
    assert_eq!(told(first), None);
    let usage = json!({ "traits": { "usage_percent": 9 } });
    assert_eq!(told(usage), Some(json!(["traits"])));
}

#[test]
fn the_digest_tells_every_change_and_nothing_else() {
    let of = |usage: u8, arr: i64, email: &str| {
        let profile = json!({ "name": null, "email": null, "company": "Acme",
            "traits": { "usage_percent": usage, "seen": arr } });
        let contact = contact(profile, vec![("cus_1", pays(&[("usd", arr)], None))]);
        let records = records(&contact, &[user("u1", Some(email), &[])]);
        records.iter().map(Record::digest).collect::<Vec<_>>()
    };
    let first = of(80, 100, "a@x.example");
    let changed =
        |other: Vec<u64>| -> Vec<bool> { first.iter().zip(other).map(|(a, b)| *a != b).collect() };
    assert_eq!(changed(of(80, 100, "a@x.example")), [false, false, false]);
    assert_eq!(changed(of(81, 100, "a@x.example")), [true, false, false]);
    assert_eq!(changed(of(80, 101, "a@x.example")), [false, true, false]);
    assert_eq!(changed(of(80, 100, "b@x.example")), [false, false, true]);
}
