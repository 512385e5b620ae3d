//! Golden files of what the webhook answers and puts into the ingest queue; and the messages of older
//! releases, which may still wait there when a new one is deployed.

use std::fs;
use std::path::Path;

use paygraph_domain::product::message::ProductMessage;
use paygraph_stripe::ingest::{IngestContent, IngestMessage};
use paygraph_testkit::golden::GoldenFiles;
use paygraph_testkit::signer::{GatewayRequest, sign_as_segment};
use serde_json::{Value, json};

use crate::support::{ACME, NOW, PLATFORM, QueueMood, World, event, platform_event};

fn connected(account: &str) -> GatewayRequest {
    GatewayRequest::new(event(Some(account))).signed(PLATFORM, NOW)
}

fn product(secret: &str) -> GatewayRequest {
    let identify = json!({ "type": "identify", "userId": "u1", "messageId": "m1",
        "timestamp": "2026-11-21T04:43:00.123Z", "traits": { "nps": 9 } });
    let track = json!({ "type": "track", "userId": "u1", "messageId": "m2", "event": "Opened",
        "properties": { "workspace_id": "ws_1" } });
    let body = json!({ "batch": [identify, track] }).to_string();
    let signature = sign_as_segment(body.as_bytes(), secret);
    GatewayRequest::new(body)
        .path("/api/track/acme")
        .header("X-Signature", &signature)
}

fn world() -> World {
    let world = World::new();
    let secret = json!({ "secrets": ["segment"] }).to_string();
    world.with(|outside| {
        let name = "webhook/product/acme".to_owned();
        outside.secrets.insert(name, secret);
    });
    world
}

#[test]
fn messages_and_answers_are_those_of_the_golden_files() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "messages");
    let mut answers = Vec::new();
    let mut ask = |name: &str, mood: QueueMood, request: &GatewayRequest| {
        let world = world();
        world.with(|outside| outside.queue = mood);
        let response = serde_json::to_string(&world.answer(request)).unwrap();
        answers.push(format!(
            r#"{{"request":{},"response":{response}}}"#,
            json!(name)
        ));
        world.with(|outside| outside.messages.pop())
    };
    let to_tenant = GatewayRequest::new(event(None))
        .to_tenant("acme")
        .signed(ACME, NOW);
    let takes = QueueMood::Takes;
    for (name, mood, request) in [
        ("event_of_platform", takes, platform_event()),
        ("event_of_account", takes, connected("acct_acme")),
        ("event_of_unknown_account", takes, connected("acct_9")),
        ("event_to_tenant", takes, to_tenant),
        (
            "pointer",
            QueueMood::TakesAtMost(220),
            connected("acct_acme"),
        ),
        ("product_events", takes, product("segment")),
    ] {
        let message = ask(name, mood, &request).unwrap();
        golden.json(name, &message);
    }
    for (name, mood, request) in [
        ("no signature", takes, GatewayRequest::new(event(None))),
        (
            "another secret",
            takes,
            GatewayRequest::new(event(None)).signed(ACME, NOW),
        ),
        (
            "an old signature",
            takes,
            GatewayRequest::new(event(None)).signed(PLATFORM, NOW - 900),
        ),
        (
            "no event",
            takes,
            GatewayRequest::new("{}").signed(PLATFORM, NOW),
        ),
        ("no path", takes, platform_event().path("/api/nothing")),
        ("product events of a stranger", takes, product("guessed")),
        ("the queue is down", QueueMood::Down, platform_event()),
    ] {
        assert_eq!(ask(name, mood, &request), None, "{name}");
    }
    golden.json_list("_answers", &answers);
    golden.compare();
}

/// What the queue still holds when a new release is deployed is read, and says the same.
#[test]
fn the_messages_of_a_release_are_read() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut read = 0;
    for release in fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let name = release.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("release-") {
            continue;
        }
        for file in fs::read_dir(release)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let before: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            assert_eq!(again(&before.to_string()), before, "{}", file.display());
            read += 1;
        }
    }
    assert!(read >= 6, "{read}");
}

fn again(body: &str) -> Value {
    if let Some(product) = ProductMessage::read(body).unwrap() {
        assert_eq!(product.say().unwrap().len(), product.events.len());
        return serde_json::to_value(product).unwrap();
    }
    let message = IngestMessage::parse(body).unwrap();
    if let IngestContent::Pointer(pointer) = &message.content {
        assert_eq!(pointer.event_type, "invoice.paid");
    }
    serde_json::from_str(&message.to_body().unwrap()).unwrap()
}
