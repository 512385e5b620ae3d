//! A worker that dies between commit and publish leaves nothing unpublished.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::Deadline;
use paygraph_engine::envelope::{Envelope, Outgoing};
use paygraph_engine::memory::{MemoryBus, MemoryStore, StoppedClock};
use paygraph_engine::ports::{
    Commit, LedgerEntry, PENDING_SHARDS, Publisher, Store as _, Unpublished, shards_from,
};
use paygraph_engine::process::{Done, Engine};
use paygraph_testkit::world::World;
use paygraph_tick::{Swept, sweep};

/// D5: what was committed and never published is published by the sweep, once it is a minute old.
#[tokio::test]
async fn d5_the_sweep_publishes_what_a_dead_worker_left() {
    let clock = StoppedClock(Timestamp::from_unix(1_790_000_000).unwrap());
    let store = MemoryStore::new(Settings::example().unwrap());
    let engine = Engine::alone(store, clock);
    let tenant = TenantId::parse("default").unwrap();
    let mut expected = 0;
    for event in World::new("w", 7, 1_790_000_000).run(1, 10) {
        let deadline = Deadline::after(Duration::from_secs(60));
        let processed = engine
            .process(&tenant, &event, Source::Webhook, deadline)
            .await
            .unwrap();
        if let Done::Committed(entry) = processed.done {
            expected += entry.outbox.len();
        }
    }
    let (bus, left) = (MemoryBus::default(), Duration::from_secs(60));
    let early = sweep(&engine.store, &bus, clock.0.plus(60), left).await;
    assert_eq!(early, Swept::default());
    let swept = sweep(&engine.store, &bus, clock.0.plus(61), left).await;
    assert!(swept.published > 0 && swept.waiting == 0);
    assert_eq!(bus.published().len(), expected);
    let again = sweep(&engine.store, &bus, clock.0.plus(120), left).await;
    assert_eq!(again, Swept::default());
}

/// An entry of a cause, with one event of a type.
fn entry(cause: &str, detail_type: &str) -> LedgerEntry {
    let tenant = TenantId::parse("default").unwrap();
    let cause = Cause::parse(cause).unwrap();
    let at = Timestamp::from_unix(1_790_000_000).unwrap();
    let detail = Envelope {
        version: 1,
        id: format!("{cause}#0"),
        tenant: tenant.clone(),
        customer_id: None,
        stripe_customer_id: None,
        occurred_at: at,
        source: Source::Webhook,
        cause: cause.clone(),
        data: serde_json::json!({}),
    };
    LedgerEntry {
        tenant,
        cause,
        event_type: "customer.updated".to_owned(),
        at,
        processed_at: at,
        disposition: "applied".to_owned(),
        outbox: vec![Outgoing {
            detail_type: detail_type.to_owned(),
            detail: Arc::new(detail),
        }],
    }
}

async fn store_with(entries: &[LedgerEntry]) -> MemoryStore {
    let store = MemoryStore::new(Settings::example().unwrap());
    for entry in entries {
        let mut commit = Commit::new(entry.tenant.clone());
        commit.ledger = Some(entry.clone());
        store.commit(&commit).await.unwrap();
    }
    store
}

/// S3: an entry that the bus refuses for good is set aside with the reason. The others are published,
/// and the next minute has nothing to do.
#[tokio::test]
async fn s3_an_entry_that_the_bus_refuses_is_set_aside() {
    let long = "stripe.".to_owned() + &"x".repeat(300);
    let entries: Vec<_> = (0..40)
        .map(|n| match n {
            7 => entry("evt_7", &long),
            n => entry(&format!("evt_{n}"), "mrr_changed"),
        })
        .collect();
    let (store, bus) = (store_with(&entries).await, MemoryBus::default());
    let now = Timestamp::from_unix(1_790_000_061).unwrap();
    let left = Duration::from_secs(60);
    let swept = sweep(&store, &bus, now, left).await;
    assert_eq!((swept.waiting, swept.failed), (0, 0));
    assert_eq!(bus.published().len(), 39);
    let aside = store.set_aside_entries();
    let [(cause, reason)] = aside.as_slice() else {
        panic!("{aside:?}");
    };
    assert_eq!(cause.as_str(), "evt_7");
    assert!(
        reason.ends_with("InvalidArgument: the entry is over a limit"),
        "{reason}"
    );
    assert_eq!(sweep(&store, &bus, now, left).await, Swept::default());
}

/// A bus that never takes events of one type.
struct Stuck(MemoryBus);

impl Publisher for Stuck {
    async fn publish(&self, events: &[&Outgoing]) -> Unpublished {
        let is_stuck = |event: &Outgoing| event.detail_type == "stuck";
        let free: Vec<_> = events
            .iter()
            .copied()
            .filter(|event| !is_stuck(event))
            .collect();
        self.0.publish(&free).await;
        let waiting = events
            .iter()
            .enumerate()
            .filter(|(_, event)| is_stuck(event));
        Unpublished {
            waiting: waiting.map(|(place, _)| place).collect(),
            ..Unpublished::default()
        }
    }
}

/// S3: hundreds of entries that the bus does not take now stand before the others in every shard, and
/// hold up none of them.
#[tokio::test]
async fn s3_entries_that_wait_hold_up_no_other() {
    let stuck = (0..2_000).map(|n| entry(&format!("evt_a{n}"), "stuck"));
    let free = (0..50).map(|n| entry(&format!("evt_b{n}"), "mrr_changed"));
    let entries: Vec<_> = stuck.chain(free).collect();
    let (store, bus) = (store_with(&entries).await, Stuck(MemoryBus::default()));
    let now = Timestamp::from_unix(1_790_000_061).unwrap();
    let swept = sweep(&store, &bus, now, Duration::from_secs(60)).await;
    assert_eq!((swept.published, swept.waiting), (50, 2_000));
    assert_eq!(bus.0.published().len(), 50);
}

/// S3: each minute begins at another shard, and goes through all of them.
#[test]
fn s3_each_minute_begins_at_another_shard() {
    let at = |minute: i64| Timestamp::from_unix(1_790_000_000 + minute * 60).unwrap();
    let order = |minute| shards_from(at(minute), PENDING_SHARDS).collect::<Vec<_>>();
    let firsts: BTreeSet<u64> = (0..16).map(|minute| order(minute)[0]).collect();
    assert_eq!(firsts.len(), 16);
    for minute in 0..16 {
        let all: BTreeSet<u64> = order(minute).into_iter().collect();
        assert_eq!(all, (0..16).collect());
    }
}
