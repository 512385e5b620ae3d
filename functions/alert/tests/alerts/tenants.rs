//! Alerts of no contact: drift and the endpoint.

use paygraph_domain::alert::{Kind, Status};
use paygraph_engine::ports::Runs as _;
use paygraph_engine::run::{Drift, Job, Run, Scope, Stage};
use paygraph_engine::watch::{Watch, Watches as _};
use serde_json::{Value, json};

use crate::support::{DAY, World, at, tenant};

pub fn event(name: &str, cause: &str, when: i64, data: Value) -> Value {
    json!({ "detail-type": name, "detail": { "version": 1, "id": format!("{cause}#0"),
        "tenant": "default", "customer_id": null, "stripe_customer_id": null,
        "occurred_at": at(when).to_string(), "source": "reconcile", "cause": cause, "data": data } })
}

pub fn detected(run: &str, class: &str, object: &str, when: i64) -> Value {
    let data = json!({ "run": run, "class": class, "object": object, "field": null, "local": null,
        "stripe": null, "severity": "high", "money_per_month": { "usd": 5_800 } });
    event(
        "drift_detected",
        &format!("drift:{class}:{object}"),
        when,
        data,
    )
}

async fn note(world: &World, run: &Run) {
    world.store.end_leases();
    let token = world
        .store
        .lease(&tenant(), run.started_at, run.started_at)
        .await
        .unwrap();
    world
        .store
        .note(run, token.unwrap(), run.started_at)
        .await
        .unwrap();
}

async fn finish(world: &World, run: &mut Run, drift: &[(&str, &str, &str)]) {
    let drift = drift.iter().map(|(class, object, outcome)| {
        serde_json::from_value::<Drift>(json!({ "class": class, "severity": "high",
            "customer": "cus_1", "object": object, "field": null, "local": null, "stripe": null,
            "money_per_month": {}, "outcome": outcome }))
        .unwrap()
    });
    let drift: Vec<_> = drift.collect();
    world.store.note_drift(run, &drift).await.unwrap();
    run.stage = Stage::Finished;
    note(world, run).await;
}

/// One alert per run and class; a finished run resolves what it has put right, and a later one what
/// is no longer there.
#[tokio::test]
async fn drift_is_one_alert_per_run_and_class() {
    let world = World::new().await;
    let run = |id: &str, when: i64| {
        Run::new(
            id.to_owned(),
            tenant(),
            Job::Reconcile,
            Scope::default(),
            at(when),
        )
    };
    let mut first = run("run-000000000001-a", 0);
    note(&world, &first).await;
    let told: Vec<_> = (0..9)
        .map(|n| detected(&first.id, "status_mismatch", &format!("sub_{n}"), 9))
        .chain([detected(&first.id, "unpaid_upgrade", "sub_9", 9)])
        .collect();
    world.deliver(20, &told).await;
    let open = [(Kind::Drift, Status::Open), (Kind::Drift, Status::Open)];
    assert_eq!(world.alerts(), open);
    assert_eq!(world.slack.taken().len(), 2);
    let left = [
        ("status_mismatch", "sub_1", "healed"),
        ("unpaid_upgrade", "sub_9", "review"),
    ];
    finish(&world, &mut first, &left).await;
    let done = |run: &Run, when| event("run_completed", &run.id, when, json!({ "id": run.id }));
    world.deliver(60, &[done(&first, 50)]).await;
    let (healed, review) = (Status::Resolved, Status::Open);
    assert_eq!(
        world.alerts(),
        [(Kind::Drift, healed), (Kind::Drift, review)]
    );
    // What comes late changes nothing; the next night nothing is left.
    world.deliver(70, &told).await;
    assert_eq!(
        world.alerts(),
        [(Kind::Drift, healed), (Kind::Drift, review)]
    );
    let mut second = run("run-000000000002-b", DAY);
    finish(&world, &mut second, &[]).await;
    world.deliver(DAY + 9, &[done(&second, DAY + 5)]).await;
    assert_eq!(
        world.alerts(),
        [(Kind::Drift, healed), (Kind::Drift, healed)]
    );
    // And the night after it has come back.
    let third = run("run-000000000003-c", 2 * DAY);
    note(&world, &third).await;
    world
        .deliver(
            2 * DAY + 9,
            &[detected(&third.id, "unpaid_upgrade", "sub_9", 2 * DAY + 5)],
        )
        .await;
    assert_eq!(world.alerts().len(), 3);
    assert_eq!(world.slack.taken().len(), 1);
}

/// N14: the endpoint's trouble is told once and is over when the watch says so, whatever comes first.
#[tokio::test]
async fn n14_the_endpoint_is_one_alert_until_it_recovers() {
    let world = World::new().await;
    let data = |reasons: &[&str]| json!({ "endpoint": "we_1", "reasons": reasons, "since": at(0).to_string() });
    let bad = event(
        "webhook_endpoint_unhealthy",
        "watch:0",
        5,
        data(&["it is disabled"]),
    );
    // Told before it is noted.
    world.deliver(6, std::slice::from_ref(&bad)).await;
    let mut watch = Watch {
        reasons: [("disabled".to_owned(), "it is disabled".to_owned())].into(),
        since: Some(at(0)),
        ..Watch::default()
    };
    world.store.note_watch(&tenant(), &watch).await.unwrap();
    world.deliver(9, std::slice::from_ref(&bad)).await;
    assert_eq!(world.alerts(), [(Kind::Endpoint, Status::Open)]);
    let told = world.slack.taken();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("it is disabled"), "{told:?}");

    watch = Watch {
        rev: 1,
        reasons: Default::default(),
        since: None,
        ..watch
    };
    world.store.note_watch(&tenant(), &watch).await.unwrap();
    let good = event(
        "webhook_endpoint_recovered",
        "watch:1",
        300,
        data(&["it is disabled"]),
    );
    world.deliver(310, &[good.clone(), bad.clone()]).await;
    assert_eq!(world.alerts(), [(Kind::Endpoint, Status::Resolved)]);
    world.deliver(320, &[bad, good]).await;
    assert_eq!(world.alerts(), [(Kind::Endpoint, Status::Resolved)]);
    assert!(world.slack.taken().is_empty());
}
