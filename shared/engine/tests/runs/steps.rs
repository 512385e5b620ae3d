//! Runs whose invocations have no time: each does a part and leaves the rest to the next one.

use std::sync::Arc;

use paygraph_engine::ports::Runs as _;
use paygraph_engine::run::{Drift, Job, Left, Run};
use paygraph_testkit::fake_stripe::FakeStripe;
use paygraph_testkit::world::History;
use serde_json::json;

use super::stack::{Stack, history, local, same, whole};

/// The most requests to Stripe within one invocation that has no time: those of one window of looks
/// (`LOOKS`), with the payment methods of these customers.
const MOST_REQUESTS: u64 = 100;
/// More invocations than any of these runs needs.
const MOST_STEPS: usize = 10_000;

/// A Stripe, and a stack without anything.
fn empty_stack(history: &History) -> (Arc<FakeStripe>, Stack) {
    let stripe = local(history);
    let stack = Stack::in_process(&stripe);
    (stripe, stack)
}

/// The customers that are deleted without a webhook: every second one of those that are left.
fn lost_customers(history: &History) -> impl Iterator<Item = &str> {
    let left = history.truths.iter().filter(|truth| !truth.deleted);
    left.step_by(2).map(|truth| truth.customer.as_str())
}

/// A Stripe, and a stack that has imported it and heard nothing since then.
async fn stack_with_losses(history: &History) -> (Arc<FakeStripe>, Stack) {
    let (stripe, stack) = empty_stack(history);
    stack.run(Job::Backfill, whole()).await;
    for id in lost_customers(history) {
        stripe.put(json!({ "id": id, "object": "customer", "deleted": true }));
    }
    (stripe, stack)
}

/// A run that was done in invocations without time.
struct SteppedRun {
    run: Run,
    drift: Vec<Drift>,
    /// The most requests to Stripe within an invocation.
    most: u64,
    /// All requests to Stripe.
    all: u64,
    /// After each invocation: how many objects were read, and the share that the run tells.
    shares: Vec<(u64, u64)>,
}

async fn run_in_steps(stack: &Stack, stripe: &FakeStripe, job: Job) -> SteppedRun {
    let mut run = stack.begin(job, whole());
    let requests = || stripe.stats().requests;
    let (begun, mut most) = (requests(), 0);
    let mut invocations = 0;
    let mut shares = Vec::new();
    loop {
        invocations += 1;
        assert!(invocations <= MOST_STEPS, "the run does not end: {run:?}");
        let before = requests();
        let left = stack.go_on_without_time(&mut run).await.unwrap();
        most = most.max(requests() - before);
        shares.push((run.counts.checked(), run.share_done()));
        if left == Left::Nothing {
            return SteppedRun {
                drift: stack.engine.store.drift(&run).await.unwrap(),
                run,
                most,
                all: requests() - begun,
                shares,
            };
        }
    }
}

/// Compares a run in steps with one that had all the time, and checks that no step was large.
fn check_steps(steps: &SteppedRun, stack: &Stack, straight: (&Stack, &[Drift])) {
    let (run, most) = (&steps.run, steps.most);
    assert!(run.is_complete(), "{:?}", run.counts);
    same(straight.0, stack);
    assert_eq!(steps.drift.len(), straight.1.len());
    assert!(most <= MOST_REQUESTS, "{most} requests in one invocation");
    assert!(
        steps.all > 2 * MOST_REQUESTS,
        "too small to tell: {} requests",
        steps.all
    );
}

/// T9: an import goes on at its checkpoint in every stage, and no invocation grows with the account.
#[tokio::test]
async fn t9_an_import_goes_on_at_its_checkpoint() {
    let history = history(9, 220);
    let (_, straight) = empty_stack(&history);
    straight.run(Job::Backfill, whole()).await;
    let (stripe, stack) = empty_stack(&history);
    let steps = run_in_steps(&stack, &stripe, Job::Backfill).await;
    check_steps(&steps, &stack, (&straight, &[]));
    // The account is far younger than Stripe, whose lists begin before it.
    let all = steps.run.counts.checked();
    let early = steps.shares.iter().filter(|(read, _)| read * 5 < all);
    let told = early.map(|(_, share)| *share).max();
    assert!(
        told.is_some_and(|share| (1..500).contains(&share)),
        "{told:?}"
    );
}

/// T9: a comparison does too, also to find customers that were deleted.
#[tokio::test]
async fn t9_a_comparison_goes_on_at_its_checkpoint() {
    let history = history(9, 100);
    let (_, straight) = stack_with_losses(&history).await;
    let (_, expected) = straight.run(Job::Reconcile, whole()).await;
    let (stripe, stack) = stack_with_losses(&history).await;
    let steps = run_in_steps(&stack, &stripe, Job::Reconcile).await;
    check_steps(&steps, &stack, (&straight, &expected));
    let deleted = steps.drift.iter();
    let deleted = deleted.filter(|drift| drift.field.as_deref() == Some("deleted"));
    assert_eq!(deleted.count(), lost_customers(&history).count());
}
