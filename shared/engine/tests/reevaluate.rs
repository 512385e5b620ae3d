//! The run over all contacts: what has changed is told once, by whichever run comes first.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeSet;
use std::time::Duration;

use paygraph_domain::contact::Profile;
use paygraph_domain::id::{Cause, CustomerId, TenantId};
use paygraph_domain::segments::Segments;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::identity::Request;
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::ports::{Commit, ContactWrite, Store};
use paygraph_engine::process::Engine;
use serde_json::json;

type TestEngine = Engine<MemoryStore, StoppedClock>;

fn engine(settings: Settings) -> TestEngine {
    Engine::alone(MemoryStore::new(settings), StoppedClock(now()))
}

fn now() -> Timestamp {
    Timestamp::from_unix(1_790_000_000).unwrap()
}

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

/// Contacts as the example settings leave them: forty, of whom every fourth is a partner.
async fn contacts() -> TestEngine {
    let engine = engine(Settings::example().unwrap());
    for n in 0..40 {
        let cause = Cause::parse(format!("api:{n}")).unwrap();
        let tenant = tenant();
        let request = Request {
            tenant: &tenant,
            cause: &cause,
            deadline: Deadline::after(Duration::from_secs(60)),
        };
        let id = CustomerId::parse(format!("c{n:02}")).unwrap();
        let profile = Profile {
            traits: [("partner".to_owned(), json!(n % 4 == 0))].into(),
            ..Profile::default()
        };
        engine.put_profile(&request, &id, &profile).await.unwrap();
    }
    engine
}

/// The same contacts under other settings.
async fn under(settings: Settings, from: &TestEngine) -> TestEngine {
    let engine = engine(settings);
    for contact in from.store.contacts() {
        let mut commit = Commit::new(tenant());
        let write = ContactWrite::new(contact, 0, &BTreeSet::new(), false);
        commit.put_contact(write);
        engine.store.commit(&commit).await.unwrap();
    }
    engine
}

fn told(bus: &MemoryBus) -> Vec<(String, String)> {
    let published = bus.published().into_iter();
    published
        .map(|event| {
            let contact = event.detail.customer_id.as_ref().unwrap().to_string();
            (
                contact,
                format!("{} {}", event.detail_type, event.detail.data),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_new_segment_is_told_once_and_a_second_run_tells_nothing() {
    let before = contacts().await;
    let mut settings = Settings::example().unwrap();
    let segments = "partners: { description: Partners, when: traits.partner }";
    settings.segments = Segments::parse(segments).unwrap();
    let engine = under(settings, &before).await;
    let all: Vec<_> = engine.store.contacts().into_iter().map(|c| c.id).collect();
    let bus = MemoryBus::default();
    // The first run is interrupted, and goes on from its beginning under the same name.
    let some = all.get(..10).unwrap();
    let ran = engine
        .reevaluate(&bus, &tenant(), some, "run1", now())
        .await;
    assert_eq!(ran.unwrap().done_to.as_ref(), some.last());
    let ran = engine
        .reevaluate(&bus, &tenant(), &all, "run1", now())
        .await;
    let ran = ran.unwrap();
    assert_eq!((ran.contacts, ran.failed), (40, 0));
    let entered = told(&bus)
        .into_iter()
        .filter(|(_, what)| what == "segment_entered {\"segment\":\"partners\"}");
    let entered: Vec<_> = entered.map(|(contact, _)| contact).collect();
    let partners: Vec<_> = (0..40).step_by(4).map(|n| format!("c{n:02}")).collect();
    assert_eq!(entered, partners);
    // Everybody left the segments of the example, which are no more.
    let left = told(&bus);
    let left = left
        .iter()
        .filter(|(_, what)| what.contains("segment_left"));
    assert_eq!(left.count(), 40);
    // Those whom nothing changes are not written, even as time goes on.
    let (so_far, commits) = (bus.published().len(), engine.store.commits());
    let later = now().plus(60);
    let ran = engine
        .reevaluate(&bus, &tenant(), &all, "run2", later)
        .await;
    let ran = ran.unwrap();
    assert_eq!((ran.contacts, ran.events), (40, 0));
    assert_eq!(bus.published().len(), so_far);
    assert_eq!(engine.store.commits(), commits);
}
