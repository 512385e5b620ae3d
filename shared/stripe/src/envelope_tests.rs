use proptest::prelude::*;

use super::*;

const EVENT: &str = r#"{"id":"evt_1","object":"event","type":"invoice.paid","created":1795236183,
    "livemode":true,"account":"acct_1","data":{"object":{"id":"in_1"}}}"#;

#[track_caller]
fn refused(body: &str) -> String {
    Envelope::parse(body.as_bytes()).unwrap_err().to_string()
}

#[test]
fn the_envelope_and_nothing_else_is_read() {
    let envelope = Envelope::parse(EVENT.as_bytes()).unwrap();
    assert_eq!(envelope.id.as_str(), "evt_1");
    assert_eq!(envelope.event_type, "invoice.paid");
    assert_eq!(envelope.created.unix(), 1_795_236_183);
    assert_eq!(envelope.account.unwrap().as_str(), "acct_1");
    assert!(envelope.livemode);
    assert_eq!(envelope.raw.get(), EVENT);
}

#[test]
fn what_stripe_may_leave_out_may_be_absent() {
    let body = br#"{"id":"evt_1","type":"a.b","created":1,"account":null,"data":{"object":{}}}"#;
    let envelope = Envelope::parse(body).unwrap();
    assert!(envelope.account.is_none());
    assert!(!envelope.livemode);
}

#[test]
fn p6_what_is_not_json_is_refused() {
    for body in [
        "",
        " ",
        "id=evt_1",
        "{",
        "{'id':1}",
        "\u{feff}{}",
        "{\"a\":\"\n\"}",
        "{} {}",
    ] {
        assert!(
            matches!(
                Envelope::parse(body.as_bytes()),
                Err(EnvelopeError::NotJson { .. })
            ),
            "{body}"
        );
    }
    assert_eq!(
        Envelope::parse(b"{\"id\":\"\xff\"}").unwrap_err(),
        EnvelopeError::NotUtf8
    );
}

#[test]
fn p6_an_event_without_id_or_type_is_refused() {
    assert_eq!(refused("{}"), "the field `id` is missing");
    assert_eq!(
        refused(&EVENT.replace("\"evt_1\"", "null")),
        "the field `id` is missing"
    );
    assert_eq!(
        refused(&EVENT.replace("\"type\"", "\"kind\"")),
        "the field `type` is missing"
    );
    assert_eq!(
        refused(&EVENT.replace("\"created\"", "\"at\"")),
        "the field `created` is missing"
    );
    assert_eq!(
        refused(&EVENT.replace("\"data\"", "\"payload\"")),
        "the field `data` is missing"
    );
}

#[test]
fn p8_wrong_types_are_named_without_their_value() {
    for (old, new, message) in [
        ("\"evt_1\"", "17", "the field `id` has the wrong type"),
        ("\"evt_1\"", "{}", "the field `id` has the wrong type"),
        ("\"evt_1\"", "\"\"", "the field `id` is not valid"),
        ("\"evt_1\"", "\"evt#1\"", "the field `id` is not valid"),
        ("\"evt_1\"", "\"evt\\n1\"", "the field `id` is not valid"),
        (
            "\"evt_1\"",
            "\"\\ud800\"",
            "the field `id` has the wrong type",
        ),
        ("\"acct_1\"", "[]", "the field `account` has the wrong type"),
        ("\"acct_1\"", "\"a#b\"", "the field `account` is not valid"),
        (
            "\"invoice.paid\"",
            "\"a\\nb\"",
            "the field `type` is not valid",
        ),
        ("\"invoice.paid\"", "\"\"", "the field `type` is not valid"),
        (
            "1795236183",
            "\"1795236183\"",
            "the field `created` has the wrong type",
        ),
        (
            "1795236183",
            "1.5",
            "the field `created` has the wrong type",
        ),
        (
            "1795236183",
            "1e400",
            "the field `created` has the wrong type",
        ),
        (
            "1795236183",
            "9223372036854775807",
            "the field `created` is not valid",
        ),
        ("true", "\"yes\"", "the field `livemode` has the wrong type"),
        (
            "{\"object\":{\"id\":\"in_1\"}}",
            "[]",
            "the field `data` has the wrong type",
        ),
    ] {
        assert_eq!(refused(&EVENT.replace(old, new)), message, "{new}");
    }
    let long = format!("\"evt_{}\"", "1".repeat(300));
    assert_eq!(
        refused(&EVENT.replace("\"evt_1\"", &long)),
        "the field `id` is not valid"
    );
    for body in ["[]", "null", "17", "\"text\"", "[1,2,3,4,5,6]"] {
        assert_eq!(
            Envelope::parse(body.as_bytes()).unwrap_err(),
            EnvelopeError::NotAnEvent
        );
    }
}

#[test]
fn p8_duplicate_keys_are_refused() {
    for twice in [
        "\"id\":\"evt_2\",",
        "\"type\":\"a\",",
        "\"account\":null,",
        "\"data\":{},",
    ] {
        let body = EVENT.replace("\"object\":\"event\",", twice);
        assert_eq!(
            Envelope::parse(body.as_bytes()).unwrap_err(),
            EnvelopeError::NotAnEvent
        );
    }
}

#[test]
fn p8_deep_nesting_is_refused_and_brackets_in_texts_are_not_counted() {
    let nested = |depth: usize| {
        let object = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        EVENT.replace("\"in_1\"", &object)
    };
    assert!(Envelope::parse(nested(MAX_DEPTH - 3).as_bytes()).is_ok());
    for depth in [MAX_DEPTH - 2, 1_000_000] {
        assert_eq!(
            Envelope::parse(nested(depth).as_bytes()).unwrap_err(),
            EnvelopeError::TooDeep
        );
    }
    let text = EVENT.replace("in_1", &format!("\\\"{}\\\\", "[".repeat(1000)));
    assert!(Envelope::parse(text.as_bytes()).is_ok());
}

#[test]
fn p8_a_giant_body_is_read() {
    let body = EVENT.replace("in_1", &"x".repeat(8 << 20));
    assert_eq!(
        Envelope::parse(body.as_bytes()).unwrap().id.as_str(),
        "evt_1"
    );
}

proptest! {
    #[test]
    fn p8_any_bytes_are_answered(body: Vec<u8>) {
        let _ = Envelope::parse(&body);
    }

    #[test]
    fn p8_any_damage_to_an_event_is_answered(at in 0..EVENT.len(), byte: u8) {
        let mut body = EVENT.as_bytes().to_vec();
        body[at] = byte;
        let _ = Envelope::parse(&body);
        let _ = Envelope::parse(&body[..at]);
    }
}

/// P5: events about Stripe itself have times in RFC 3339, and no object.
#[test]
fn p5_an_event_about_stripe_itself_is_taken() {
    let text = include_str!(
        "../../../events/passed_on/v2.core.health.event_generation_failure.resolved.json"
    );
    let envelope = Envelope::parse(text.as_bytes()).unwrap();
    assert_eq!(envelope.created.to_string(), "2026-11-21T02:10:44Z");
    let event = crate::event::StripeEvent::parse(text).unwrap();
    assert_eq!((event.created, &event.id), (envelope.created, &envelope.id));
    assert_eq!(event.object.get(), "null");
    assert!(crate::decode::decode(&event).unwrap().is_none());
    for (from, to) in [
        (r#""2026-11-21T02:10:44.000Z""#, "1"),
        ("v2.core.health", "core.health"),
    ] {
        let wrong = text.replace(from, to);
        assert!(Envelope::parse(wrong.as_bytes()).is_err(), "{to}");
    }
}

/// A thin event of a v1 object, as an event destination sends it.
fn thin(fields: &serde_json::Value) -> String {
    let mut event = serde_json::json!({
        "id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered",
        "livemode": false, "created": "2026-09-02T10:00:00.250Z", "changes": null, "context": null,
        "reason": null, "snapshot_event": "evt_2",
        "related_object": { "id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1" },
    });
    let fields = fields.as_object().unwrap().clone();
    event.as_object_mut().unwrap().extend(fields);
    event.to_string()
}

#[test]
fn r13_a_thin_event_is_taken_and_names_its_object() {
    for kind in [
        "v1.customer.subscription.updated",
        "v2.core.account.updated",
    ] {
        let text = thin(&serde_json::json!({ "type": kind }));
        let envelope = Envelope::parse(text.as_bytes()).unwrap();
        assert_eq!(envelope.created.to_string(), "2026-09-02T10:00:00Z");
        assert_eq!(
            (envelope.event_type.as_str(), envelope.account),
            (kind, None)
        );
        let event = crate::event::StripeEvent::parse(&text).unwrap();
        assert!(event.is_thin);
        assert_eq!(event.created, envelope.created);
        assert_eq!(event.snapshot_event.as_deref(), Some("evt_2"));
        assert!(crate::decode::decode(&event).unwrap().is_none());
        let about = crate::decode::about(&event);
        assert_eq!(about.object.as_deref(), Some("mtr_1"));
        assert_eq!(about.object_type.as_deref(), Some("billing.meter"));
    }
    let related = serde_json::json!({ "related_object": { "id": "cus_1", "type": "customer" } });
    let text = thin(&related);
    let event = crate::event::StripeEvent::parse(&text).unwrap();
    assert_eq!(
        crate::decode::about(&event).customer.unwrap().as_str(),
        "cus_1"
    );
}

/// Whatever else is in it: a thin event that the webhook takes is never unreadable later.
#[test]
fn r13_a_thin_event_is_read_whatever_it_says_of_its_object() {
    for name in [
        "related_object",
        "snapshot_event",
        "changes",
        "reason",
        "data",
    ] {
        for value in ["null", "7", "\"x\"", "{}", "[]", r#"{"id":7,"type":null}"#] {
            let value: serde_json::Value = serde_json::from_str(value).unwrap();
            let text = thin(&serde_json::json!({ name: value }));
            if Envelope::parse(text.as_bytes()).is_ok() {
                let event = crate::event::StripeEvent::parse(&text);
                let event = event.unwrap_or_else(|error| panic!("{text}: {error}"));
                assert!(crate::decode::decode(&event).unwrap().is_none());
                let _ = crate::decode::about(&event);
            }
        }
    }
}

#[test]
fn a2_the_account_of_a_thin_event_is_in_its_context() {
    let account = |context: serde_json::Value, kind: &str| {
        let text = thin(&serde_json::json!({ "context": context, "type": kind }));
        let envelope = Envelope::parse(text.as_bytes()).unwrap();
        envelope.account.map(|account| account.as_str().to_owned())
    };
    for kind in ["v1.invoice.paid", "v2.core.account.updated"] {
        for (context, expected) in [
            (serde_json::json!("acct_1"), Some("acct_1")),
            (serde_json::json!("org_1/acct_1"), Some("acct_1")),
            (serde_json::json!("acct_platform/acct_1"), Some("acct_1")),
            (serde_json::json!("org_1"), Some("org_1")),
            (serde_json::json!(""), None),
            (serde_json::json!(null), None),
        ] {
            assert_eq!(account(context, kind).as_deref(), expected);
        }
    }
    let wrong = thin(&serde_json::json!({ "context": "acct_1#x" }));
    let error = Envelope::parse(wrong.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the field `context` is not valid");
    // A snapshot event names its account in `account`, whatever its context says.
    let snapshot = r#"{"id":"evt_1","type":"a.b","created":1,"context":"acct_2","data":{}}"#;
    assert_eq!(Envelope::parse(snapshot.as_bytes()).unwrap().account, None);
}
