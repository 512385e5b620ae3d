//! A4: two users with one address. Attio takes it of one only.

use std::slice::from_ref;

use serde_json::{Value, json};

use crate::support::{World, changed};

/// Two users of one customer with one address; their event.
async fn twins(world: &World) -> Value {
    world.user("u1", "ann@acme.example", &[]).await;
    world.user("u2", "Ann@acme.example", &[]).await;
    world
        .put(
            0,
            "acme",
            json!({ "company": "Acme", "users": ["u1", "u2"] }),
        )
        .await
}

/// The records of the notes, and whom they tell of.
fn notes(world: &World) -> Vec<(String, bool)> {
    let notes = world.attio.notes().into_iter();
    let of = |note: Value| {
        let record = note["parent_record_id"].as_str().unwrap().to_owned();
        let text = note["content_plaintext"].as_str().unwrap().to_owned();
        (record, text.contains("user u2"))
    };
    notes.map(of).collect()
}

/// Attio requires an address of each new user, so the first one's record stands for both.
#[tokio::test]
async fn a4_the_record_of_the_first_user_stands_for_both() {
    let world = World::new().await;
    let told = twins(&world).await;
    for now in [10, 20] {
        world.deliver(now, from_ref(&told)).await;
    }
    assert_eq!(world.counts(), [1, 0, 1]);
    let ann = world.attio.record("users", "u1").unwrap();
    assert_eq!(ann["primary_email_address"], "ann@acme.example");
    assert_eq!(ann["workspace"], json!(["acme"]));
    assert_eq!(notes(&world), [("rec_users_1".to_owned(), true)]);
    world.assert_no_complaints();
}

/// Where the tenant has made the address optional, the second user is written without it.
#[tokio::test]
async fn a4_the_second_user_is_written_without_the_address() {
    let world = World::new().await;
    world.attio.relax("users", "primary_email_address");
    let told = twins(&world).await;
    world.deliver(10, &[told]).await;
    assert_eq!(world.counts(), [1, 0, 2]);
    let twin = world.attio.record("users", "u2").unwrap();
    assert_eq!(twin.get("primary_email_address"), None);
    assert_eq!(twin["workspace"], json!(["acme"]));
    assert_eq!(notes(&world), [("rec_users_2".to_owned(), true)]);
}

/// A user that Attio has takes another one's address: its record keeps the address that it had. Once
/// the other one has given it up, the next change brings it.
#[tokio::test]
async fn a4_a_changed_address_that_is_taken_leaves_the_record_as_it_is() {
    let world = World::new().await;
    let given = json!({ "users": ["u1", "u2"], "workspaces": ["w1", "w2"] });
    world.user("u1", "ann@acme.example", &["w1"]).await;
    world.user("u2", "bob@acme.example", &["w1"]).await;
    let told = world.put(0, "acme", given).await;
    world.deliver(10, &[told]).await;
    world.user("u2", "ann@acme.example", &["w1"]).await;
    world.deliver(30, &[changed(20, "acme")]).await;
    let addresses = || {
        let address =
            |id: &str| world.attio.record("users", id).unwrap()["primary_email_address"].clone();
        [address("u1"), address("u2")]
    };
    assert_eq!(addresses(), ["ann@acme.example", "bob@acme.example"]);
    assert_eq!(notes(&world).len(), 1);
    world.user("u1", "ann@acme.dev", &["w1"]).await;
    world.user("u2", "ann@acme.example", &["w1", "w2"]).await;
    world.deliver(50, &[changed(40, "acme")]).await;
    assert_eq!(addresses(), ["ann@acme.dev", "ann@acme.example"]);
    assert_eq!(notes(&world).len(), 1);
}

/// A token without the permission for notes holds no record up.
#[tokio::test]
async fn a4_a_note_that_is_refused_holds_nothing_up() {
    let world = World::new().await;
    world.attio.refuse_notes();
    world.attio.relax("users", "primary_email_address");
    let told = twins(&world).await;
    world.deliver(10, &[told]).await;
    assert_eq!(world.counts(), [1, 0, 2]);
}
