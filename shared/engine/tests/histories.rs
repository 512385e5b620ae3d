//! Whole histories through the engine: any order, any duplication, many workers at once.
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::common::{differences, engine, feed, run, shuffled, state, torn_engine};
use paygraph_engine::memory::MemoryBus;
use paygraph_engine::process::Done;
use paygraph_testkit::world::{Shape, World};
use proptest::prelude::*;
use serde_json::Value;

fn history(seed: u64, customers: u32, steps: u32) -> Vec<String> {
    let world = World::new("w", seed, 1_790_000_000).with(Shape::ALL);
    world.run(customers, steps)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// D1–D9, D14: the end state is the same for every order and duplication.
    #[test]
    fn d1_d7_d9_d14_any_order_and_duplication_gives_the_same_state(seed: u64, order: u64) {
        let events = history(seed, 2, 25);
        let (straight, other) = (engine(), engine());
        run(async {
            let bus = MemoryBus::default();
            for event in &events {
                feed(&straight, &bus, event).await;
            }
            for event in shuffled(&events, order, events.len() / 3) {
                feed(&other, &bus, &event).await;
            }
        });
        let mut different = Vec::new();
        differences("", &state(&straight), &state(&other), &mut different);
        prop_assert!(different.is_empty(), "{:#?}", different);
        prop_assert!(other.store.all_parked().is_empty());
    }

    /// D1, D3, D6: a second delivery changes nothing and emits nothing, however late.
    #[test]
    fn d1_d6_a_second_delivery_changes_and_emits_nothing(seed: u64) {
        let events = history(seed, 2, 20);
        let engine = engine();
        let bus = MemoryBus::default();
        run(async {
            for event in &events {
                feed(&engine, &bus, event).await;
            }
            let (before, commits, published) = (state(&engine), engine.store.commits(), bus.published().len());
            for event in &events {
                assert!(matches!(feed(&engine, &bus, event).await, Done::Duplicate(_)));
            }
            assert_eq!(state(&engine), before);
            assert_eq!(engine.store.commits(), commits);
            assert_eq!(bus.published().len(), published);
        });
    }
}

/// D2, D12, N3: many workers at once over torn reads; each event is committed once, and the end
/// state is that of one worker.
#[test]
fn d2_d12_n3_concurrent_workers_over_torn_reads_agree() {
    for seed in 0..12 {
        let events = history(seed, 3, 20);
        let straight = engine();
        let torn = Arc::new(torn_engine());
        let bus = Arc::new(MemoryBus::default());
        run(async {
            for event in &events {
                feed(&straight, &MemoryBus::default(), event).await;
            }
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> = shuffled(&events, seed, events.len())
                .into_iter()
                .map(|event| {
                    let (engine, bus) = (Arc::clone(&torn), Arc::clone(&bus));
                    tokio::spawn(async move { feed(&engine, &bus, &event).await })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(state(&straight), state(&torn), "seed {seed}");
        let ids: BTreeSet<_> = events
            .iter()
            .map(|e| {
                serde_json::from_str::<Value>(e).unwrap()["id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(torn.store.commits(), ids.len());
        let published: BTreeSet<_> = bus
            .published()
            .iter()
            .map(|e| e.detail.id.clone())
            .collect();
        let committed: BTreeSet<_> = torn
            .store
            .outboxes()
            .iter()
            .map(|e| e.detail.id.clone())
            .collect();
        assert_eq!(
            published, committed,
            "0 lost, and every repeat has the same id"
        );
    }
}
