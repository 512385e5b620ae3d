//! Whole histories, shuffled and with duplicates, against what `paygraph fold` makes of them.

use std::collections::BTreeSet;
use std::io::Write;

use paygraph_testkit::world::World;
use paygraph_tests::{Tenant, now, paygraph, root, stack, unique, wait};
use serde_json::{Value, json};

/// 1,000 events with 10 % duplicates in random order: nothing lost, nothing twice, and the state
/// that `fold` computes.
#[test]
fn a_thousand_events_shuffled_with_duplicates_lose_nothing_and_tell_nothing_twice() {
    let mut events = World::new(&unique("h"), 11, now() - 90 * 86_400).run(60, 14);
    events.truncate(1_000);
    assert!(
        events.len() > 800,
        "the history has {} events",
        events.len()
    );
    let ids: BTreeSet<String> = events
        .iter()
        .map(|e| {
            serde_json::from_str::<Value>(e).unwrap()["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let folded = fold(&events);
    let mut random = fastrand::Rng::with_seed(3);
    let mut sent = events.clone();
    for _ in 0..events.len() / 10 {
        sent.push(events[random.usize(0..events.len())].clone());
    }
    random.shuffle(&mut sent);
    // A tenant of its own: another catalog would name the products.
    let tenant = Tenant::unique();
    tenant.post_all(&sent);
    for id in &ids {
        tenant.settled(id);
    }
    // Nothing lost: every event reached the bus as Stripe's own. Nothing twice: each id once.
    let counts = wait("every event on the bus", || {
        Some(stack().deliveries())
            .filter(|all| ids.iter().all(|id| all.contains_key(&format!("{id}#0"))))
    });
    let own = counts
        .iter()
        .filter(|(id, _)| ids.contains(id.split('#').next().unwrap()));
    let twice: Vec<_> = own.filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    for expected in folded["customers"].as_array().unwrap() {
        let id = expected["customer_id"].as_str().unwrap();
        let record = tenant.ask(&format!("/api/stripe/customer/{id}")).1;
        assert_eq!(without_time(&record), without_time(expected));
    }
    let dead = stack().dead_letters();
    assert!(
        !dead
            .iter()
            .any(|(body, _)| ids.iter().any(|id| body.contains(id.as_str())))
    );
}

/// `as_of` tells when it was last looked at, which differs.
fn without_time(record: &Value) -> Value {
    let mut record = record.clone();
    record["as_of"] = json!(null);
    record
}

fn fold(events: &[String]) -> Value {
    let path = root().join("target/paygraph").join(unique("history-"));
    let mut file = std::fs::File::create(&path).unwrap();
    for event in events {
        writeln!(file, "{event}").unwrap();
    }
    drop(file);
    let folded = paygraph(&["fold", path.to_str().unwrap()]);
    std::fs::remove_file(path).unwrap();
    assert!(folded.status.success());
    serde_json::from_slice(&folded.stdout).unwrap()
}
