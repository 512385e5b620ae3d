//! Product events over the store: any order, any repeats, at most once an hour.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

use std::collections::BTreeSet;

use futures::future::join_all;
use paygraph_domain::contact::{Contact, Profile};
use paygraph_domain::id::Cause;
use paygraph_domain::identity::Name;
use paygraph_domain::product::segment::read;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::user::User;
use paygraph_engine::envelope::Outgoing;
use paygraph_engine::identity::Request;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::ports::Store as _;
use paygraph_engine::process::Engine;
use paygraph_engine::user::Users as _;
use serde_json::{Value, json};

use crate::common::{id, soon, tenant};

type TestEngine = Engine<MemoryStore, StoppedClock>;

/// The beginning of an hour and of no day.
const START: i64 = 1_790_002_800;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

fn engine() -> TestEngine {
    on(MemoryStore::new(Settings::example().unwrap()).keeping_history())
}

fn on(store: MemoryStore) -> TestEngine {
    Engine::alone(store, StoppedClock(at(30 * DAY)))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(START + seconds).unwrap()
}

/// An event so many seconds after the start.
fn sent(message: &str, seconds: i64, mut event: Value) -> Value {
    event["messageId"] = json!(message);
    event["timestamp"] = json!(at(seconds).to_string());
    event
}

fn group(user: &str, workspace: &str, traits: &Value) -> Value {
    json!({ "type": "group", "userId": user, "groupId": workspace, "traits": traits })
}

fn identify(user: &str, traits: &Value) -> Value {
    json!({ "type": "identify", "userId": user, "traits": traits })
}

fn track(user: &str, workspace: Option<&str>, event: &str, properties: &Value) -> Value {
    json!({ "type": "track", "userId": user, "event": event, "properties": properties,
        "context": { "groupId": workspace } })
}

fn usage(workspace: &str, used: u64) -> Value {
    let properties = json!({ "used": used, "limit": 100 });
    track("u1", Some(workspace), "Usage Reported", &properties)
}

async fn hear(engine: &TestEngine, raw: &Value) {
    let event = read(raw, at(30 * DAY).into()).unwrap();
    engine.hear(&tenant(), &event, soon()).await.unwrap();
}

async fn put(engine: &TestEngine, contact: &str, given: Profile) {
    let cause = Cause::parse(format!("api:{contact}")).unwrap();
    let (tenant, contact) = (tenant(), id(contact));
    let request = Request {
        tenant: &tenant,
        cause: &cause,
        deadline: soon(),
    };
    let put = engine.put_profile(&request, &contact, &given);
    put.await.unwrap();
}

async fn user(engine: &TestEngine, id: &str) -> User {
    engine.store.user(&tenant(), id).await.unwrap().unwrap()
}

async fn contact(engine: &TestEngine, of: &str) -> Contact {
    let contact = engine.store.contact(&tenant(), &id(of)).await.unwrap();
    contact.unwrap()
}

fn told(engine: &TestEngine, name: &str) -> Vec<Outgoing> {
    let mut told = engine.store.outboxes();
    told.retain(|told| told.detail_type == name);
    told
}

#[tokio::test]
async fn a_user_in_three_workspaces_keeps_all_three() {
    let engine = engine();
    let workspaces = ["w1", "w2", "w3"];
    hear(
        &engine,
        &sent(
            "m0",
            0,
            identify("u1", &json!({ "email": "jo@acme.example", "nps": 9 })),
        ),
    )
    .await;
    for workspace in workspaces {
        // They belong to one company, and are paid for each by itself.
        let traits = json!({ "name": "Acme", "website": "acme.example" });
        hear(
            &engine,
            &sent(workspace, 60, group("u1", workspace, &traits)),
        )
        .await;
    }
    let all: BTreeSet<_> = workspaces.map(str::to_owned).into();
    assert_eq!(user(&engine, "u1").await.workspaces, all);
    let name = Name::User("u1".to_owned());
    let contacts = engine.store.named(&tenant(), &name).await.unwrap();
    assert_eq!(contacts, workspaces.map(id));
    for workspace in workspaces {
        let contact = contact(&engine, workspace).await;
        assert_eq!(contact.traits()["nps"], 9, "what was said before it joined");
        assert_eq!(
            contact.profile.unwrap().workspaces,
            [workspace.to_owned()].into()
        );
    }
    hear(
        &engine,
        &sent("m9", 90, identify("u1", &json!({ "nps": 3 }))),
    )
    .await;
    for workspace in workspaces {
        assert_eq!(contact(&engine, workspace).await.traits()["nps"], 3);
    }
}

/// A history of a few users in a few workspaces over two weeks.
fn history(random: &mut fastrand::Rng) -> Vec<Value> {
    let events = (0..40).map(|n| {
        let (user, workspace) = (random.u8(0..3), random.u8(0..3));
        let (user, workspace) = (format!("u{user}"), format!("w{workspace}"));
        let said = random.u8(0..5);
        let told = json!({ "channel": format!("c{said}"), "name": format!("n{said}"), "nps": said,
            "website": format!("w{said}.example"), "plan": said });
        let event = match random.u8(0..5) {
            0 => identify(&user, &told),
            1 => identify(
                &user,
                &json!({ "channel": null, "email": format!("{said}@a.example") }),
            ),
            2 => group(&user, &workspace, &told),
            3 => usage(&workspace, random.u64(60..100)),
            _ => {
                let workspace = random.bool().then_some(workspace.as_str());
                track(&user, workspace, "Report Opened", &json!({}))
            }
        };
        // Many of the same second, and many of the same hour.
        let seconds = random.i64(0..14) * DAY + random.i64(0..3) * HOUR + random.i64(0..4);
        sent(&format!("m{n}"), seconds, event)
    });
    events.collect()
}

/// What is kept, but for how often it was written.
async fn state(engine: &TestEngine) -> Vec<Value> {
    let mut all = Vec::new();
    for contact in engine.store.contacts() {
        all.push(json!([
            contact.id,
            contact.profile,
            contact.product,
            contact.told
        ]));
    }
    for n in 0..3 {
        let user = engine
            .store
            .user(&tenant(), &format!("u{n}"))
            .await
            .unwrap();
        all.push(json!(user.map(|user| User { version: 0, ..user })));
    }
    all
}

/// D1, D9: any order and any repeats of a history come to the same users, contacts and workspaces.
#[tokio::test]
async fn d1_d9_any_order_of_product_events_comes_to_the_same() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut history = history(&mut random);
        let first = engine();
        for event in &history {
            hear(&first, event).await;
        }
        let expected = state(&first).await;
        for _ in 0..3 {
            let again: Vec<_> = history.iter().filter(|_| random.bool()).cloned().collect();
            history.extend(again);
            random.shuffle(&mut history);
            let other = engine();
            for event in &history {
                hear(&other, event).await;
            }
            assert_eq!(state(&other).await, expected, "seed {seed}");
        }
        for event in &history {
            hear(&first, event).await;
        }
        assert_eq!(
            state(&first).await,
            expected,
            "all of it once more, seed {seed}"
        );
    }
}

/// D12, N3: all at once, on a store whose reads others tear.
#[tokio::test]
async fn d12_n3_product_events_at_once_come_to_the_same() {
    for seed in 0..20 {
        let history = history(&mut fastrand::Rng::with_seed(seed));
        let one = engine();
        for event in &history {
            hear(&one, event).await;
        }
        let torn = on(MemoryStore::new(Settings::example().unwrap()).tearing());
        join_all(history.iter().map(|event| hear(&torn, event))).await;
        assert_eq!(state(&torn).await, state(&one).await, "seed {seed}");
    }
}

/// A day of a busy workspace: an event a minute of each of five users, and usage that grows.
#[tokio::test]
async fn a_contact_is_written_once_an_hour() {
    let engine = engine();
    for user in 0..5 {
        let event = group(&format!("u{user}"), "w1", &json!({ "name": "Acme" }));
        hear(&engine, &sent(&format!("g{user}"), 0, event)).await;
    }
    let before = contact(&engine, "w1").await.version;
    for minute in 0..24 * 60 {
        let seconds = i64::from(minute) * 60;
        for user in 0..5 {
            let event = track(&format!("u{user}"), Some("w1"), "Report Opened", &json!({}));
            hear(&engine, &sent(&format!("t{user}-{minute}"), seconds, event)).await;
        }
        let used = u64::try_from(minute / 16).unwrap();
        hear(
            &engine,
            &sent(&format!("r{minute}"), seconds, usage("w1", used)),
        )
        .await;
    }
    let writes = contact(&engine, "w1").await.version - before;
    // Each hour its first use and its first usage; and the thresholds 75, 76, 80 and 81.
    assert!((24..=2 * 24 + 4).contains(&writes), "{writes} writes");
    for n in 0..5 {
        let writes = user(&engine, &format!("u{n}")).await.version;
        assert!((24..=25).contains(&writes), "{writes} writes of a user");
    }
    assert_eq!(told(&engine, "usage_limit_approached").len(), 1);
}

/// The limit is told once, whatever comes twice and in whatever order, as its schema says.
#[tokio::test]
async fn usage_over_the_limit_is_told_once() {
    let schema = include_str!("../../../infra/catalog/events/usage_limit_approached.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let of_hour = |(hour, used): (i64, u64)| {
            sent(&format!("m{hour}-{used}"), hour * HOUR, usage("w1", used))
        };
        let mut events: Vec<_> = [(0, 40), (1, 70), (2, 85), (3, 90), (3, 81), (4, 99)]
            .map(of_hour)
            .into();
        events.extend(events.clone());
        random.shuffle(&mut events);
        let engine = engine();
        for event in &events {
            hear(&engine, event).await;
        }
        let told = told(&engine, "usage_limit_approached");
        assert_eq!(told.len(), 1, "seed {seed}");
        let told = &told[0].detail;
        assert!(schema.is_valid(&told.data));
        assert_eq!(told.customer_id, Some(id("w1")));
        let segments = contact(&engine, "w1").await.told.segments;
        assert!(segments.contains("usage_limit_near"), "{segments:?}");
    }
}

/// N21: what is told of long ago is told with its own time, so that it is no news to anybody.
#[tokio::test]
async fn n21_an_old_event_is_told_with_its_time() {
    let engine = engine();
    hear(&engine, &sent("m1", 60, usage("w1", 90))).await;
    let told = told(&engine, "usage_limit_approached");
    assert_eq!(told[0].detail.occurred_at, at(60));
    assert_eq!(told[0].detail.cause.as_str(), "segment:m1:w1");
}

#[tokio::test]
async fn a_workspace_is_its_payers() {
    let engine = engine();
    let profile = Profile::default;
    let workspaces = |id: &str| BTreeSet::from([id.to_owned()]);
    put(
        &engine,
        "has",
        Profile {
            workspaces: workspaces("w1"),
            ..profile()
        },
    )
    .await;
    put(&engine, "w2", profile()).await;
    put(
        &engine,
        "mail",
        Profile {
            email: Some("pay@mail.example".to_owned()),
            ..profile()
        },
    )
    .await;
    put(
        &engine,
        "site",
        Profile {
            domain: Some("site.example".to_owned()),
            ..profile()
        },
    )
    .await;
    for twin in ["twin1", "twin2"] {
        put(
            &engine,
            twin,
            Profile {
                company: Some("Twin".to_owned()),
                ..profile()
            },
        )
        .await;
    }
    let taken = Profile {
        company: Some("Taken".to_owned()),
        workspaces: workspaces("w0"),
        ..profile()
    };
    put(&engine, "taken", taken).await;
    for (workspace, traits, expected) in [
        ("w1", json!({ "name": "Twin" }), "has"),
        ("w2", json!({ "name": "Twin" }), "w2"),
        (
            "w3",
            json!({ "website": "https://www.site.example/" }),
            "site",
        ),
        (
            "w4",
            json!({ "email": "pay@mail.example", "website": "site.example" }),
            "mail",
        ),
        ("w5", json!({ "name": "Twin Ltd" }), "w5"),
        ("w6", json!({ "name": "Taken" }), "w6"),
        ("w7", json!({ "website": "gmail.com", "name": "New" }), "w7"),
    ] {
        hear(
            &engine,
            &sent(workspace, 0, group("u1", workspace, &traits)),
        )
        .await;
        let name = Name::Workspace(workspace.to_owned());
        let payers = engine.store.named(&tenant(), &name).await.unwrap();
        assert_eq!(payers, [id(expected)], "{workspace}");
    }
    assert_eq!(user(&engine, "u1").await.workspaces.len(), 7);
}

/// What is done elsewhere counts for those with whom the user works, but tells nothing of usage.
#[tokio::test]
async fn what_names_no_workspace_counts_for_the_users_own() {
    let engine = engine();
    let properties = json!({ "used": 99, "limit": 100 });
    hear(
        &engine,
        &sent("m1", 0, track("u1", None, "Usage Reported", &properties)),
    )
    .await;
    assert!(engine.store.contacts().is_empty());
    hear(&engine, &sent("m2", DAY, group("u1", "w1", &json!({})))).await;
    let contact = contact(&engine, "w1").await;
    assert_eq!(contact.traits()["last_seen_at"], at(0).to_string());
    assert!(!contact.traits().contains_key("usage_percent"));
}

/// Who stops using it scores lower by the day, and leaves the segments that ask for use.
#[tokio::test]
async fn the_score_falls_with_time() {
    let store = MemoryStore::new(Settings::example().unwrap()).keeping_history();
    let engine = |day: i64| Engine::alone(store.clone(), StoppedClock(at(day * DAY)));
    for day in 0..7 {
        let event = track("u1", Some("w1"), "Report Opened", &json!({}));
        hear(&engine(day), &sent(&format!("m{day}"), day * DAY, event)).await;
    }
    let score = async || contact(&engine(0), "w1").await.traits()["engagement_score"].clone();
    assert_eq!(score().await, 70);
    let (mut scores, bus) = (Vec::new(), MemoryBus::default());
    for day in 7..24 {
        engine(day).tick(&bus, at(day * DAY), soon()).await.unwrap();
        scores.push(score().await.as_u64().unwrap());
    }
    assert_eq!(
        scores,
        [
            70, 65, 60, 55, 50, 45, 40, 35, 30, 25, 20, 15, 10, 5, 0, 0, 0
        ]
    );
    let health = told(&engine(0), "health_score_changed");
    assert!(!health.is_empty(), "low engagement counts");
}
