//! Runs that are killed at any call: whoever takes them up comes to the same end.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::memory::MemoryStore;
use paygraph_engine::ports::Runs as _;
use paygraph_engine::publish::publish;
use paygraph_engine::run::{Drift, Job, Left, Outcome, Run};
use paygraph_testkit::fake_stripe::FakeStripe;
use paygraph_testkit::world::History;

use super::stack::{Stack, history, local, now, same, whole};
use crate::common::seeds_of;
use crate::stripe_api::default;

/// How often a run is killed.
const KILLS: usize = 100;
/// At how many points a comparison is killed.
const SAMPLES: usize = 12;

/// A future that is dropped after so many polls: each call of the store or of Stripe lets others in,
/// and so needs a poll of its own.
struct Killed<F> {
    work: F,
    polls: usize,
}

impl<F: Future + Unpin> Future for Killed<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        Pin::new(&mut self.work).poll(context).map(Some)
    }
}

fn stack(stripe: &Arc<FakeStripe>) -> Stack {
    let mut stack = Stack::in_process(stripe);
    let store = MemoryStore::new(Settings::example().unwrap());
    stack.engine.store = store.tearing().keeping_history();
    stack
}

/// Does a run straight on. Gives it with what it found, and how many polls it took.
async fn straight_on(stack: &Stack, job: Job) -> (Run, Vec<Drift>, usize) {
    let mut run = stack.begin(job, whole());
    let polls = {
        let mut work = Killed {
            work: pin!(stack.go_on(&mut run)),
            polls: usize::MAX,
        };
        assert_eq!((&mut work).await.unwrap().unwrap(), Left::Nothing);
        usize::MAX - work.polls
    };
    let drift = stack.engine.store.drift(&run).await.unwrap();
    (run, drift, polls)
}

/// Does a run that is killed a hundred times at random calls: mostly soon, and now and then after a
/// part of all `polls`, so that it comes on. All parts together are fewer than a whole run needs, so
/// that it is not done before the last kill. Gives it with what it found.
async fn killed(stack: &Stack, job: Job, polls: usize, seed: u64) -> (Run, Vec<Drift>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let store = &stack.engine.store;
    let (mut run, mut left) = (stack.begin(job, whole()), KILLS);
    let mut room = polls * 19 / 20;
    loop {
        let most = match random.u32(0..10) {
            0 => polls / 8,
            _ => polls / 100,
        };
        let polls = match left {
            0 => usize::MAX,
            _ => random
                .usize(1..most.max(1) + 2)
                .min(room.saturating_sub(left) + 1),
        };
        room = room.saturating_sub(polls);
        let done = {
            let work = pin!(stack.go_on(&mut run));
            (Killed { work, polls }).await
        };
        match done {
            Some(done) => {
                assert_eq!(done.unwrap(), Left::Nothing);
                break;
            }
            None => left -= 1,
        }
        let noted = store.run(&default(), &run.id).await.unwrap();
        let begun = run.clone();
        run = noted
            .unwrap_or_else(|| Run::new(begun.id, begun.tenant, job, whole(), begun.started_at));
        store.end_leases();
    }
    assert_eq!(left, 0, "it was done before all kills");
    // What was committed and not published, the minute's sweep publishes.
    let soon = Timestamp::from_unix(now() + 60).unwrap();
    let pending = store.all_pending(soon);
    publish(store, &stack.bus, &pending).await.unwrap();
    let drift = store.drift(&run).await.unwrap();
    assert!(run.is_complete(), "{:?}", run.counts);
    (run, drift)
}

async fn with_losses(stripe: &Arc<FakeStripe>, history: &History) -> Stack {
    let stack = stack(stripe);
    let mut random = fastrand::Rng::with_seed(7);
    let kept = history.events.iter().filter(|_| random.u32(0..10) > 0);
    stack.deliver(kept).await;
    stack
}

/// N8: an import that is killed a hundred times comes to the same records and the same events.
#[tokio::test]
async fn n8_an_import_survives_a_hundred_kills() {
    let history = history(3, 20);
    let stripe = local(&history);
    let straight = stack(&stripe);
    let (expected, _, polls) = straight_on(&straight, Job::Backfill).await;
    for seed in seeds_of("kills", "PAYGRAPH_KILLS", 1) {
        let other = stack(&stripe);
        let (run, _) = killed(&other, Job::Backfill, polls, seed).await;
        same(&straight, &other);
        assert_eq!(other.told(), straight.told());
        assert_eq!(run.counts.objects, expected.counts.objects);
    }
}

/// N8, T4: a comparison that is killed a hundred times heals and names the same, and nothing stays
/// pending.
#[tokio::test]
async fn n8_t4_a_comparison_survives_a_hundred_kills() {
    let history = history(5, 30);
    let stripe = local(&history);
    let straight = with_losses(&stripe, &history).await;
    let (_, expected, polls) = straight_on(&straight, Job::Reconcile).await;
    let named = |drift: &[Drift]| -> Vec<_> {
        let named = drift.iter();
        let named = named.map(|drift| (drift.class, drift.object.clone(), drift.outcome));
        named.collect()
    };
    assert!(
        expected
            .iter()
            .any(|drift| drift.outcome == Outcome::Healed)
    );
    for seed in seeds_of("kills", "PAYGRAPH_KILLS", 1) {
        let other = with_losses(&stripe, &history).await;
        let (_, drift) = killed(&other, Job::Reconcile, polls, seed).await;
        same(&straight, &other);
        assert_eq!(named(&drift), named(&expected));
        assert_eq!(other.told(), straight.told());
    }
}

/// T4: whenever a comparison is killed, drift stands as healed only if the commit that heals it is
/// done; until then it is pending.
#[tokio::test]
async fn t4_drift_is_healed_only_after_its_commit() {
    let history = history(5, 8);
    let stripe = local(&history);
    let stack = with_losses(&stripe, &history).await;
    let (_, _, all) = straight_on(&stack, Job::Reconcile).await;
    let mut outcomes = BTreeSet::new();
    for kill in 1..=SAMPLES {
        // Second looks come last.
        let polls = all / 2 + all * kill / (2 * SAMPLES);
        outcomes.extend(outcomes_at(&stripe, &history, polls).await);
    }
    let expected = [Outcome::Pending, Outcome::Healed].map(|outcome| format!("{outcome:?}"));
    assert!(
        expected.iter().all(|outcome| outcomes.contains(outcome)),
        "{outcomes:?}"
    );
}

/// The outcomes of the drift of a comparison that is killed after so many polls.
async fn outcomes_at(
    stripe: &Arc<FakeStripe>,
    history: &History,
    polls: usize,
) -> BTreeSet<String> {
    let stack = with_losses(stripe, history).await;
    let mut run = stack.begin(Job::Reconcile, whole());
    {
        let work = pin!(stack.go_on(&mut run));
        (Killed { work, polls }).await;
    }
    let outboxes = stack.engine.store.outboxes();
    let committed: BTreeSet<_> = outboxes
        .iter()
        .filter(|event| event.detail_type == "drift_healed")
        .map(|event| serde_json::to_value(&*event.detail).unwrap()["data"]["object"].clone())
        .map(|object| object.as_str().unwrap().to_owned())
        .collect();
    let drift = stack.engine.store.drift(&run).await.unwrap();
    for drift in drift
        .iter()
        .filter(|drift| drift.outcome == Outcome::Healed)
    {
        assert!(
            committed.contains(&drift.object),
            "after {polls} polls: {drift:?}"
        );
    }
    drift
        .iter()
        .map(|drift| format!("{:?}", drift.outcome))
        .collect()
}
