//! The record against the truth, by way of the import and of the comparison with Stripe.
//!
//! Each history lives in a fake Stripe in the same process. An import into an empty table must come
//! to the truth. So must a comparison after a part of the webhooks was lost; a second one finds
//! nothing.
//!
//! `PAYGRAPH_HISTORIES` sets how many histories there are, and `PAYGRAPH_SEED` the first of their
//! seeds; without it, the first seed changes every day. A failure names its seed.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use paygraph_engine::ports::Runs as _;
use paygraph_engine::run::{Job, Left};
use paygraph_testkit::world::{History, Shape, Truth, World};

use super::stack::{Stack, local, stop_clock, whole};
use crate::common::{seeds, tenant};
use crate::model::MOST_FAILURES;
use crate::model::truth::{self, Way};

/// Checks every history on two threads, and names the seeds of the first that fail.
fn for_each_history(name: &str, check: impl AsyncFn(u64, &History) -> Result<(), String> + Sync) {
    let seeds = seeds(name);
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(BTreeSet::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let history = history(seed);
                    if let Err(failure) = runtime.block_on(check(seed, &history)) {
                        let mut failed = failed.lock().unwrap();
                        failed.insert((seed, failure));
                        if failed.len() >= MOST_FAILURES {
                            next.store(seeds.end, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{name}: by seed: {failed:#?}");
}

/// When every world begins.
const START: i64 = 1_790_000_000;
/// How long after the last event Stripe is asked (seconds).
const LATER: i64 = 60;

/// A stack over a Stripe that has lived through a history. Both have the clock of the history's end.
fn stack_over(history: &History) -> Stack {
    let stripe = local(history);
    stripe.set_now(history.now);
    stop_clock(history.now);
    Stack::in_process(&stripe)
}

fn history(seed: u64) -> History {
    let mut random = fastrand::Rng::with_seed(!seed);
    let (customers, steps) = (random.u32(1..=3), random.u32(10..=25));
    World::new("m", seed, START)
        .with(Shape::ALL)
        .live(customers, steps)
        .rest(LATER)
        .finish()
}

/// The truth of every customer and guest. A guest is a customer of its own here, under the id of the
/// session.
fn truths(history: &History) -> Vec<Truth> {
    [history.truths.as_slice(), &history.guests].concat()
}

/// An import into an empty table comes to the truth, and a second one commits nothing. U11: a
/// comparison of the same finds nothing.
#[test]
fn u11_an_import_comes_to_the_truth() {
    for_each_history("import", async |_: u64, history: &History| {
        let stack = stack_over(history);
        stack.run(Job::Backfill, whole()).await;
        compare(Way::Import, &stack, history)?;
        let commits = stack.commits();
        let (again, _) = stack.run(Job::Backfill, whole()).await;
        if (again.counts.committed, stack.commits()) != (0, commits) {
            return Err(format!(
                "a second import made {} commits",
                again.counts.committed
            ));
        }
        // It may take in payment methods that are no default ones: an import does not ask for them.
        let (compared, drift) = stack.run(Job::Reconcile, whole()).await;
        let counts = (compared.counts.differed, compared.counts.in_flight);
        if counts != (0, 0) || !drift.is_empty() {
            return Err(format!("after an import, {counts:?} differ: {drift:#?}"));
        }
        finds_nothing(&stack, "after an import and a comparison").await
    });
}

/// T10: after a tenth of the webhooks was lost, or 15 % of them, a comparison restores the truth,
/// and the second one finds nothing.
#[test]
fn t10_a_comparison_restores_the_truth_and_the_second_finds_nothing() {
    for_each_history("comparison", async |seed: u64, history: &History| {
        let stack = stack_over(history);
        let mut random = fastrand::Rng::with_seed(seed);
        let lost = if seed.is_multiple_of(2) { 10 } else { 15 };
        let kept = history.events.iter().filter(|_| random.u32(0..100) >= lost);
        stack.deliver(kept).await;
        let (_, drift) = stack.run(Job::Reconcile, whole()).await;
        let known = compare(Way::Comparison, &stack, history);
        known.map_err(|error| format!("{error}; healed {drift:#?}"))?;
        finds_nothing(&stack, "after a comparison").await
    });
}

/// Compares all that a stack has with the truth of a history.
fn compare(way: Way, stack: &Stack, history: &History) -> Result<(), String> {
    let store = &stack.engine.store;
    let stored = (store, &store.whole_catalog(&tenant()));
    truth::compare(way, stored, &truths(history), history.now).map(|_| ())
}

/// A comparison finds nothing, and commits nothing.
async fn finds_nothing(stack: &Stack, when: &str) -> Result<(), String> {
    let commits = stack.commits();
    let mut run = stack.begin(Job::Reconcile, whole());
    let left = stack
        .go_on(&mut run)
        .await
        .map_err(|error| error.to_string())?;
    let drift = stack.engine.store.drift(&run).await.unwrap();
    let counts = &run.counts;
    let found = (
        counts.differed,
        counts.in_flight,
        counts.committed,
        counts.failures(),
    );
    if left == Left::Nothing
        && found == (0, 0, 0, 0)
        && drift.is_empty()
        && stack.commits() == commits
    {
        return Ok(());
    }
    Err(format!(
        "{when}, a comparison found {found:?} (differed, in flight, committed, failed), {} commits, {drift:#?}",
        stack.commits() - commits
    ))
}
