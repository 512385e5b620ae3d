//! The example invocations fit what the functions read.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::path::Path;

use paygraph_stripe::decode::decode;
use paygraph_stripe::event::StripeEvent;
use paygraph_stripe::ingest::{IngestContent, IngestMessage};
use paygraph_stripe::signature::{SignatureError, verify};
use serde_json::Value;

fn invocation(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/functions");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_example_delivery_is_signed_and_only_too_old() {
    let request = invocation("webhook");
    let body = request["body"].as_str().unwrap();
    let header = request["headers"]["stripe-signature"].as_str().unwrap();
    let then = StripeEvent::parse(body).unwrap().created.unix();
    let at = |now| verify(header, body.as_bytes(), ["whsec_example"], now);
    assert_eq!(at(then), Ok(()));
    assert_eq!(at(then + 86_400), Err(SignatureError::TooOld));
}

#[test]
fn the_example_message_holds_an_event_that_is_read() {
    let batch = invocation("worker");
    let body = batch["Records"][0]["body"].as_str().unwrap();
    let message = IngestMessage::parse(body).unwrap();
    let IngestContent::Event(event) = message.content else {
        unreachable!("the example is not a pointer")
    };
    let event = StripeEvent::parse(event.get()).unwrap();
    assert!(decode(&event).unwrap().is_some());
}
