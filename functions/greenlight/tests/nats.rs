//! NATS, with a real server: once, whatever comes again and whoever dies in between.

use std::sync::atomic::Ordering;
use std::time::Duration;

use paygraph_engine::target::LEASE;
use paygraph_runtime::config::GreenlightEntity;
use paygraph_testkit::nats::NatsServer;
use serde_json::{Value, json};

use crate::support::{
    PRO, TestEngine, TestTarget, customer, deliver, engine, feed, invoice, subscription, target,
};

const LINE: &str = "[💰✅🎢🌍] invoice_paid: user@example.com — Payment successful: $58 usd";
const SUBJECT: &str = "greenlight.payment.succeeded.macro.billing.cus_abc123";

/// An engine that has seen a payment, and the event that tells of it.
async fn paid() -> (TestEngine, Vec<Value>) {
    let engine = engine();
    let created = subscription("customer.subscription.created", PRO, &json!({}));
    feed(&engine, 0, &[customer(), created]).await;
    let mut bodies = feed(&engine, 9, &[invoice("invoice.paid", "paid", 5_800, 1)]).await;
    bodies.retain(|body| body["detail-type"] == "payment_succeeded");
    assert_eq!(bodies.len(), 1);
    (engine, bodies)
}

fn with_nats(engine: &TestEngine, server: &NatsServer) -> TestTarget {
    target(engine, GreenlightEntity::Email, Some(server.secret()))
}

/// D1: whatever comes again.
#[tokio::test]
async fn d1_an_event_three_times_is_one_line_and_one_message() {
    let (server, (engine, bodies)) = (NatsServer::start(), paid().await);
    let target = with_nats(&engine, &server);
    for _ in 0..3 {
        assert!(deliver(&target, &bodies).await.is_empty());
    }
    assert_eq!(target.log.take(), [LINE]);
    assert_eq!(server.subjects().await, [SUBJECT]);
    let message = server.messages().await.remove(0);
    let id = message
        .headers
        .get("Nats-Msg-Id")
        .unwrap()
        .as_str()
        .to_owned();
    let event = bodies[0]["detail"]["id"].as_str().unwrap();
    assert_eq!(id, format!("default:{event}:invoice_paid"));
    let payload: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(
        (&payload["line"], &payload["trinary"]),
        (&json!(LINE), &json!(1))
    );
}

/// A11: a server may limit for how long a stream drops repeats. The stream gets what is allowed.
#[tokio::test]
async fn a11_the_stream_has_the_window_that_the_server_allows() {
    for (limit, seconds) in [("90m", 5_400), ("90s", 90), ("48h", 86_400)] {
        let (engine, bodies) = paid().await;
        let server = NatsServer::with_duplicate_limit(limit);
        let target = with_nats(&engine, &server);
        assert!(deliver(&target, &bodies).await.is_empty(), "{limit}");
        let window = server.duplicate_window().await;
        assert_eq!(window, Some(Duration::from_secs(seconds)), "{limit}");
    }
}

/// N6: while the server is away, the event goes back to its queue, without a line; then it is told once,
/// over the connection that broke.
#[tokio::test]
async fn n6_what_the_server_misses_is_told_when_it_is_back() {
    let (mut server, (engine, bodies)) = (NatsServer::start(), paid().await);
    let target = with_nats(&engine, &server);
    let other = feed(&engine, 60, &[invoice("invoice.paid", "paid", 7_000, 1)]).await;
    assert!(deliver(&target, &other).await.is_empty());
    let before = server.subjects().await.len();
    target.log.take();
    server.stop();
    assert_eq!(deliver(&target, &bodies).await, ["0"]);
    assert!(target.log.take().is_empty());
    server.restart();
    // Where connecting has just failed nobody tries at once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Whoever had claimed it is given time first.
    assert_eq!(deliver(&target, &bodies).await, ["0"]);
    target.clock.forward(LEASE);
    assert!(deliver(&target, &bodies).await.is_empty());
    assert_eq!(target.log.take(), [LINE]);
    assert_eq!(server.subjects().await.len(), before + 1);
}

/// N19: killed after the message and before the line is noted: the next one publishes again, which the
/// stream drops, and writes the line.
#[tokio::test]
async fn n19_killed_between_message_and_done_is_still_one_message() {
    let (server, (engine, bodies)) = (NatsServer::start(), paid().await);
    let target = with_nats(&engine, &server);
    target.log.full.store(true, Ordering::Relaxed);
    assert_eq!(deliver(&target, &bodies).await, ["0"]);
    assert_eq!(server.subjects().await, [SUBJECT]);
    target.log.full.store(false, Ordering::Relaxed);
    target.clock.forward(LEASE);
    assert!(deliver(&target, &bodies).await.is_empty());
    assert_eq!(target.log.take(), [LINE]);
    assert_eq!(server.subjects().await, [SUBJECT]);
}

/// A secret that says nothing useful is no reason to lose a message, and is told by no word of it.
#[tokio::test]
async fn a_secret_that_cannot_be_read_gives_the_event_back() {
    let (engine, bodies) = paid().await;
    let target = target(
        &engine,
        GreenlightEntity::Email,
        Some(json!({ "link": "x" })),
    );
    assert_eq!(deliver(&target, &bodies).await, ["0"]);
    assert!(target.log.take().is_empty());
}
