//! What Attio may do, and a target that dies in between.

use std::collections::BTreeSet;
use std::slice::from_ref;
use std::time::Duration;

use futures::future::join_all;
use paygraph_crm::handler::show;
use paygraph_engine::crm::{Look, TURN};
use paygraph_testkit::fake_attio::Trouble;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::support::{EASY, World, changed, deliver, id, tenant, uses_a_lot};

/// N6: Attio is away. The event goes back to the queue, nobody is buried, and it is written when it
/// comes again; the turn is given up meanwhile.
#[tokio::test]
async fn n6_while_attio_is_away_its_events_wait() {
    let world = World::new().await;
    let told = world.put(0, "acme", json!({ "company": "Acme" })).await;
    world.attio.trouble(Trouble {
        broken: 1_000,
        ..EASY
    });
    for now in [0, 1] {
        let again = world.deliver_within(now, from_ref(&told), 6).await;
        assert_eq!(again, [0]);
    }
    assert!(world.attio.answers().broken > 2);
    world.attio.trouble(EASY);
    world.deliver(2, &[told]).await;
    assert_eq!(world.counts(), [1, 0, 0]);
}

/// N16: 429 in both forms. Nothing is asked before the wait is over, and then it is written.
#[tokio::test]
async fn n16_attio_is_left_alone_as_long_as_it_asks_for() {
    for (seconds, dates) in [(1_000, 0), (0, 1_000)] {
        let world = World::new().await;
        let told = world.put(0, "acme", json!({ "company": "Acme" })).await;
        world.attio.trouble(Trouble {
            seconds,
            dates,
            ..EASY
        });
        let again = world.deliver_within(0, from_ref(&told), 7).await;
        assert_eq!(again, [0]);
        let answers = world.attio.answers();
        let asked = answers.seconds + answers.dates;
        // Three seconds, one after the other; a date has no parts of a second.
        assert!((2..=5).contains(&asked), "{answers:?}");
        world.attio.trouble(EASY);
        world.deliver(200, &[told]).await;
        assert_eq!(world.counts(), [1, 0, 0]);
    }
}

/// What Attio refuses goes to the dead letters with its reason; the other records are written, and so
/// are other customers.
#[tokio::test]
async fn what_attio_refuses_is_buried_and_holds_nobody_up() {
    let world = World::new().await;
    world.subscribes(0, "cus_1").await;
    world.put(10, "beta", json!({})).await;
    world.attio.forget("subscriptions", Some("currency"));
    let bodies = [changed(11, "cus_1"), changed(11, "beta")];
    assert!(world.deliver_within(20, &bodies, 30).await.is_empty());
    assert_eq!(world.reasons(), ["Attio answered 400 (value_not_found)"]);
    assert_eq!(world.counts(), [2, 0, 0]);
}

/// A token that is refused may be about to be replaced: the event comes again.
#[tokio::test]
async fn a_refused_token_is_named_and_its_events_come_again() {
    let mut world = World::new().await;
    let told = world.put(0, "acme", json!({})).await;
    let old = json!({ "token": "old", "url": world.attio.url() }).to_string();
    let secret = world.secrets.0.replace(old);
    let again = world.deliver_within(10, from_ref(&told), 30).await;
    assert_eq!(again, [0]);
    world.secrets.0 = secret;
    world.deliver(11, &[told]).await;
    assert_eq!(world.counts(), [1, 0, 0]);
}

/// Somebody deletes in Attio what is remembered here: it is made again, with all that belongs to it.
#[tokio::test]
async fn what_was_deleted_there_is_made_again() {
    let world = World::new().await;
    world.user("u1", "ann@acme.example", &[]).await;
    let profile = json!({ "company": "Acme", "users": ["u1"] });
    let told = world.put(0, "acme", profile).await;
    world.deliver(10, &[told]).await;
    world.attio.remove("workspaces", "acme");
    world.attio.remove("users", "u1");
    world.user("u1", "ann@acme.dev", &[]).await;
    world.deliver(30, &[changed(20, "acme")]).await;
    let ann = world.attio.record("users", "u1").unwrap();
    assert_eq!(ann["primary_email_address"], "ann@acme.dev");
    assert_eq!(ann["workspace"], json!(["acme"]));
}

/// N19: the target dies after it has taken the turn: before, within or after a write. Whoever comes
/// while the turn lasts gives its event back; the next one writes, and nothing is there twice.
#[tokio::test]
async fn n19_a_target_that_dies_is_followed_by_the_next() {
    for millis in [5, 45, 75, 105, 135, 165] {
        let world = World::new().await;
        world.user("u1", "ann@acme.example", &[]).await;
        world.subscribes(0, "cus_1").await;
        let told = world.put(5, "cus_1", json!({ "users": ["u1"] })).await;
        world.attio.latency(Duration::from_millis(30));
        let dying = world.deliver_within(10, from_ref(&told), 30);
        let died = timeout(Duration::from_millis(millis), dying).await;
        assert!(died.is_err(), "it was done before it could die");
        let soon = 10 + TURN - 1;
        let again = world.deliver_within(soon, from_ref(&told), 4).await;
        assert_eq!(again, [0], "it is still the other's turn");
        world.deliver(190, &[told]).await;
        assert_eq!(world.counts(), [1, 1, 1]);
        let ann = world.attio.record("users", "u1").unwrap();
        assert_eq!(ann["workspace"], json!(["cus_1"]), "{millis}");
    }
}

/// N19: Attio makes a task and answers that it did not, or nobody notes it. It is looked for before it
/// is made again.
#[tokio::test]
async fn n19_a_task_is_not_made_twice() {
    let world = World::new().await;
    let lot = json!({ "traits": { "usage_percent": 82 } });
    let told = world.put(0, "acme", lot).await;
    world.deliver(5, &[told]).await;
    let entered = uses_a_lot(10, "acme");
    let mut deliveries = 0;
    for seed in 0..40 {
        world.attio.trouble(Trouble {
            seed,
            broken_after: 600,
            ..EASY
        });
        deliveries += 1;
        let again = world.deliver_within(20, from_ref(&entered), 5).await;
        if again.is_empty() {
            break;
        }
    }
    let answers = world.attio.answers();
    assert!(deliveries > 1 && answers.broken > 0, "{answers:?}");
    assert_eq!(world.attio.tasks().len(), 1);
}

/// Records that have not changed are written too, if somebody wants that.
#[tokio::test]
async fn everything_can_be_written_anew() {
    let world = World::new().await;
    world.put(0, "acme", json!({ "company": "Acme" })).await;
    let (tenant, contact) = (tenant(), id("acme"));
    let account = world.account().await;
    let engine = world.engine(0);
    for (anew, expected) in [(false, 1), (false, 0), (true, 1)] {
        let look = Look {
            tenant: &tenant,
            contact: &contact,
            news: None,
            anew,
            written: &BTreeSet::new(),
            until: Instant::now() + Duration::from_secs(20),
        };
        let done = show(&engine, &world.bus, &account, &look).await;
        assert_eq!(done.unwrap().written, expected);
    }
}

/// What Attio lacks is named, each thing once.
#[tokio::test]
async fn what_is_missing_is_named() {
    let world = World::new().await;
    let account = world.account().await;
    let until = Instant::now() + Duration::from_secs(20);
    assert_eq!(account.check(until).await.unwrap(), [""; 0]);
    world.attio.forget("users", Some("name"));
    world.attio.forget("subscriptions", None);
    let expected = [
        "users: there is no attribute name",
        "there is no object subscriptions",
    ];
    assert_eq!(account.check(until).await.unwrap(), expected);
}

/// A function that runs keeps to one pace, whatever comes side by side.
#[tokio::test]
async fn one_function_keeps_to_its_pace() {
    let mut world = World::new().await;
    world.per_second = 20;
    world.attio.trouble(Trouble {
        writes_per_second: 25,
        ..EASY
    });
    let mut bodies = Vec::new();
    for n in 0..30 {
        bodies.push(world.put(0, &format!("c{n}"), json!({})).await);
    }
    let target = world.target(0);
    let work = bodies.chunks(10);
    let work = work.map(|some| deliver(&target, &world.letters, some, 30));
    let again = join_all(work).await;
    assert!(again.iter().all(Vec::is_empty));
    let answers = world.attio.answers();
    assert_eq!((answers.limited, answers.written), (0, 30));
}
