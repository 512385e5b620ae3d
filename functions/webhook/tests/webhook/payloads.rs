//! What comes in, and what is made of it: rows P1 to P9 of the failure catalogue.

use crate::support::{NOW, PLATFORM, QueueMood, World, event, platform_event};
use paygraph_stripe::ingest::{IngestContent, IngestMessage, QUEUE_LIMIT_BYTES};
use paygraph_testkit::signer::{GatewayRequest, sign, v1};
use proptest::prelude::*;
use serde_json::{Value, json};

#[track_caller]
fn check_refused(request: &GatewayRequest, code: &str, message: &str) {
    let world = World::new();
    assert_eq!(
        world.refused(request),
        (400, code.to_owned(), message.to_owned())
    );
    assert_eq!(world.counted(code), 1);
    let line = "[🔐❌💳🚨] webhook_invalid: stripe — Webhook signature INVALID - rejected";
    let lines = if code == "signature_invalid" {
        vec![line]
    } else {
        vec![]
    };
    assert_eq!(world.greenlight(), lines);
}

#[test]
fn a_signed_event_is_queued_and_told() {
    let world = World::new();
    let message = world.taken(&platform_event());
    assert_eq!(
        message,
        json!({
            "version": 1, "tenant": "default", "account": null, "received_at": NOW,
            "event": serde_json::from_str::<Value>(&event(None)).unwrap()
        })
    );
    assert_eq!(
        world.greenlight(),
        [
            "[⚡📥💳👉] webhook_received: invoice.paid — Stripe webhook: evt_1",
            "[🔐✅💳👉] webhook_verified: stripe — Webhook signature valid",
        ]
    );
}

#[test]
fn p1_wrong_secret_is_refused() {
    let request = GatewayRequest::new(event(None)).signed("whsec_other", NOW);
    check_refused(
        &request,
        "signature_invalid",
        "the signature does not match",
    );
}

#[test]
fn p1_missing_empty_malformed_and_repeated_headers_are_refused() {
    let request = GatewayRequest::new(event(None));
    let good = sign(event(None).as_bytes(), PLATFORM, NOW);
    for (request, message) in [
        (request.clone(), "the Stripe-Signature header is missing"),
        (
            request.clone().signature(""),
            "the Stripe-Signature header is empty",
        ),
        (
            request.clone().signature("nonsense"),
            "the Stripe-Signature header is malformed",
        ),
        (
            request.clone().signature("t=1"),
            "the Stripe-Signature header has no v1 signature",
        ),
        (
            request.signature(&format!("{good},{good}")),
            "the Stripe-Signature header is repeated",
        ),
    ] {
        check_refused(&request, "signature_invalid", message);
    }
    let mut twice = platform_event().build();
    twice["headers"]["Stripe-Signature"] = twice["headers"]["stripe-signature"].clone();
    let request: paygraph_webhook::gateway::Request = serde_json::from_value(twice).unwrap();
    assert!(request.signature().is_err());
}

#[test]
fn p1_old_and_future_signatures_are_refused() {
    for (t, message) in [
        (NOW - 301, "the signature is too old"),
        (NOW + 301, "the signature is from the future"),
    ] {
        let request = GatewayRequest::new(event(None)).signed(PLATFORM, t);
        check_refused(&request, "signature_invalid", message);
    }
}

#[test]
fn p2_two_v1_first_wrong() {
    let good = v1(event(None).as_bytes(), PLATFORM, NOW);
    let header = format!("t={NOW},v1={},v1={good}", "0".repeat(64));
    World::new().taken(&GatewayRequest::new(event(None)).signature(&header));
}

#[test]
fn p3_base64_non_ascii_escapes_spaces() {
    let raw = "{ \"id\": \"evt_1\",\r\n\t\"type\" :\"invoice.paid\", \"created\":1795236183, \
               \"data\": {\"object\":{\"name\":\"Zo\\u00eb Ĳ 😀 \\/ \", \"n\": 1.50}} }";
    for request in [GatewayRequest::new(raw), GatewayRequest::new(raw).base64()] {
        let world = World::new();
        let response = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(world.send(&request.signed(PLATFORM, NOW)));
        assert_eq!(response.status_code, 200);
        let body = world.with(|outside| outside.messages.pop()).unwrap();
        match IngestMessage::parse(&body).unwrap().content {
            IngestContent::Event(event) => assert_eq!(event.get(), raw),
            IngestContent::Pointer(pointer) => unreachable!("{pointer:?}"),
        }
    }
}

#[test]
fn p4_an_event_of_any_api_version_is_handed_on_whole() {
    for version in ["2014-01-31", "2025-03-31.basil", "2030-01-01.unheard", ""] {
        let mut body: Value = serde_json::from_str(&event(None)).unwrap();
        body["api_version"] = json!(version);
        body["data"]["object"]["moved_field"] = json!({ "deep": [null, 1] });
        let request = GatewayRequest::new(body.to_string()).signed(PLATFORM, NOW);
        assert_eq!(World::new().taken(&request)["event"], body);
    }
}

#[test]
fn p5_an_unknown_event_type_is_taken() {
    let world = World::new();
    let body = event(None).replace("invoice.paid", "tea_pot.brewed");
    let message = world.taken(&GatewayRequest::new(body).signed(PLATFORM, NOW));
    assert_eq!(message["event"]["type"], "tea_pot.brewed");
    assert_eq!(
        world.greenlight()[0],
        "[⚡📥💳👉] webhook_received: tea_pot.brewed — Stripe webhook: evt_1"
    );
}

#[test]
fn p6_a_signed_body_that_is_no_event_is_refused_and_told_by_its_hash() {
    for (body, message) in [
        (
            "secret-mail@example.com",
            "the body is not JSON (line 1, column 1)",
        ),
        ("", "the body is not JSON (line 1, column 0)"),
        (
            "{\"type\":\"secret-mail@example.com\"}",
            "the field `id` is missing",
        ),
        ("{\"id\":\"evt_1\"}", "the field `type` is missing"),
    ] {
        let world = World::new();
        let request = GatewayRequest::new(body).signed(PLATFORM, NOW);
        let expected = (400, "body_invalid".to_owned(), message.to_owned());
        assert_eq!(world.refused(&request), expected, "{body}");
        assert_eq!(world.counted("body_invalid"), 1);
        assert!(world.greenlight().is_empty());
        let log = world.log();
        let fields = &log.last().unwrap()["fields"];
        assert_eq!(fields["body.bytes"], body.len());
        assert_eq!(fields["body.sha256"].as_str().unwrap().len(), 64);
        assert!(!format!("{log:?}").contains("secret-mail"));
    }
    let binary = GatewayRequest::new(b"\xff\xfe".as_slice()).signed(PLATFORM, NOW);
    check_refused(&binary, "body_invalid", "the body is not UTF-8");
}

fn event_of(bytes: usize) -> GatewayRequest {
    let filler = "x".repeat(bytes - event(None).len());
    let body = event(None).replace("in_1", &format!("in_1{filler}"));
    assert_eq!(body.len(), bytes);
    GatewayRequest::new(body).signed(PLATFORM, NOW)
}

#[test]
fn p7_larger_than_queue_sends_pointer() {
    let world = World::new();
    let envelope = {
        let body = serde_json::to_string(&world.taken(&platform_event())).unwrap();
        body.len() - event(None).len()
    };
    let fits = world.taken(&event_of(QUEUE_LIMIT_BYTES - envelope));
    assert!(fits.get("event").is_some());
    assert_eq!(world.counted("event_too_large"), 0);
    let pointer = world.taken(&event_of(QUEUE_LIMIT_BYTES - envelope + 1));
    assert_eq!(
        pointer,
        json!({
            "version": 1, "tenant": "default", "account": null, "received_at": NOW,
            "pointer": { "id": "evt_1", "type": "invoice.paid", "created": NOW }
        })
    );
    assert_eq!(world.counted("event_too_large"), 1);
}

#[test]
fn p7_a_queue_that_takes_less_than_it_says_gets_a_pointer() {
    let world = World::new();
    world.with(|outside| outside.queue = QueueMood::TakesAtMost(200_000));
    assert!(world.taken(&event_of(300_000)).get("pointer").is_some());
    assert!(world.taken(&event_of(100_000)).get("event").is_some());
}

#[test]
fn p8_odd_json_gets_a_clear_answer() {
    let nested = event(None).replace(
        "\"in_1\"",
        &format!("{}{}", "[".repeat(500_000), "]".repeat(500_000)),
    );
    for (body, message) in [
        (nested, "the body is nested deeper than 100 levels"),
        (
            event(None).replace("\"evt_1\"", "1"),
            "the field `id` has the wrong type",
        ),
        (
            event(None).replace("\"evt_1\"", "\"evt#1\""),
            "the field `id` is not valid",
        ),
        (
            event(None).replace("\"object\":", "\"id\":\"evt_2\",\"object\":"),
            "the body is not a JSON object with each field of an event once",
        ),
        (
            "[]".to_owned(),
            "the body is not a JSON object with each field of an event once",
        ),
    ] {
        let request = GatewayRequest::new(body).signed(PLATFORM, NOW);
        check_refused(&request, "body_invalid", message);
    }
    World::new().taken(&event_of(5 << 20));
}

#[test]
fn p8_a_request_without_a_body_or_with_broken_base64_is_answered() {
    let world = World::new();
    let mut request = platform_event().base64().build();
    request["body"] = json!("*");
    let request: paygraph_webhook::gateway::Request = serde_json::from_value(request).unwrap();
    assert!(request.body().is_none());
    let empty: paygraph_webhook::gateway::Request = serde_json::from_value(json!({})).unwrap();
    assert_eq!(empty.body().unwrap().len(), 0);
    assert_eq!(world.refused(&GatewayRequest::new("").path("/")).0, 404);
}

#[test]
fn p9_queue_refuses_5xx() {
    let world = World::new();
    world.with(|outside| outside.queue = QueueMood::Down);
    let message = "the event was not taken; please send it again".to_owned();
    assert_eq!(
        world.refused(&platform_event()),
        (503, "unavailable".to_owned(), message)
    );
    assert_eq!(world.counted("queue_unavailable"), 1);
    assert!(world.greenlight().is_empty());
    world.with(|outside| outside.queue = QueueMood::Takes);
    world.taken(&platform_event());
}

#[test]
fn p9_a_queue_that_takes_nothing_gives_5xx() {
    let world = World::new();
    world.with(|outside| outside.queue = QueueMood::TakesAtMost(0));
    assert_eq!(world.refused(&platform_event()).0, 503);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn p8_any_header_and_bytes_are_refused(header in ".*", body: Vec<u8>) {
        let request = GatewayRequest::new(body).signature(&header);
        prop_assert_eq!(World::new().refused(&request).0, 400);
    }

    #[test]
    fn p8_any_signed_bytes_are_answered(body: Vec<u8>) {
        let request = GatewayRequest::new(body).signed(PLATFORM, NOW);
        prop_assert_eq!(World::new().refused(&request).0, 400);
    }
}
