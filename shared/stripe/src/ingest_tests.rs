use proptest::prelude::*;

use super::*;

fn message(content: IngestContent<'_>) -> IngestMessage<'_> {
    IngestMessage {
        tenant: Some(TenantId::parse("default").unwrap()),
        account: None,
        received_at: Timestamp::from_unix(1_795_236_183).unwrap(),
        content,
    }
}

fn event(raw: &str) -> IngestMessage<'_> {
    message(IngestContent::Event(serde_json::from_str(raw).unwrap()))
}

#[track_caller]
fn event_of(body: &str) -> &str {
    match IngestMessage::parse(body).unwrap().content {
        IngestContent::Event(raw) => raw.get(),
        IngestContent::Pointer(pointer) => panic!("a pointer: {pointer:?}"),
    }
}

#[test]
fn p3_the_event_travels_as_it_was_sent() {
    let raw =
        "{ \"id\" : \"evt_1\",\n\t\"n\":1.50, \"e\":\"\\u00e9\", \"z\":\"é😀\", \"id2\":1e3 }";
    let body = event(raw).to_body().unwrap();
    assert_eq!(
        body,
        format!(
            "{{\"version\":1,\"tenant\":\"default\",\"account\":null,\"received_at\":1795236183,\"event\":{raw}}}"
        )
    );
    assert_eq!(event_of(&body), raw);
}

#[test]
fn characters_that_the_queue_refuses_become_escapes() {
    let raw = "{\"name\":\"a\u{fffe}b\u{ffff}c\u{fffd}\"}";
    let body = event(raw).to_body().unwrap();
    assert_eq!(event_of(&body), "{\"name\":\"a\\ufffeb\\uffffc\u{fffd}\"}");
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(event_of(&body)), value(raw));
}

#[test]
fn p7_a_pointer_says_where_the_event_is() {
    let pointer = EventPointer {
        id: Cause::parse("evt_1").unwrap(),
        event_type: "invoice.paid".to_owned(),
        created: Timestamp::from_unix(1_795_236_180).unwrap(),
    };
    let mut sent = message(IngestContent::Pointer(pointer.clone()));
    sent.tenant = None;
    sent.account = Some(StripeId::parse("acct_1").unwrap());
    let body = sent.to_body().unwrap();
    assert_eq!(
        body,
        r#"{"version":1,"tenant":null,"account":"acct_1","received_at":1795236183,"pointer":{"id":"evt_1","type":"invoice.paid","created":1795236180}}"#
    );
    let read = IngestMessage::parse(&body).unwrap();
    assert!(read.tenant.is_none());
    assert_eq!(read.account.unwrap().as_str(), "acct_1");
    assert!(matches!(read.content, IngestContent::Pointer(p) if p == pointer));
}

#[test]
fn messages_that_are_not_ours_are_refused_with_the_reason() {
    let good = r#"{"version":1,"tenant":"a","account":null,"received_at":1,"event":{}}"#;
    assert!(IngestMessage::parse(good).is_ok());
    for (body, reason) in [
        ("hello".to_owned(), "the ingest message is not readable"),
        ("{}".to_owned(), "the ingest message is not readable"),
        (
            good.replace("\"version\":1", "\"version\":2"),
            "the ingest message has version 2, known is 1",
        ),
        (
            good.replace("\"a\"", "\"a#b\""),
            "the ingest message's `tenant` is not valid",
        ),
        (
            good.replace("null", "\"\""),
            "the ingest message's `account` is not valid",
        ),
        (
            good.replace("\"event\":{}", "\"x\":1"),
            "the ingest message must have either `event` or `pointer`",
        ),
        (
            good.replace(
                "\"event\":{}",
                "\"event\":{},\"pointer\":{\"id\":\"evt_1\",\"type\":\"a\",\"created\":1}",
            ),
            "the ingest message must have either `event` or `pointer`",
        ),
        (
            good.replace(
                "\"event\":{}",
                "\"pointer\":{\"id\":\"#\",\"type\":\"a\",\"created\":1}",
            ),
            "the ingest message's `pointer.id` is not valid",
        ),
        (
            good.replace(":1,\"event", ":9223372036854775807,\"event"),
            "a time of the ingest message is not valid",
        ),
    ] {
        assert_eq!(
            IngestMessage::parse(&body).unwrap_err().to_string(),
            reason,
            "{body}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_goes_through_the_queue(text in ".*") {
        let raw = serde_json::to_string(&serde_json::json!({ "text": text, "t\u{ffff}": [text] })).unwrap();
        let body = event(&raw).to_body().unwrap();
        let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        prop_assert!(body.chars().all(allowed));
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        prop_assert_eq!(value(event_of(&body)), value(&raw));
    }

    #[test]
    fn any_body_is_answered(body in ".*") {
        let _ = IngestMessage::parse(&body);
    }
}
