//! The requests for every kind of record, for tasks, and for notes, as Attio gets them.

use paygraph_domain::crm::Object;
use paygraph_testkit::golden::GoldenFiles;
use serde_json::{Value, json};

use crate::support::{DAY, World, uses_a_lot};

/// The requests since a number of them, those that match.
fn requests(world: &World, is_wanted: impl Fn(&str) -> bool) -> Value {
    let mut requests = world.attio.requests();
    requests.retain(|request| is_wanted(request["target"].as_str().unwrap()));
    requests.into()
}

/// A customer with everything: a workspace with a domain and usage, two users with one address, a
/// subscription, and a lot of use without a plan later.
async fn shown() -> World {
    let world = World::new().await;
    world.user("u1", "ann@acme.example", &[]).await;
    world.user("u2", "ann@acme.example", &[]).await;
    world.subscribes(0, "cus_1").await;
    let given = json!({ "company": "Acme & Söhne", "domain": "acme.example",
        "users": ["u1", "u2"], "traits": { "usage_percent": 41.5 } });
    let told = world.put(5, "cus_1", given).await;
    world.deliver(10, &[told]).await;
    let lot = json!({ "traits": { "usage_percent": 82 } });
    let told = world.put(DAY, "free", lot).await;
    world
        .deliver(DAY + 1, &[told, uses_a_lot(DAY + 1, "free")])
        .await;
    world
}

#[tokio::test]
async fn the_requests_for_every_kind_of_record_are_golden() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "attio");
    let world = shown().await;
    for object in [Object::Workspace, Object::User, Object::Subscription] {
        let folder = match object {
            Object::Workspace => "/v2/objects/workspaces/",
            Object::User => "/v2/objects/users/",
            Object::Subscription => "/v2/objects/subscriptions/",
        };
        let of = requests(&world, |target| target.starts_with(folder));
        assert_ne!(of, json!([]), "{folder}");
        golden.json(object.as_str(), &of.to_string());
    }
    for (name, path) in [("task", "/v2/tasks"), ("note", "/v2/notes")] {
        let of = requests(&world, |target| target.starts_with(path));
        assert_ne!(of, json!([]), "{path}");
        golden.json(name, &of.to_string());
    }
    golden.compare();
}
