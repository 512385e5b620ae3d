//! The record against the truth: small histories of a simulated Stripe, each delivered shuffled and
//! doubled to several workers at once over torn reads. The record must be the one that the order of
//! events gives, and what the simulation says it came to; but for what the record itself marks as
//! undecided, which must be rare.
//!
//! `PAYGRAPH_HISTORIES` and `PAYGRAPH_SEED` set how many histories there are, and the first of their
//! seeds. A failure names its seed; seeds that once failed are kept below.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

mod contact;
pub mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::{
    TestEngine, differences, engine, feed, seeds, shuffled, state, tenant, torn_engine,
};
use paygraph_engine::memory::MemoryBus;
use paygraph_testkit::world::{History, Shape, World};
use serde_json::Value;

use self::truth::Way;

/// Seeds that once failed, beyond those that are always run. (A seed means another history when the
/// world changes: what it found is best kept as a test of its own.)
const KEPT: [u64; 0] = [];
/// The most snapshots of one second that an object keeps (ARCHITECTURE.md, "Nothing inside an item
/// grows without bound").
const MAX_SNAPSHOTS: usize = 8;
/// How many failures end the search for more.
pub const MOST_FAILURES: usize = 5;
/// A place beyond all seeds.
const STOP: u64 = u64::MAX / 2;

/// What is counted over all histories.
#[derive(Debug, Default)]
struct Count {
    histories: u64,
    events: usize,
    /// Histories in which an object changed more than once within a second.
    same_second: u64,
    /// Histories in which an object had more snapshots within a second than it keeps: its newest one
    /// is undecided on purpose.
    crowded: u64,
    /// Other histories that left something undecided.
    undecided: u64,
    /// What that was, by kind.
    kinds: BTreeMap<&'static str, u64>,
}

/// D1–D9, D13, D14, L1–L16: in any order, to any number of workers, the record is the truth.
#[test]
fn the_record_is_the_truth_in_any_order() {
    let (next, count) = (AtomicU64::new(0), Mutex::new(Count::default()));
    let failures = Mutex::new(Vec::new());
    let seeds: Vec<u64> = KEPT.into_iter().chain(seeds("events")).collect();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(seed) = place(&next).and_then(|place| seeds.get(place)) {
                    if let Err(failure) = check(*seed, size(*seed), &count) {
                        let mut failures = failures.lock().unwrap();
                        failures.push((*seed, failure));
                        if failures.len() >= MOST_FAILURES {
                            next.store(STOP, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    if let Some((seed, failure)) = failures.first() {
        let (customers, steps, failure) = smallest(*seed).unwrap_or((0, 0, failure.clone()));
        assert!(
            failures.is_empty(),
            "seed {seed}, {customers} customers, {steps} steps: {failure}; all: {failures:#?}"
        );
    }
    let count = count.into_inner().unwrap();
    println!("{count:?}");
    assert!(
        count.undecided * 100 < count.same_second,
        "too much is left undecided: {count:?}"
    );
    assert!(
        count.crowded * 10 < count.histories,
        "too many seconds are crowded: {count:?}"
    );
}

fn place(next: &AtomicU64) -> Option<usize> {
    usize::try_from(next.fetch_add(1, Ordering::Relaxed)).ok()
}

/// How many customers and steps the history of a seed has.
fn size(seed: u64) -> (u32, u32) {
    let mut random = fastrand::Rng::with_seed(!seed);
    let customers = random.choice([1, 1, 1, 2, 2, 3]).unwrap_or(1);
    (customers, random.u32(10..=25))
}

/// The smallest history of a seed that fails.
fn smallest(seed: u64) -> Option<(u32, u32, String)> {
    let (most, longest) = size(seed);
    let sizes = (1..=most).flat_map(|customers| (1..=longest).map(move |steps| (customers, steps)));
    sizes.into_iter().find_map(|(customers, steps)| {
        let failed = check(seed, (customers, steps), &Mutex::default()).err();
        failed.map(|failure| (customers, steps, failure))
    })
}

fn check(seed: u64, (customers, steps): (u32, u32), count: &Mutex<Count>) -> Result<(), String> {
    let history = World::new("m", seed, 1_790_000_000)
        .with(Shape::ALL)
        .live(customers, steps)
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let (straight, torn) = runtime.block_on(async {
        let straight = engine();
        for event in &history.events {
            feed(&straight, &MemoryBus::default(), event).await;
        }
        (straight, deliver(&history, seed).await)
    });
    let (expected, found) = (state(&straight), state(&torn));
    if expected != found {
        let mut different = Vec::new();
        differences("", &expected, &found, &mut different);
        return Err(format!("{different:#?}"));
    }
    if !torn.store.all_parked().is_empty() {
        return Err("something still waits".to_owned());
    }
    if torn.store.commits() != history.events.len() {
        let (events, commits) = (history.events.len(), torn.store.commits());
        return Err(format!("{commits} commits of {events} events"));
    }
    // A guest is a customer of its own here, under the session's id.
    let truths = [history.truths.as_slice(), &history.guests].concat();
    let catalog = straight.store.whole_catalog(&tenant());
    let stored = (&straight.store, &catalog);
    let undecided = truth::compare(Way::Events, stored, &truths, history.now)?;
    note(&mut count.lock().unwrap(), &history, &undecided);
    Ok(())
}

/// Delivers a history shuffled, with every third event twice, to two to four workers at once.
async fn deliver(history: &History, seed: u64) -> TestEngine {
    let engine = torn_engine();
    let events = shuffled(&history.events, seed, history.events.len() / 3);
    let workers = usize::try_from(2 + seed % 3).unwrap();
    let bus = MemoryBus::default();
    futures::future::join_all((0..workers).map(|worker| {
        let (engine, bus) = (&engine, &bus);
        let own = events.iter().skip(worker).step_by(workers);
        async move {
            for event in own {
                feed(engine, bus, event).await;
            }
        }
    }))
    .await;
    engine
}

fn note(count: &mut Count, history: &History, undecided: &BTreeSet<&'static str>) {
    count.histories += 1;
    count.events += history.events.len();
    let snapshots = snapshots_within_a_second(&history.events);
    count.same_second += u64::from(snapshots > 1);
    if snapshots > MAX_SNAPSHOTS {
        count.crowded += 1;
        return;
    }
    count.undecided += u64::from(!undecided.is_empty());
    for kind in undecided {
        *count.kinds.entry(kind).or_default() += 1;
    }
}

/// The most different snapshots that an object has within one second.
fn snapshots_within_a_second(events: &[String]) -> usize {
    let mut snapshots: BTreeMap<(String, i64), BTreeSet<String>> = BTreeMap::new();
    for event in events {
        let event: Value = serde_json::from_str(event).unwrap();
        let object = &event["data"]["object"];
        let key = (
            object["id"].as_str().unwrap().to_owned(),
            event["created"].as_i64().unwrap(),
        );
        snapshots.entry(key).or_default().insert(object.to_string());
    }
    snapshots.values().map(BTreeSet::len).max().unwrap_or(0)
}
