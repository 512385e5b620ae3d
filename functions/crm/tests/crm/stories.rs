//! What Attio shows after what happened, and how often it was written.

use paygraph_domain::settings::Settings;
use paygraph_engine::ports::Store as _;
use serde_json::{Value, json};

use crate::support::{DAY, World, at, changed, event, id, tenant, uses_a_lot};

/// A contact with two workspaces and two users, who pays.
async fn acme() -> (World, Value) {
    let world = World::new().await;
    world.subscribes(0, "cus_1").await;
    world.user("u1", "ann@acme.example", &[]).await;
    world.user("u2", "bob@acme.example", &["w2"]).await;
    let profile = json!({ "company": "Acme", "users": ["u1", "u2", "u3"],
        "workspaces": ["w1", "w2"], "traits": { "usage_percent": 40 } });
    let told = world.put(10, "cus_1", profile).await;
    (world, told)
}

/// Everything that there is of a customer, and nothing of whom nothing is known.
#[tokio::test]
async fn a_customer_is_workspaces_users_and_a_subscription() {
    let (world, told) = acme().await;
    world.deliver(20, &[told]).await;
    let record = |object: &str, id: &str| world.attio.record(object, id).unwrap_or_default();
    let workspace = json!({ "workspace_id": "w1", "name": "Acme", "usage_percent": 40,
        "domains": ["acme.example"] });
    assert_eq!(record("workspaces", "w1"), workspace);
    assert_eq!(record("workspaces", "w2")["name"], "Acme");
    let ann = json!({ "user_id": "u1", "primary_email_address": "ann@acme.example",
        "workspace": ["w1", "w2"] });
    assert_eq!(record("users", "u1"), ann);
    assert_eq!(record("users", "u2")["workspace"], json!(["w2"]));
    let subscription = json!({ "stripe_customer_id": "cus_1", "status": "active",
        "plan_name": "Pro", "arr": 696, "currency": "USD", "renewal_date": "2026-10-21",
        "workspace": ["w1"] });
    assert_eq!(record("subscriptions", "cus_1"), subscription);
    assert_eq!(world.counts(), [2, 1, 2]);
    world.assert_no_complaints();
}

/// Only what changed is written, and only once, whatever comes how often.
#[tokio::test]
async fn only_what_changed_is_written() {
    let (world, told) = acme().await;
    world.deliver(20, std::slice::from_ref(&told)).await;
    let written = world.attio.writes().len();
    world.deliver(30, &[told.clone(), told.clone()]).await;
    world.deliver(40, &[told]).await;
    assert_eq!(world.attio.writes().len(), written, "nothing has changed");

    let bus = world.becomes(50, "cus_1", "past_due", 5_800).await;
    assert!(bus.len() > 1, "several events, one change");
    world.deliver(60, &bus).await;
    let writes = world.attio.writes();
    assert_eq!(writes.len(), written + 1);
    assert_eq!(writes[written].object, "subscriptions");
    let shown = world.attio.record("subscriptions", "cus_1").unwrap();
    assert_eq!(shown["status"], "past_due");
}

/// N16: nothing is sent for what is not known, and what others put into lists stays.
#[tokio::test]
async fn n16_no_nulls_and_shared_lists_are_only_added_to() {
    let (world, told) = acme().await;
    world.deliver(20, &[told]).await;
    world.attio.add("workspaces", "w1", "domains", "acme.dev");
    let told = world.put(30, "cus_1", json!({ "domain": "acme.io" })).await;
    world.deliver(40, &[told]).await;
    let domains = world.attio.record("workspaces", "w1").unwrap()["domains"].clone();
    assert_eq!(domains, json!(["acme.example", "acme.dev", "acme.io"]));
    let canceled = world.becomes(50, "cus_1", "canceled", 5_800).await;
    world.deliver(60, &canceled).await;
    let shown = world.attio.record("subscriptions", "cus_1").unwrap();
    let stays = ["status", "arr", "plan_name", "renewal_date"].map(|name| shown[name].clone());
    let expected = json!(["canceled", 0, "Pro", "2026-10-21"]);
    assert_eq!(
        json!(stays),
        expected,
        "what is no longer known stays as it was"
    );
    world.assert_no_complaints();
}

/// A user who works for two customers has the workspaces of both.
#[tokio::test]
async fn many_users_have_many_workspaces() {
    let world = World::new().await;
    world.user("u1", "ann@acme.example", &[]).await;
    for (customer, workspace) in [("acme", "w1"), ("beta", "w2")] {
        let profile = json!({ "users": ["u1"], "workspaces": [workspace] });
        let told = world.put(10, customer, profile).await;
        world.deliver(20, &[told]).await;
    }
    let ann = world.attio.record("users", "u1").unwrap();
    assert_eq!(ann["workspace"], json!(["w1", "w2"]));
}

/// N20, N21: the bus may bring anything in any order, or what is long past: what is written is the
/// state as it is now.
#[tokio::test]
async fn n20_n21_an_event_is_a_hint_whatever_it_says_and_however_old_it_is() {
    let world = World::new().await;
    let mut bus = world.subscribes(0, "cus_1").await;
    bus.extend(world.becomes(10, "cus_1", "past_due", 5_800).await);
    bus.extend(world.becomes(20, "cus_1", "active", 9_900).await);
    bus.reverse();
    let mut imported = event(5, "cus_1", "customer_synced", json!({}));
    imported["detail"]["source"] = json!("backfill");
    bus.push(imported);
    world.deliver(100 * DAY, &bus).await;
    let shown = world.attio.record("subscriptions", "cus_1").unwrap();
    let shown = json!([shown["status"], shown["arr"]]);
    assert_eq!(shown, json!(["active", 1_188]));
    let writes = world.attio.writes();
    assert_eq!(writes.len(), 3, "a workspace, its domain, a subscription");
}

/// A Stripe customer that moves is its new customer's, whoever is looked at first or last.
#[tokio::test]
async fn a_stripe_customer_that_moves_takes_its_subscription_along() {
    for order in [["acme", "cus_1"], ["cus_1", "acme"]] {
        let world = World::new().await;
        let mut bus = world.subscribes(0, "cus_1").await;
        bus.push(world.put(5, "acme", json!({ "company": "Acme" })).await);
        world.deliver(10, &bus).await;
        world.link(20, "cus_1", "acme").await;
        world.deliver(40, &order.map(|id| changed(30, id))).await;
        let shown = world.attio.record("subscriptions", "cus_1").unwrap();
        assert_eq!(shown["workspace"], json!(["acme"]));
    }
}

/// A tenant without Attio, and events of no customer or of one that is gone: nothing to do.
#[tokio::test]
async fn who_has_no_attio_is_left_alone() {
    let mut world = World::new().await;
    let told = world.put(10, "acme", json!({})).await;
    let mut of_nobody = told.clone();
    of_nobody["detail"]["customer_id"] = Value::Null;
    world.deliver(20, &[of_nobody, changed(10, "gone")]).await;
    world.secrets.0 = None;
    world.deliver(20, &[told]).await;
    assert_eq!(world.attio.answers().written, 0);
}

/// Somebody uses a lot without a plan: one task for each alert of it, about the workspace.
#[tokio::test]
async fn an_upsell_alert_is_a_task_once() {
    let world = World::new().await;
    let lot = json!({ "company": "Acme", "traits": { "usage_percent": 82 } });
    world.put(0, "acme", lot).await;
    let entered = uses_a_lot(10, "acme");
    world.deliver(20, &[entered.clone(), entered.clone()]).await;
    world.deliver(25, &[entered]).await;
    let tasks = world.attio.tasks();
    let content = "Upsell opportunity: usage is at 82 % without a plan (upsell:1790000010::acme)";
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    assert_eq!(tasks[0]["content_plaintext"], content);
    world.assert_no_complaints();

    let talked = json!({ "traits": { "last_contacted_at": "2026-09-21T15:00:00Z" } });
    let told = world.put(DAY, "acme", talked).await;
    world.deliver(DAY, &[told]).await;
    world.deliver(9 * DAY, &[uses_a_lot(9 * DAY, "acme")]).await;
    assert_eq!(world.attio.tasks().len(), 2, "another time is another task");
}

/// Somebody was in touch, as Attio knows and nobody else: no task, and the customer's record says so.
#[tokio::test]
async fn whom_somebody_talked_to_in_attio_gets_no_task() {
    let world = World::new().await;
    let uses = |percent: u8| json!({ "traits": { "usage_percent": percent } });
    let told = world.put(0, "acme", uses(50)).await;
    world.deliver(1, &[told]).await;
    let talked = at(-2 * DAY).to_string();
    let attribute = "last_contacted_at";
    world
        .attio
        .set("workspaces", "acme", attribute, &json!(talked));
    world.put(10, "acme", uses(82)).await;
    world.deliver(20, &[uses_a_lot(10, "acme")]).await;
    assert!(world.attio.tasks().is_empty());
    let trait_of = async || {
        let contact = world.store.contact(&tenant(), &id("acme")).await.unwrap();
        contact.unwrap().traits()[attribute].clone()
    };
    assert_eq!(trait_of().await, json!(talked));
    let published = world.bus.published();
    let names: Vec<_> = published.iter().map(|event| &*event.detail_type).collect();
    assert_eq!(names, ["segment_left", "customer_updated"]);

    // What is older, in the future or no time changes nothing.
    for (nth, value) in [
        at(-9 * DAY).to_string(),
        at(DAY).to_string(),
        "lately".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        world
            .attio
            .set("workspaces", "acme", attribute, &json!(value));
        let percent = 83 + u8::try_from(nth).unwrap();
        world.put(30, "acme", uses(percent)).await;
        world.deliver(40, &[uses_a_lot(30, "acme")]).await;
        assert_eq!(trait_of().await, json!(talked));
    }
    assert!(world.attio.tasks().is_empty());
    world.deliver(6 * DAY, &[uses_a_lot(6 * DAY, "acme")]).await;
    assert_eq!(world.attio.tasks().len(), 1, "seven days after it");
    world.assert_no_complaints();
}

/// N21: what is past or imported is no task.
#[tokio::test]
async fn n21_what_is_past_makes_no_task() {
    let world = World::new().await;
    let lot = json!({ "traits": { "usage_percent": 82 } });
    world.put(0, "acme", lot).await;
    let mut entered = uses_a_lot(10, "acme");
    let hours = i64::from(Settings::example().unwrap().news_hours);
    let late = 10 + hours * 3_600 + 1;
    world.deliver(late, std::slice::from_ref(&entered)).await;
    entered["detail"]["source"] = json!("backfill");
    world.deliver(20, &[entered]).await;
    assert!(world.attio.tasks().is_empty());
    assert_eq!(world.counts(), [1, 0, 0], "but it is shown");
}

/// The example's message is one of ours, of a customer that there is not: nothing to show.
#[tokio::test]
async fn the_example_is_taken() {
    let example = include_str!("../../../../events/functions/crm.json");
    let example: Value = serde_json::from_str(example).unwrap();
    let body = example["Records"][0]["body"].as_str().unwrap();
    let world = World::new().await;
    world
        .deliver(0, &[serde_json::from_str(body).unwrap()])
        .await;
    assert_eq!(world.attio.answers().written, 0);
    assert!(world.letters.0.lock().unwrap().is_empty());
}
