//! Events into a user and a contact.

use serde_json::json;

use super::*;
use crate::id::CustomerId;
use crate::product::segment::read;

const START: i64 = 1_790_002_800;

fn event(minute: i64, mut fields: Value) -> ProductEvent {
    let at = Timestamp::from_unix(START + 60 * minute).unwrap();
    fields["timestamp"] = json!(at.to_string());
    read(
        &fields,
        Timestamp::from_unix(START + 86_400).unwrap().into(),
    )
    .unwrap()
}

fn group(minute: i64, traits: Value) -> ProductEvent {
    let fields = json!({ "type": "group", "userId": "u1", "groupId": "ws_1", "traits": traits });
    event(minute, fields)
}

fn track(minute: i64, name: &str, properties: Value) -> ProductEvent {
    let fields = json!({ "type": "track", "event": name, "userId": "u1", "properties": properties,
        "context": { "groupId": "ws_1" } });
    event(minute, fields)
}

fn contact() -> Contact {
    Contact::new(CustomerId::parse("ws_1").unwrap())
}

fn hear(contact: &mut Contact, event: &ProductEvent) -> Outcome {
    let settings = Settings::example().unwrap();
    let mut user = User::new("u1");
    user.hear(event, &settings);
    let heard = Heard {
        event,
        user: Some(&user),
        workspace: Some("ws_1"),
    };
    let now = event.at.second();
    contact.hear(&heard, &settings, now)
}

#[test]
fn a_workspace_fills_in_what_the_tenant_left_open() {
    let mut contact = contact();
    let traits = json!({ "name": "Acme", "website": "https://www.acme.example/about",
        "email": "billing@acme.example", "channel": "ads", "plan": "huge" });
    hear(&mut contact, &group(1, traits));
    let profile = contact.profile.clone().unwrap();
    assert_eq!(profile.company.as_deref(), Some("Acme"));
    assert_eq!(profile.domain.as_deref(), Some("acme.example"));
    assert_eq!(profile.email.as_deref(), Some("billing@acme.example"));
    assert_eq!(profile.workspaces, ["ws_1".to_owned()].into());
    assert_eq!(profile.users, ["u1".to_owned()].into());
    assert_eq!(
        profile.traits,
        [("channel".to_owned(), json!("ads"))].into()
    );
    hear(
        &mut contact,
        &group(2, json!({ "name": "Acme Ltd", "email": "no address" })),
    );
    hear(
        &mut contact,
        &group(0, json!({ "name": "Before", "channel": "none" })),
    );
    assert_eq!(contact.company(), Some("Acme Ltd"));
    assert_eq!(contact.email(), Some("billing@acme.example"));
    assert_eq!(contact.traits()["channel"], "ads");
}

#[test]
fn what_the_tenant_says_itself_stays() {
    let settings = Settings::example().unwrap();
    let mut contact = contact();
    hear(
        &mut contact,
        &group(1, json!({ "name": "told", "channel": "ads" })),
    );
    let given = Profile {
        company: Some("Acme".to_owned()),
        traits: [("channel".to_owned(), json!("fair"))].into(),
        ..Profile::default()
    };
    let now = Timestamp::from_unix(START + 3_600).unwrap();
    contact.merge_profile(given, &settings, now);
    hear(
        &mut contact,
        &group(59, json!({ "name": "told again", "channel": "late" })),
    );
    assert_eq!(
        (contact.company(), &contact.traits()["channel"]),
        (Some("Acme"), &json!("fair"))
    );
    hear(
        &mut contact,
        &group(61, json!({ "name": "and again", "channel": "new" })),
    );
    assert_eq!(
        (contact.company(), &contact.traits()["channel"]),
        (Some("Acme"), &json!("new"))
    );
}

#[test]
fn use_is_kept_by_the_hour_and_scored_by_the_day() {
    let mut contact = contact();
    hear(&mut contact, &track(5, "Report Opened", json!({})));
    let first = contact.clone();
    assert_eq!(first.traits()["last_seen_at"], "2026-09-21T15:00:00Z");
    assert_eq!(first.traits()["engagement_score"], 10);
    assert!(first.due().is_some(), "the score falls by itself");
    hear(&mut contact, &track(55, "Report Opened", json!({})));
    assert_eq!(
        (&contact.profile, &contact.product),
        (&first.profile, &first.product)
    );
    hear(&mut contact, &track(65, "Report Opened", json!({})));
    assert_eq!(contact.traits()["last_seen_at"], "2026-09-21T16:00:00Z");
}

#[test]
fn passive_events_are_no_use() {
    let mut settings = Settings::example().unwrap();
    settings
        .product
        .passive_events
        .insert("Invoice Mailed".to_owned());
    let mut user = User::new("u1");
    user.hear(&track(5, "Invoice Mailed", json!({})), &settings);
    assert_eq!(user.last_seen, None);
    user.hear(&track(5, "Report Opened", json!({})), &settings);
    assert!(user.last_seen.is_some());
}

#[test]
fn crossing_the_limit_is_told_once() {
    let mut contact = contact();
    let mut told = Vec::new();
    for (minute, used) in [
        (1, 40),
        (2, 79),
        (3, 85),
        (4, 90),
        (70, 95),
        (71, 85),
        (200, 20),
    ] {
        let usage = track(
            minute,
            "Usage Reported",
            json!({ "used": used, "limit": 100 }),
        );
        for _ in 0..2 {
            let outcome = hear(&mut contact, &usage);
            let all = outcome.events.into_iter();
            told.extend(all.filter(|event| event.name == "usage_limit_approached"));
        }
    }
    let expected = json!({ "metric": "usage", "used": 85, "limit": 100, "percent": 85 });
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].data, expected);
    assert_eq!(contact.traits()["usage_percent"], 20);
}

#[test]
fn a_user_keeps_fifty_traits_whatever_their_order() {
    let settings = Settings::example().unwrap();
    let tell = |names: &mut dyn Iterator<Item = u32>| {
        let mut user = User::new("u1");
        for n in names {
            let traits = json!({ format!("t{n:03}"): n, "email": "jo@acme.example", "name": "Jo" });
            let fields = json!({ "type": "identify", "userId": "u1", "traits": traits });
            user.hear(&event(i64::from(n), fields), &settings);
        }
        user
    };
    let forward = tell(&mut (0..60));
    assert_eq!(forward.traits.len(), MAX_TRAITS);
    let backward = tell(&mut (0..60).rev());
    assert_eq!(forward, backward);
    assert_eq!(forward.email.as_deref(), Some("jo@acme.example"));
}

#[test]
fn hosts_are_read_from_web_addresses() {
    for (address, expected) in [
        ("https://www.acme.example/x?y", Some("acme.example")),
        ("ACME.example:8080", Some("acme.example")),
        ("localhost", None),
        ("", None),
    ] {
        assert_eq!(host(address).as_deref(), expected, "{address}");
    }
}

/// Whoever tells of it, in whatever order: the latest counts.
#[test]
fn somebody_was_in_touch_at_the_latest_that_anybody_tells() {
    let settings = Settings::example().unwrap();
    let time = |minute: i64| Timestamp::from_unix(START + 60 * minute).unwrap();
    let tell = |contact: &mut Contact, minute: i64| {
        contact.contacted(time(minute), &settings, time(60));
    };
    let say = |contact: &mut Contact, minute: i64| {
        let mut given = Profile::default();
        let told = json!(time(minute).to_string());
        given.traits.insert(CONTACTED.to_owned(), told);
        contact.merge_profile(given, &settings, time(60));
    };
    for (told, said) in [([3, 7], 5), ([7, 3], 5), ([3, 3], 7)] {
        for early in [false, true] {
            let mut contact = contact();
            if early {
                say(&mut contact, said);
            }
            for minute in told {
                tell(&mut contact, minute);
            }
            if !early {
                say(&mut contact, said);
            }
            assert_eq!(contact.traits()[CONTACTED], json!(time(7).to_string()));
        }
    }
    let (mut other, mut one) = (contact(), contact());
    tell(&mut other, 9);
    tell(&mut one, 4);
    one.adopt(&other, &settings, time(60));
    assert_eq!(one.traits()[CONTACTED], json!(time(9).to_string()));
}
