//! Slack and SNS: what passes, what does not, and a target that dies in between.

use std::time::{Duration, Instant};

use paygraph_domain::alert::subscription::Subscription;
use paygraph_domain::alert::{Kind, Status};
use paygraph_engine::alert::Alerts as _;
use serde_json::{Value, json};

use crate::support::{Answer, DAY, World, tenant};

/// A world in which a card dispute was opened, and the bus has heard of it.
async fn disputed() -> (World, Vec<Value>) {
    let world = World::new().await;
    world.paying().await;
    let dispute = json!({ "id": "du_1", "object": "dispute", "charge": "ch_1", "amount": 5_800,
        "currency": "usd", "status": "needs_response", "reason": "fraudulent", "created": 1_790_086_400 });
    let charge = json!({ "id": "ch_1", "object": "charge", "customer": "cus_abc123",
        "status": "succeeded", "currency": "usd", "amount": 5_800, "created": 1_790_000_000 });
    world.stripe(2, "charge.succeeded", &charge).await;
    let bus = world.stripe(DAY, "charge.dispute.created", &dispute).await;
    let raised: Vec<_> = bus
        .into_iter()
        .filter(|body| body["detail-type"] == "risk_signal_raised")
        .collect();
    assert_eq!(raised.len(), 1);
    (world, raised)
}

/// N16: Slack is left alone as long as it asks for, in either form, and then told once.
#[tokio::test]
async fn n16_slack_is_told_after_the_wait_that_it_asks_for() {
    for wait in ["1", "Sat, 21 Nov 2026 12:00:01 GMT"] {
        let (world, bus) = disputed().await;
        world.slack.will([Some((429, Some(wait)))]);
        let begun = Instant::now();
        world.deliver(DAY + 5, &bus).await;
        assert!(begun.elapsed() >= Duration::from_secs(1));
        assert_eq!(world.slack.taken().len(), 1);
    }
}

/// What passes within the time is tried again at once, else with the next delivery; SNS does not
/// wait for Slack.
#[tokio::test]
async fn n6_what_passes_is_tried_again() {
    let (world, bus) = disputed().await;
    world.slack.will([Some((500, None)), Some((503, None))]);
    world.deliver(DAY + 5, &bus).await;
    assert_eq!(world.slack.taken().len(), 1);

    let (world, bus) = disputed().await;
    world.slack.will([Some((429, Some("600")))]);
    assert_eq!(world.deliver_within(DAY + 5, &bus, 30).await, [0]);
    assert_eq!(world.sns.0.lock().unwrap().len(), 1);
    let early = world.deliver_within(DAY + 185, &bus, 30).await;
    assert_eq!(early, [0], "it is still left alone");
    assert!(world.slack.taken().is_empty());
    world.deliver(DAY + 610, &bus).await;
    assert_eq!(world.slack.taken().len(), 1);
    assert_eq!(world.sns.0.lock().unwrap().len(), 1, "nothing twice");
    assert_eq!(world.the(Kind::Dispute).status, Status::Open);
}

/// A refusal is final: the alert is kept, and nobody tries again.
#[tokio::test]
async fn what_slack_refuses_is_kept_and_not_tried_again() {
    for status in [400, 403, 404, 410] {
        let (world, bus) = disputed().await;
        world.slack.will([Some((status, None))]);
        world.deliver(DAY + 5, &bus).await;
        world.deliver(DAY + 185, &bus).await;
        assert!(world.slack.taken().is_empty(), "{status}");
        assert_eq!(world.the(Kind::Dispute).status, Status::Open);
    }
}

/// N1, N6: one that cannot be sent holds nobody else up.
#[tokio::test]
async fn n1_one_alert_does_not_hold_another_up() {
    let (world, mut bus) = disputed().await;
    let drift = json!({ "version": 1, "id": "drift:x#0", "tenant": "default", "customer_id": null,
        "stripe_customer_id": null, "occurred_at": bus[0]["detail"]["occurred_at"],
        "source": "reconcile", "cause": "drift:x", "data": { "run": "run-1", "class": "stale",
            "object": "sub_1", "money_per_month": { "usd": 100 } } });
    bus.push(json!({ "detail-type": "drift_detected", "detail": drift }));
    world.slack.will([Some((429, Some("600")))]);
    let again = world.deliver_within(DAY + 5, &bus, 30).await;
    assert_eq!(again.len(), 1);
    assert_eq!(world.slack.taken().len(), 1);
    assert_eq!(world.alerts().len(), 2);
}

/// N19: the target is killed between its claim and the effect. As long as the claim holds nobody
/// else acts; then the next delivery does, once.
#[tokio::test]
async fn n19_a_claim_of_the_dead_is_taken_over() {
    let (world, bus) = disputed().await;
    let silence: Answer = None;
    world.slack.will([silence]);
    let killed = Duration::from_millis(400);
    let killed = tokio::time::timeout(killed, world.deliver(DAY + 5, &bus)).await;
    assert!(killed.is_err(), "it never ended");
    assert_eq!(
        world.alerts(),
        [(Kind::Dispute, Status::Open)],
        "it was kept before it was sent"
    );
    let held = world.deliver_within(DAY + 50, &bus, 30).await;
    assert_eq!(held, [0], "the claim still holds");
    assert!(world.slack.taken().is_empty());
    world.deliver(DAY + 185, &bus).await;
    world.deliver(DAY + 200, &bus).await;
    assert_eq!(world.slack.taken().len(), 1);
}

/// Whoever asked is told, where they asked for it, by the name that they gave.
#[tokio::test]
async fn who_asked_is_told() {
    let (world, bus) = disputed().await;
    let wish = json!({ "subscriber": "@cs-team", "kinds": ["dispute"], "channel": "slack" });
    let wish: Subscription = serde_json::from_value(wish).unwrap();
    world.store.subscribe(&tenant(), &wish).await.unwrap();
    world.store.subscribe(&tenant(), &wish).await.unwrap();
    assert_eq!(world.store.subscriptions(&tenant()).await.unwrap().len(), 1);
    world.deliver(DAY + 5, &bus).await;
    assert!(world.slack.taken()[0].contains("for @cs-team"));
}

/// Without a Slack, alerts are listed and nothing waits for one.
#[tokio::test]
async fn without_slack_alerts_are_kept() {
    let (mut world, bus) = disputed().await;
    world.url = None;
    world.deliver(DAY + 5, &bus).await;
    assert_eq!(world.alerts(), [(Kind::Dispute, Status::Open)]);
}
