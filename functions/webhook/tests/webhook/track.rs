//! Product events: who may send them, and what becomes of them.

use crate::support::{NOW, QueueMood, World};
use paygraph_testkit::signer::{GatewayRequest, sign_as_segment};
use serde_json::{Value, json};

const SECRET: &str = "segment_acme";
const PATH: &str = "/api/track/acme";

fn world() -> World {
    let world = World::new();
    world.with(|outside| {
        for (tenant, secrets) in [
            ("acme", json!([SECRET])),
            ("default", json!(["of_default"])),
        ] {
            let secret = json!({ "secrets": secrets }).to_string();
            outside
                .secrets
                .insert(format!("webhook/product/{tenant}"), secret);
        }
    });
    world
}

fn identify() -> Value {
    json!({ "type": "identify", "userId": "u1", "messageId": "m1", "traits": { "nps": 9 } })
}

fn request(body: &str, secret: &str) -> GatewayRequest {
    let signature = sign_as_segment(body.as_bytes(), secret);
    GatewayRequest::new(body)
        .path(PATH)
        .header("X-Signature", &signature)
}

fn mismatch() -> (u16, String, String) {
    let message = "the signature does not match";
    (400, "signature_invalid".to_owned(), message.to_owned())
}

#[test]
fn events_are_handed_on_as_they_came_with_their_tenant() {
    let world = world();
    let page = json!({ "type": "page", "userId": "u1" });
    let both = json!({ "batch": [identify(), page] });
    for body in [identify(), both, json!([identify()])] {
        let message = world.taken(&request(&body.to_string(), SECRET));
        let expected = json!({ "product": 1, "tenant": "acme", "events": [identify()],
            "received_at": "2026-11-21T04:43:03Z" });
        assert_eq!(message, expected);
    }
    let body = identify().to_string();
    let platform = request(&body, "of_default").path("/api/track");
    assert_eq!(world.taken(&platform)["tenant"], "default");
    assert_eq!(
        world.taken(&request(&body, SECRET).base64())["tenant"],
        "acme"
    );
    assert!(
        world.greenlight().is_empty(),
        "these lines are about Stripe"
    );
}

/// Segment's own example of an HMAC-SHA1 would do as well: this one is of RFC 2202, test case 2.
#[test]
fn the_signature_is_an_hmac_sha1() {
    let signature = sign_as_segment(b"what do ya want for nothing?", "Jefe");
    assert_eq!(signature, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

/// The example invocation is one that the webhook takes.
#[test]
fn the_example_of_a_product_event_is_taken() {
    let world = world();
    let secret = json!({ "secrets": ["segment_example"] }).to_string();
    world.with(|outside| {
        outside
            .secrets
            .insert("webhook/product/default".to_owned(), secret)
    });
    let text = include_str!("../../../../events/functions/webhook_track.json");
    let example: Value = serde_json::from_str(text).unwrap();
    let body = example["body"].as_str().unwrap();
    let header = example["headers"]["x-signature"].as_str().unwrap();
    let request = GatewayRequest::new(body).path("/api/track");
    let message = world.taken(&request.header("x-signature", header));
    assert_eq!(message["events"][0]["traits"]["email"], "jo@acme.example");
}

/// P1: without the right signature nothing is taken, and nobody learns which tenants there are.
#[test]
fn p1_only_what_is_signed_is_taken() {
    let world = world();
    let body = identify().to_string();
    assert_eq!(world.refused(&request(&body, "other")), mismatch());
    assert_eq!(world.refused(&request(&body, "")), mismatch());
    assert_eq!(
        world.refused(&request(&body, SECRET).path("/api/track")),
        mismatch()
    );
    assert_eq!(
        world.refused(&request(&body, SECRET).path("/api/track/nobody")),
        mismatch()
    );
    let changed = GatewayRequest::new(body.replace('9', "8")).path(PATH);
    let signed = sign_as_segment(body.as_bytes(), SECRET);
    assert_eq!(
        world.refused(&changed.header("x-signature", &signed)),
        mismatch()
    );
    for (header, word) in [
        (None, "missing"),
        (Some("zz"), "malformed"),
        (Some(""), "malformed"),
    ] {
        let mut request = GatewayRequest::new(body.as_str()).path(PATH);
        if let Some(header) = header {
            request = request.header("x-signature", header);
        }
        let (status, code, message) = world.refused(&request);
        assert_eq!((status, code.as_str()), (400, "signature_invalid"));
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(world.counted("signature_invalid"), 8);
}

/// Of a batch of Segment's own only the first event is signed: the others could be anybody's.
#[test]
fn a_signature_of_the_first_event_alone_is_none_of_the_batch() {
    let world = world();
    let batch = json!([identify(), identify()]).to_string();
    let signed = sign_as_segment(identify().to_string().as_bytes(), SECRET);
    let request = GatewayRequest::new(batch)
        .path(PATH)
        .header("x-signature", &signed);
    assert_eq!(world.refused(&request), mismatch());
}

/// N15: both secrets count while both are listed, and a new one is known without a restart.
#[test]
fn n15_a_secret_of_product_events_is_rotated() {
    let world = world();
    let body = identify().to_string();
    world.taken(&request(&body, SECRET));
    let both = json!({ "secrets": ["next", SECRET] }).to_string();
    world.with(|outside| {
        outside
            .secrets
            .insert("webhook/product/acme".to_owned(), both)
    });
    world.taken(&request(&body, "next"));
    world.taken(&request(&body, SECRET));
}

/// P8: whatever the bytes, there is an answer.
#[test]
fn p8_what_is_no_payload_of_segments_is_refused() {
    let world = world();
    let many = json!(vec![identify(); 501]).to_string();
    for body in [
        "",
        "{",
        "7",
        "{}",
        r#"{"type":1}"#,
        r#"[{"type":"track"},7]"#,
        &many,
    ] {
        let (status, code, _) = world.refused(&request(body, SECRET));
        assert_eq!((status, code.as_str()), (422, "body_invalid"), "{body}");
    }
    let (status, ..) = world.refused(&request("{}", SECRET).method("GET"));
    assert_eq!(status, 405);
    let (status, ..) = world.refused(&request("{}", SECRET).path("/api/track/acme/more"));
    assert_eq!(status, 404);
}

#[test]
fn what_says_nothing_of_a_customer_is_taken_and_left_out() {
    let world = world();
    for event in [
        json!({ "type": "page", "userId": "u1" }),
        json!({ "type": "something new" }),
        json!({ "type": "track", "anonymousId": "a", "event": "x" }),
    ] {
        let response = world.answer(&request(&event.to_string(), SECRET));
        assert_eq!(response.status_code, 200);
    }
    assert!(world.with(|outside| outside.messages.is_empty()));
    let ignored = world
        .log()
        .into_iter()
        .filter(|line| line["fields"]["ignored"] == 1);
    assert_eq!(ignored.count(), 3);
}

/// P9: nobody hears 200 before the queue has it.
#[test]
fn p9_product_events_wait_for_the_queue() {
    let world = world();
    let body = identify().to_string();
    world.with(|outside| outside.queue = QueueMood::Down);
    assert_eq!(world.refused(&request(&body, SECRET)).0, 503);
    world.with(|outside| outside.queue = QueueMood::TakesAtMost(10));
    assert_eq!(world.refused(&request(&body, SECRET)).0, 413);
    world.with(|outside| outside.queue = QueueMood::Takes);
    let long = json!({ "type": "identify", "userId": "u1", "extra": "x".repeat(1_048_576) });
    assert_eq!(world.refused(&request(&long.to_string(), SECRET)).0, 413);
    world.with(|outside| outside.secrets_down = true);
    world.with(|outside| outside.now = NOW + 100_000);
    assert_eq!(world.refused(&request(&body, SECRET)).0, 503);
}
