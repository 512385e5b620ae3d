//! Any order, and any repeats, of one contact's events.

use std::collections::BTreeMap;

use paygraph_domain::alert::{Kind, Status};
use serde_json::{Value, json};

use crate::support::{DAY, World, invoice, subscription};

/// What may happen to a customer of Stripe's, one thing a day.
async fn happens(world: &World, random: &mut fastrand::Rng, day: i64) -> Vec<Value> {
    let when = day * DAY;
    match random.u8(0..6) {
        0 => world.fails(day).await,
        1 => world.recovers(when).await,
        2 => {
            world
                .stripe(when, "invoice.payment_failed", &invoice("open", 4, None))
                .await
        }
        3 => {
            world
                .stripe(when, "invoice.voided", &invoice("void", 4, None))
                .await
        }
        4 => {
            let mut leaving = subscription("active");
            leaving["cancel_at_period_end"] = json!(true);
            leaving["canceled_at"] = json!(crate::support::at(when).unix());
            world
                .stripe(when, "customer.subscription.updated", &leaving)
                .await
        }
        _ => {
            let used = random.u8(60..100);
            world.traits(when, json!({ "usage_percent": used })).await
        }
    }
}

/// What there is at the end does not hang on the order in which the bus delivers, nor on how often;
/// nothing is told twice, and what is over is over.
#[tokio::test]
async fn order_and_repeats_make_no_difference() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::without_slack();
        world.paying().await;
        let (mut waiting, mut all) = (Vec::new(), Vec::new());
        let days = random.i64(1..12);
        for day in 1..=days {
            let new = happens(&world, &mut random, day).await;
            all.extend(new.clone());
            waiting.extend(new);
            random.shuffle(&mut waiting);
            let some = random.usize(0..=waiting.len());
            let some: Vec<_> = waiting.drain(..some).collect();
            for batch in some.chunks(10) {
                world.deliver(day * DAY + 10, batch).await;
            }
        }
        all.extend(waiting);
        let mut ends = Vec::new();
        for _ in 0..3 {
            random.shuffle(&mut all);
            for batch in all.chunks(10) {
                world.deliver(days * DAY + 20, batch).await;
            }
            ends.push(world.alerts());
        }
        assert_eq!(ends[0], ends[1], "seed {seed}");
        assert_eq!(ends[0], ends[2], "seed {seed}");
        once_each(&world, seed);
    }
}

/// At most one of a kind is not resolved, and each was sent once.
fn once_each(world: &World, seed: u64) {
    let mut standing: BTreeMap<_, usize> = BTreeMap::new();
    let alerts = world.store.all_alerts();
    for alert in alerts
        .iter()
        .filter(|alert| alert.status != Status::Resolved)
    {
        *standing
            .entry((alert.id.kind, alert.id.object.clone()))
            .or_default() += 1;
    }
    assert!(
        standing.values().all(|n| *n == 1),
        "seed {seed}: {standing:?}"
    );
    let told = world.sns.0.lock().unwrap().len();
    let sent = alerts
        .iter()
        .filter(|alert| alert.id.kind != Kind::Dunning)
        .count();
    assert_eq!(told, sent, "seed {seed}: each was sent once");
}

/// The same events in two orders, when all has happened: the same alerts.
#[tokio::test]
async fn the_same_end_by_any_order() {
    for seed in 0..40 {
        let mut found = Vec::new();
        for order in 0..2 {
            let mut random = fastrand::Rng::with_seed(seed);
            let world = World::without_slack();
            world.paying().await;
            let mut all = Vec::new();
            for day in 1..=2 {
                all.extend(happens(&world, &mut random, day).await);
            }
            let mut shuffled = fastrand::Rng::with_seed(seed * 2 + order);
            shuffled.shuffle(&mut all);
            for batch in all.chunks(10) {
                world.deliver(2 * DAY + 20, batch).await;
            }
            found.push(world.alerts());
        }
        assert_eq!(found[0], found[1], "seed {seed}");
    }
}
