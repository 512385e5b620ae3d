//! A thousand customers, and an Attio that refuses and breaks at random.

use futures::future::join_all;
use paygraph_testkit::fake_attio::Trouble;
use serde_json::{Value, json};

use crate::support::{EASY, World, deliver, event};

const CUSTOMERS: usize = 1_000;
/// What both functions together may write in a second. Attio takes a quarter more, so that it shows
/// when they go beyond.
const BUDGET: usize = 400;
/// How often the queue delivers.
const DELIVERIES: usize = 10;

/// N16: all arrive, none is lost, within the budget, without nulls.
#[tokio::test]
async fn n16_a_thousand_customers_arrive_whatever_attio_answers() {
    let world = thousand().await;
    world.attio.trouble(Trouble {
        seed: 7,
        seconds: 2,
        dates: 2,
        broken: 20,
        broken_after: 10,
        writes_per_second: BUDGET * 5 / 4,
    });
    let told = |n| event(10, &format!("cus_{n}"), "customer_synced", json!({}));
    let mut queue: Vec<Value> = (0..CUSTOMERS).map(told).collect();
    let targets = [world.target(10), world.target(10)];
    for _ in 0..DELIVERIES {
        // Two functions at once, with ten messages each.
        let mut left = Vec::new();
        for some in queue.chunks(20) {
            let work = some.chunks(10).zip(&targets);
            let work = work.map(|(some, target)| deliver(target, &world.letters, some, 30));
            let again = join_all(work).await;
            for (again, some) in again.into_iter().zip(some.chunks(10)) {
                left.extend(again.into_iter().map(|place| some[place].clone()));
            }
        }
        queue = left;
    }
    assert!(queue.is_empty(), "{} are lost", queue.len());
    assert!(world.reasons().is_empty(), "{:?}", world.reasons());
    let answers = world.attio.answers();
    assert!(answers.seconds > 0 && answers.dates > 0, "{answers:?}");
    assert!(answers.broken > 0, "{answers:?}");
    assert_eq!(answers.limited, 0, "within the budget");
    world.assert_no_complaints();
    assert_all_there(&world);
    // A workspace, its domain as an option and in the list, and a subscription; a user and the link.
    // Each once, but where Attio took it and did not say so.
    let needed = CUSTOMERS * 4 + CUSTOMERS / 5 * 2;
    assert!(answers.written >= needed, "{answers:?}");
    assert!(answers.written <= needed + answers.broken, "{answers:?}");
}

async fn thousand() -> World {
    let mut world = World::new().await;
    world.per_second = u32::try_from(BUDGET / 2).unwrap();
    for n in 0..CUSTOMERS {
        let customer = format!("cus_{n}");
        world.subscribes(0, &customer).await;
        if n % 5 == 0 {
            let user = format!("u{n}");
            let email = format!("{user}@acme.example");
            world.user(&user, &email, &[]).await;
            world.put(5, &customer, json!({ "users": [user] })).await;
        }
    }
    world.attio.trouble(EASY);
    world
}

fn assert_all_there(world: &World) {
    assert_eq!(world.counts(), [CUSTOMERS, CUSTOMERS, CUSTOMERS / 5]);
    for n in 0..CUSTOMERS {
        let id = format!("cus_{n}");
        let subscription = world.attio.record("subscriptions", &id).unwrap();
        assert_eq!(subscription["workspace"], json!([id]));
        assert_eq!(subscription["arr"], 696);
        let workspace = world.attio.record("workspaces", &id).unwrap();
        assert_eq!(workspace["domains"], json!(["acme.example"]));
        let user = world.attio.record("users", &format!("u{n}"));
        assert_eq!(user.is_some(), n % 5 == 0);
        assert!(user.is_none_or(|user| user["workspace"] == json!([id])));
    }
}
