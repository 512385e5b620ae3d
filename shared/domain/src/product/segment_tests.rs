//! Payloads made up after Segment's public specification.

use serde_json::json;

use super::*;

fn came() -> Moment {
    Moment::parse("2026-09-21T12:00:00Z").unwrap()
}

/// With everything that Segment adds to an event.
fn full(event: Value) -> Value {
    let mut full = json!({
        "anonymousId": "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
        "channel": "browser",
        "context": { "ip": "203.0.113.9", "library": { "name": "analytics.js", "version": "2.1" } },
        "integrations": { "All": true },
        "messageId": "ajs-022bb90c-bbac-11e4-8dfc-aa07a5b093db",
        "originalTimestamp": "2026-09-21T14:13:19.100+02:00",
        "receivedAt": "2026-09-21T11:13:20.387Z",
        "sentAt": "2026-09-21T11:13:20.100Z",
        "timestamp": "2026-09-21T11:13:19.387Z",
        "userId": "u1",
        "version": 2,
    });
    let fields = full.as_object_mut().unwrap();
    fields.extend(event.as_object().unwrap().clone());
    full
}

fn what(event: Value) -> What {
    read(&full(event), came()).unwrap().what
}

fn traits_of(value: Value) -> Traits {
    serde_json::from_value(value).unwrap()
}

#[test]
fn an_identify_is_read_with_its_reserved_traits() {
    let event = full(json!({ "type": "identify", "traits": {
        "firstName": "Jo", "lastName": "Doe", "email": "jo@acme.example", "nps": 9,
        "company": { "name": "Acme", "id": "42" }, "first seen.via": "ads", "logins": [1, 2],
        "address": { "city": "Oslo" }, "churned": null,
    }}));
    let read = read(&event, came()).unwrap();
    assert_eq!(read.id, "ajs-022bb90c-bbac-11e4-8dfc-aa07a5b093db");
    assert_eq!(
        (read.user.as_deref(), read.workspace.as_deref()),
        (Some("u1"), None)
    );
    assert_eq!(read.at, Moment::parse("2026-09-21T11:13:19.387Z").unwrap());
    let expected = traits_of(json!({
        "name": "Jo Doe", "firstName": "Jo", "lastName": "Doe", "email": "jo@acme.example",
        "nps": 9, "company": "Acme", "first_seen_via": "ads", "churned": null,
    }));
    assert_eq!(read.what, What::Identify(expected));
}

#[test]
fn a_group_names_its_workspace() {
    let event = full(json!({
        "type": "group", "groupId": "ws_1", "traits": { "name": "Acme", "employees": 329 },
    }));
    let read = read(&event, came()).unwrap();
    assert_eq!(read.workspace.as_deref(), Some("ws_1"));
    let expected = traits_of(json!({ "name": "Acme", "employees": 329 }));
    assert_eq!(read.what, What::Group(expected));
}

#[test]
fn a_track_names_its_workspace_in_its_context_or_by_a_property() {
    let plain = json!({ "type": "track", "event": "Report Opened",
        "properties": { "workspace_id": "ws_2", "pages": 3 } });
    let context = json!({ "type": "track", "event": "x", "context": { "groupId": 12 } });
    let settings = crate::product::settings::ProductSettings::default();
    let workspace = |event| read(&full(event), came()).unwrap().workspace(&settings);
    assert_eq!(workspace(plain.clone()).as_deref(), Some("ws_2"));
    assert_eq!(workspace(context).as_deref(), Some("12"));
    let properties = traits_of(json!({ "workspace_id": "ws_2", "pages": 3 }));
    let event = "Report Opened".to_owned();
    assert_eq!(what(plain), What::Track { event, properties });
}

#[test]
fn the_least_that_an_event_must_have_is_enough() {
    for least in [
        json!({ "type": "identify", "userId": 7 }),
        json!({ "type": "group", "groupId": "ws_1" }),
        json!({ "type": "track", "event": "x", "userId": "u" }),
    ] {
        let event = read(&least, came()).unwrap();
        assert_eq!(event.at, came(), "{least}");
        let again = read(&least, came()).unwrap();
        assert_eq!(event.id, again.id);
        assert_eq!(event.id.len(), 16);
    }
}

#[test]
fn what_says_nothing_of_a_customer_is_left_out() {
    for event in [
        json!({ "type": "page", "userId": "u1" }),
        json!({ "type": "screen", "userId": "u1" }),
        json!({ "type": "alias", "userId": "u1", "previousId": "a" }),
        json!({ "type": "dance", "userId": "u1" }),
        json!({ "type": "identify", "anonymousId": "a" }),
        json!({ "type": "group", "userId": "u1" }),
        json!({ "type": "track", "userId": "u1" }),
        json!({ "type": "track", "event": "x", "anonymousId": "a" }),
        json!({ "type": "identify", "userId": "a#b" }),
        json!({ "userId": "u1" }),
    ] {
        assert_eq!(read(&event, came()), None, "{event}");
    }
}

#[test]
fn nothing_happens_after_it_came() {
    let event = |fields: Value| read(&full(fields), came()).unwrap().at;
    let late = json!({ "type": "identify", "timestamp": "2031-01-01T00:00:00Z" });
    assert_eq!(
        event(late),
        Moment::parse("2026-09-21T11:13:20.387Z").unwrap()
    );
    let both = json!({ "type": "identify", "timestamp": "2031-01-01T00:00:00Z",
        "receivedAt": "2031-01-01T00:00:00Z" });
    assert_eq!(event(both), came());
    let unreadable = json!({ "type": "identify", "timestamp": "noon", "sentAt": null });
    assert_eq!(
        event(unreadable),
        Moment::parse("2026-09-21T11:13:20.387Z").unwrap()
    );
}

#[test]
fn one_event_a_batch_and_a_list_are_taken() {
    let one = json!({ "type": "track" });
    for body in [
        one.clone(),
        json!([one.clone()]),
        json!({ "batch": [one.clone()], "sentAt": "x" }),
    ] {
        assert_eq!(events(body.to_string().as_bytes()), Ok(vec![one.clone()]));
    }
    for (body, problem) in [
        ("{", NotSegment::Json),
        ("", NotSegment::Json),
        ("7", NotSegment::Shape),
        ("{}", NotSegment::Shape),
        (r#"{"type":7}"#, NotSegment::Shape),
        (r#"{"batch":{}}"#, NotSegment::Shape),
        (r#"[{"type":"track"},{}]"#, NotSegment::Shape),
    ] {
        assert_eq!(events(body.as_bytes()), Err(problem), "{body}");
    }
    let many = json!(vec![one; MAX_EVENTS + 1]).to_string();
    assert_eq!(events(many.as_bytes()), Err(NotSegment::TooMany));
}

#[test]
fn long_texts_and_too_many_traits_are_left_out() {
    let long = "x".repeat(MAX_TEXT + 1);
    let many: Map<_, _> = (0..300).map(|n| (format!("t{n:03}"), json!(n))).collect();
    let mut given = many;
    given.insert("a".to_owned(), json!(long));
    given.insert("b".repeat(MAX_NAME + 1), json!(1));
    let What::Identify(read) = what(json!({ "type": "identify", "traits": given })) else {
        unreachable!()
    };
    assert_eq!(read.len(), MAX_TRAITS);
    assert_eq!(read.first_key_value().unwrap().0, "t000");
}
