//! The limits of DynamoDB: the store in memory keeps them, and requests stay below them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed test says where"
)]

use std::collections::BTreeSet;

use paygraph_domain::contact::{Contact, MAX_USERS, MAX_WORKSPACES, Profile};
use paygraph_domain::id::{Cause, CustomerId};
use paygraph_domain::identity::Name;
use paygraph_domain::user::User;
use paygraph_engine::identity::{Changed, IdentityError, Request};
use paygraph_engine::ports::limits::{
    ItemKey, ItemWrite, MAX_BATCH_GET, Refusal, check_batch_get, check_item, check_transaction,
};
use paygraph_engine::ports::{
    Commit, CommitError, ContactWrite, ParkReason, Parked, RowChange, Store as _, StoreError,
};
use paygraph_engine::user::Users as _;
use serde_json::{Value, json};

use crate::common::{TestEngine, engine, id, soon, tenant};

fn item(partition: &str, sort: &str, bytes: usize) -> ItemWrite {
    ItemWrite {
        key: ItemKey::new(partition, sort),
        bytes,
        subject: "it".to_owned(),
    }
}

/// T2: every limit that the documentation of DynamoDB states, at its edge and beyond.
#[test]
fn t2_each_limit_holds_at_its_edge() {
    let (long, sort) = ("p".repeat(2_048), "s".repeat(1_024));
    assert_eq!(check_item(&item(&long, &sort, 400 * 1_024)), Ok(()));
    let key = Err(Refusal::Key("it".to_owned()));
    assert_eq!(check_item(&item(&format!("{long}p"), "s", 1)), key);
    assert_eq!(check_item(&item("p", &format!("{sort}s"), 1)), key);
    assert_eq!(check_item(&item("", "s", 1)), key);
    assert_eq!(check_item(&item("p", "", 1)), key);
    let large = check_item(&item("p", "s", 400 * 1_024 + 1));
    assert!(matches!(large, Err(Refusal::ItemBytes { .. })));

    let many = |count: usize, bytes| -> Vec<ItemWrite> {
        let one = |n: usize| item("p", &n.to_string(), bytes);
        (0..count).map(one).collect()
    };
    assert_eq!(check_transaction(&many(100, 1)), Ok(()));
    assert_eq!(
        check_transaction(&many(101, 1)),
        Err(Refusal::Operations(101))
    );
    assert_eq!(check_transaction(&many(64, 64 * 1_024)), Ok(()));
    let bytes = 65 * 64 * 1_024;
    assert_eq!(
        check_transaction(&many(65, 64 * 1_024)),
        Err(Refusal::Bytes(bytes))
    );
    let twice = [item("p", "s", 1), item("p", "s", 1)];
    assert_eq!(
        check_transaction(&twice),
        Err(Refusal::SameItem("it".to_owned()))
    );
    assert_eq!(check_batch_get(MAX_BATCH_GET), Ok(()));
    assert_eq!(check_batch_get(101), Err(Refusal::BatchGet(101)));
}

/// The reason of a permanent refusal.
fn refused<T: std::fmt::Debug>(done: Result<T, CommitError>) -> String {
    let Err(CommitError::Store(StoreError { context, retry, .. })) = done else {
        panic!("it is not refused: {done:?}");
    };
    assert!(!retry, "{context}");
    context
}

/// T2: the store in memory refuses for good every write that DynamoDB refuses.
#[tokio::test]
async fn t2_the_store_in_memory_refuses_every_write_over_a_limit() {
    let store = engine().store;
    let contact = id("acme");
    let mut many = Commit::new(tenant());
    for n in 0..101 {
        let name = Name::User(format!("u{n}"));
        many.names.insert((name, contact.clone()), RowChange::Put);
    }
    let text = refused(store.commit(&many).await);
    assert_eq!(
        text,
        "101 writes are needed; a transaction takes at most 100"
    );

    let mut large = Commit::new(tenant());
    large.put_contact(of_size("acme", 410_000));
    let text = refused(store.commit(&large).await);
    assert!(text.starts_with("contact acme has 4"), "{text}");

    let mut heavy = Commit::new(tenant());
    for n in 0..11 {
        heavy.put_contact(of_size(&format!("c{n}"), 390_000));
    }
    let text = refused(store.commit(&heavy).await);
    assert!(
        text.ends_with("a transaction takes at most 4194304"),
        "{text}"
    );

    let mut long = Commit::new(tenant());
    let name = Name::User("u".repeat(2_048));
    long.names.insert((name, contact), RowChange::Put);
    assert!(refused(store.commit(&long).await).starts_with("the key of the user"));

    let mut user = User::new("u1");
    user.version = 1;
    user.name = Some("x".repeat(410_000));
    let text = refused(store.put_user(&tenant(), &user).await);
    assert!(text.starts_with("user u1 has 4"), "{text}");
    assert!(store.contacts().is_empty());
}

/// A contact whose item has about so many bytes.
fn of_size(contact: &str, bytes: usize) -> ContactWrite {
    let mut contact = Contact::new(id(contact));
    contact.version = 1;
    contact.profile = Some(Profile {
        name: Some("x".repeat(bytes)),
        ..Profile::default()
    });
    ContactWrite::new(contact, 0, &BTreeSet::new(), false)
}

/// T2: an event that has more than 400 KB as a text inside of JSON cannot wait, however small it is by
/// itself.
#[tokio::test]
async fn t2_an_event_that_is_too_large_inside_its_item_is_not_parked() {
    let engine = engine();
    let park = |event: String| {
        let (engine, tenant) = (&engine, tenant());
        let cause = Cause::parse("evt_1").unwrap();
        async move {
            engine
                .park(&tenant, cause, ParkReason::TooLarge, &event)
                .await
        }
    };
    assert!(park("x".repeat(390_000)).await.is_ok());
    // Each quotation mark is two bytes inside of a text.
    let refused = park("\"".repeat(210_000)).await.unwrap_err();
    assert!(!refused.is_retryable(), "{refused}");
    let parked = Parked {
        tenant: tenant(),
        cause: Cause::parse("evt_1").unwrap(),
        reason: ParkReason::TooLarge,
        parked_at: paygraph_domain::time::Timestamp::default(),
        event: "\"".repeat(210_000),
    };
    assert!(!engine.store.park(&parked).await.unwrap_err().retry);
}

async fn put(engine: &TestEngine, contact: &str, given: Profile) -> Result<Changed, IdentityError> {
    let cause = Cause::parse(format!("api:{}", engine.store.commits())).unwrap();
    let request = Request {
        tenant: &tenant(),
        cause: &cause,
        deadline: soon(),
    };
    engine.put_profile(&request, &id(contact), &given).await
}

async fn merge(engine: &TestEngine, gone: &str, into: &str) -> Result<Changed, IdentityError> {
    let cause = Cause::parse(format!("api:{}", engine.store.commits())).unwrap();
    let request = Request {
        tenant: &tenant(),
        cause: &cause,
        deadline: soon(),
    };
    engine.merge(&request, &id(gone), &id(into)).await
}

/// Names that begin with a text, numbered from `from`.
fn numbered(text: &str, from: usize, count: usize) -> BTreeSet<String> {
    (from..from + count)
        .map(|n| format!("{text}{n:03}"))
        .collect()
}

fn with_names(users: BTreeSet<String>, workspaces: BTreeSet<String>) -> Profile {
    Profile {
        users,
        workspaces,
        ..Profile::default()
    }
}

/// Puts users and workspaces as a client does: fifty of each in one request.
async fn fill(engine: &TestEngine, contact: &str, from: usize, users: usize) {
    for begin in (0..users).step_by(50) {
        let count = 50.min(users - begin);
        let users = numbered("u", from + begin, count);
        put(engine, contact, with_names(users, BTreeSet::new()))
            .await
            .unwrap();
    }
}

fn profile(engine: &TestEngine, contact: &str) -> Option<Profile> {
    let contacts = engine.store.contacts();
    let found = contacts.into_iter().find(|held| held.id == id(contact));
    found.map(|contact| contact.profile.unwrap())
}

/// The contacts that a user leads to.
async fn of_user(engine: &TestEngine, user: &str) -> Vec<CustomerId> {
    let name = Name::User(user.to_owned());
    engine.store.named(&tenant(), &name).await.unwrap()
}

/// S5: a put of fifty users and fifty workspaces needs more writes than one transaction takes. It is
/// done in steps, and the contact has all of them.
#[tokio::test]
async fn s5_a_put_of_fifty_users_and_fifty_workspaces_is_done() {
    let engine = engine();
    let given = with_names(numbered("u", 0, 50), numbered("w", 0, 50));
    let changed = put(&engine, "acme", given.clone()).await.unwrap();
    assert!(!changed.earlier.is_empty());
    assert_eq!(changed.contact.profile.as_ref(), Some(&given));
    assert_eq!(profile(&engine, "acme"), Some(given.clone()));
    assert_eq!(of_user(&engine, "u049").await, [id("acme")]);
    // The same request again has nothing to do.
    let commits = engine.store.commits();
    let again = put(&engine, "acme", given).await.unwrap();
    assert_eq!((again.earlier, again.entry), (Vec::new(), None));
    assert_eq!(engine.store.commits(), commits);
}

/// S5: a put that was interrupted after a step is completed by the one that repeats it.
#[tokio::test(start_paused = true)]
async fn s5_a_put_that_was_interrupted_is_completed_by_the_next() {
    let engine = engine();
    let given = with_names(numbered("u", 0, 50), numbered("w", 0, 50));
    let cause = Cause::parse("api:first").unwrap();
    let (tenant, acme) = (tenant(), id("acme"));
    let request = Request {
        tenant: &tenant,
        cause: &cause,
        // No time is left after the first step.
        deadline: paygraph_engine::Deadline::after(std::time::Duration::ZERO),
    };
    let first = engine.put_profile(&request, &acme, &given).await;
    assert!(first.unwrap_err().is_retryable());
    let some = profile(&engine, "acme").unwrap();
    assert!(!some.users.is_empty() && some.workspaces.is_empty());
    put(&engine, "acme", given.clone()).await.unwrap();
    assert_eq!(profile(&engine, "acme"), Some(given));
}

/// S5: contacts with hundreds of users merge in steps: everybody is found under the one that is left,
/// nobody under the one that is gone, and each step's entry is there to be published.
#[tokio::test]
async fn s5_large_contacts_merge_in_steps() {
    let engine = engine();
    fill(&engine, "gone", 0, 230).await;
    fill(&engine, "left", 200, 250).await;
    let workspaces = numbered("w", 0, 50);
    put(
        &engine,
        "gone",
        with_names(BTreeSet::new(), workspaces.clone()),
    )
    .await
    .unwrap();
    let changed = merge(&engine, "gone", "left").await.unwrap();
    assert!(changed.earlier.len() >= 10);
    let expected = with_names(numbered("u", 0, 450), workspaces);
    assert_eq!(profile(&engine, "left"), Some(expected));
    assert_eq!(profile(&engine, "gone"), None);
    for user in ["u000", "u210", "u449"] {
        assert_eq!(of_user(&engine, user).await, [id("left")], "{user}");
    }
}

/// The text of a refusal that no repetition mends.
fn limit(done: Result<Changed, IdentityError>) -> String {
    let error = done.unwrap_err();
    assert!(!error.is_retryable());
    assert!(matches!(error, IdentityError::Limit { .. }), "{error}");
    error.to_string()
}

/// S6: a contact has at most 500 users and 100 workspaces. A put or a merge that goes over writes
/// nothing and names the limit.
#[tokio::test]
async fn s6_users_and_workspaces_have_a_cap() {
    let engine = engine();
    fill(&engine, "acme", 0, MAX_USERS).await;
    let before = engine.store.contacts();
    let one_more = || with_names(numbered("v", 0, 1), BTreeSet::new());
    let text = limit(put(&engine, "acme", one_more()).await);
    assert_eq!(
        text,
        "customer acme: it would have 501 users; at most 500 are possible"
    );
    // Those that it has may be given again.
    let known = with_names(numbered("u", 0, 50), BTreeSet::new());
    put(&engine, "acme", known).await.unwrap();
    assert_eq!(engine.store.contacts(), before);

    put(&engine, "other", one_more()).await.unwrap();
    let before = engine.store.contacts();
    let text = limit(merge(&engine, "other", "acme").await);
    assert_eq!(
        text,
        "customer acme: it would have 501 users; at most 500 are possible"
    );
    assert_eq!(engine.store.contacts(), before);

    for from in [0, 50] {
        let workspaces = numbered("w", from, 50);
        put(&engine, "other", with_names(BTreeSet::new(), workspaces))
            .await
            .unwrap();
    }
    let more = with_names(BTreeSet::new(), numbered("x", 0, 1));
    let text = limit(put(&engine, "other", more).await);
    let expected = format!(
        "customer other: it would have 101 workspaces; at most {MAX_WORKSPACES} are possible"
    );
    assert_eq!(text, expected);
}

/// S6: whatever a contact consists of, a request leaves room in its item for Stripe's part.
#[tokio::test]
async fn s6_a_contact_never_grows_to_the_size_of_an_item() {
    let engine = engine();
    let mut refused = None;
    for n in 0..20 {
        let name = |field| (format!("t{n}_{field}"), json!("x".repeat(500)));
        let given = Profile {
            traits: (0..50).map(name).collect(),
            ..Profile::default()
        };
        if let Err(error) = put(&engine, "acme", given).await {
            refused = Some(limit(Err(error)));
            break;
        }
    }
    let text = refused.unwrap();
    assert!(text.ends_with("at most 307200 are possible"), "{text}");
    let held = serde_json::to_string(&engine.store.contacts()).unwrap();
    assert!(held.len() < 310_000);
}

/// S6: the audit of a contact with hundreds of users has the ones that came, and not all of them.
#[tokio::test]
async fn s6_the_audit_has_differences() {
    let engine = engine();
    fill(&engine, "acme", 0, 400).await;
    let audit = engine.store.audit();
    let last = audit.last().unwrap();
    let users = last
        .changes
        .iter()
        .find(|change| change.field == "users")
        .unwrap();
    assert_eq!(users.before, json!([]));
    assert_eq!(users.after, json!(numbered("u", 350, 50)));
    let given = Profile {
        traits: [("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))].into(),
        ..Profile::default()
    };
    put(&engine, "acme", given).await.unwrap();
    let given = Profile {
        traits: [("a".to_owned(), json!(3)), ("b".to_owned(), Value::Null)].into(),
        ..Profile::default()
    };
    put(&engine, "acme", given).await.unwrap();
    let audit = engine.store.audit();
    let changes = &audit.last().unwrap().changes;
    let traits = changes
        .iter()
        .find(|change| change.field == "traits")
        .unwrap();
    assert_eq!(traits.before, json!({ "a": 1, "b": 2 }));
    assert_eq!(traits.after, json!({ "a": 3 }));
}
