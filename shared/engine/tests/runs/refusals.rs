//! Commits that the store refuses for good: the run sets their objects aside, and ends.

use std::collections::BTreeSet;
use std::time::Duration;

use paygraph_domain::account::{Object, ObjectKey};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::memory::MemoryStore;
use paygraph_engine::ports::{Commit, Runs as _};
use paygraph_engine::run::{Job, LONGEST_STALL, Left, Outcome, Run, note_stall};
use paygraph_testkit::fake_stripe::{Fault, FaultKind};

use super::stack::{Stack, history, holding, local, whole};

/// Whether the store refuses an object: every tenth.
fn is_refused_id(id: &str) -> bool {
    id.bytes()
        .map(usize::from)
        .sum::<usize>()
        .is_multiple_of(10)
}

fn refuses(commit: &Commit) -> bool {
    let mut keys = commit.objects.keys().map(|(_, key)| key);
    keys.any(|key| !key.is_working_set() && key.id().is_some_and(|id| is_refused_id(id.as_str())))
}

/// The ids of the invoices, charges and sessions that are stored.
fn beside(stack: &Stack) -> BTreeSet<String> {
    let accounts = stack.engine.store.accounts();
    let objects = accounts.iter().flat_map(|(.., beside)| beside);
    let ids = objects.filter_map(|object| match object {
        Object::Invoice(state) => Some(state.invoice.get().id.to_string()),
        Object::Charge(state) => state
            .charge
            .as_ref()
            .map(|charge| charge.get().id.to_string()),
        Object::Checkout(state) => Some(state.get().id.to_string()),
        Object::Customer(_)
        | Object::Subscription(_)
        | Object::PaymentMethod(_)
        | Object::Dispute(_)
        | Object::Discount(_)
        | Object::Schedule(_) => None,
    });
    ids.collect()
}

fn refusing(stack: &mut Stack) {
    let store = MemoryStore::new(Settings::example().unwrap()).keeping_history();
    stack.engine.store = store.refusing(refuses);
}

/// T3: the store refuses every tenth object. The import and the comparison commit all others, name
/// each refused object, count them, and are not complete.
#[tokio::test]
async fn t3_a_run_sets_aside_what_the_store_refuses() {
    let history = history(5, 60);
    let stripe = local(&history);
    let (straight, mut stack) = (Stack::in_process(&stripe), Stack::in_process(&stripe));
    refusing(&mut stack);
    straight.run(Job::Backfill, whole()).await;
    let all = beside(&straight);
    let expected: BTreeSet<_> = all.iter().filter(|id| is_refused_id(id)).cloned().collect();
    assert!(expected.len() > 20, "{}", expected.len());

    for job in [Job::Backfill, Job::Reconcile] {
        let mut run = stack.begin(job, whole());
        assert_eq!(stack.go_on(&mut run).await.unwrap(), Left::Nothing);
        assert!(run.is_finished() && !run.is_complete());
        let failures = stack.engine.store.failures(&run).await.unwrap();
        let named: BTreeSet<_> = failures.iter().map(|f| f.object.clone()).collect();
        let unnamed: Vec<_> = expected.difference(&named).collect();
        assert!(unnamed.is_empty(), "{job:?} does not name {unnamed:?}");
        assert!(
            failures
                .iter()
                .all(|f| f.reason.contains("refused for good")),
            "{failures:?}"
        );
        assert_eq!(
            run.counts.failed_total,
            u64::try_from(failures.len()).unwrap()
        );
        assert_eq!(run.counts.failed.len(), failures.len().min(100));
        // All others are there.
        let others: BTreeSet<_> = all.difference(&expected).cloned().collect();
        assert_eq!(beside(&stack), others, "{job:?}");
        // T4: what was not committed is not told as healed.
        let drift = stack.engine.store.drift(&run).await.unwrap();
        for drift in &drift {
            let is_named = named.contains(drift.object.as_str());
            assert_eq!(drift.outcome == Outcome::Failed, is_named, "{drift:?}");
            assert_ne!(drift.outcome, Outcome::Pending);
        }
    }
}

/// T3: more objects are refused than the run names in its record: the count and the list are whole.
#[tokio::test]
async fn t3_all_refused_objects_are_counted_and_listed() {
    let history = history(7, 120);
    let stripe = local(&history);
    let mut stack = Stack::in_process(&stripe);
    let store = MemoryStore::new(Settings::example().unwrap());
    stack.engine.store = store.refusing(|commit| {
        commit
            .objects
            .iter()
            .any(|((_, key), _)| matches!(key, ObjectKey::Invoice(..)))
    });
    let mut run = stack.begin(Job::Backfill, whole());
    assert_eq!(stack.go_on(&mut run).await.unwrap(), Left::Nothing);
    let invoices = history.objects["invoice"].len();
    assert!(invoices > 100);
    let failures = stack.engine.store.failures(&run).await.unwrap();
    let total = usize::try_from(run.counts.failed_total).unwrap();
    assert_eq!(
        (failures.len(), total, run.counts.failed.len()),
        (invoices, invoices, 100)
    );
    assert_eq!(run.shown()["failed_total"], invoices);
}

/// T3: a run without progress for 30 minutes stops, and gives its reason; one with progress does not.
#[tokio::test]
async fn t3_a_run_without_progress_stops_with_its_reason() {
    let history = history(11, 4);
    let stripe = holding(&history).await;
    stripe.faults([Fault::next(
        10_000,
        "/v1/invoices",
        FaultKind::TooMany {
            retry_after: Some("100".to_owned()),
        },
    )]);
    let stack = Stack::new(&stripe);
    let mut run = stack.begin(Job::Backfill, whole());
    let error = stack.go_on_patiently(&mut run, 1).await.unwrap_err();
    assert!(!error.is_final() && !run.stopped, "{error}");
    let wait = run.wait.clone().unwrap();
    assert!(wait.reason.contains("limits the rate"), "{wait:?}");
    assert!(run.stalled_since.is_some());
    run.stalled_since = Some(run.noted_at.plus(-LONGEST_STALL));
    stack.go_on_patiently(&mut run, 1).await.unwrap_err();
    let problem = run.problem.clone().unwrap();
    assert!(
        run.stopped && problem.starts_with("it made no progress for 30 minutes: reading invoices"),
        "{problem}"
    );
    // Somebody takes it up again once Stripe answers.
    stripe.faults([]);
    run.stalled_since = None;
    assert_eq!(stack.go_on(&mut run).await.unwrap(), Left::Nothing);
    assert!(run.is_complete() && run.stalled_since.is_none() && run.wait.is_none());
}

/// T3: whoever does a run dies each time. The watch stops it after 30 minutes without progress.
#[tokio::test]
async fn t3_a_run_whose_workers_die_stops() {
    let history = history(11, 2);
    let stack = Stack::in_process(&local(&history));
    let store = &stack.engine.store;
    let mut run: Run = stack.begin(Job::Backfill, whole());
    let begun = run.started_at;
    let minutes = |minutes: i64| -> Timestamp { begun.plus(minutes * 60) };
    assert!(!note_stall(store, &mut run, minutes(5)).await.unwrap());
    assert!(!note_stall(store, &mut run, minutes(30)).await.unwrap());
    assert!(note_stall(store, &mut run, minutes(35)).await.unwrap());
    let noted = store.run(&run.tenant, &run.id).await.unwrap().unwrap();
    assert!(noted.stopped);
    assert!(
        noted
            .problem
            .unwrap()
            .starts_with("it made no progress for 30 minutes")
    );
}

/// U21: while Stripe gives no answer, the record of the run says that it waits for one. The wait is
/// cleared by the first answer.
#[tokio::test(start_paused = true)]
async fn u21_a_run_says_that_stripe_does_not_answer() {
    let stripe = local(&history(1, 10));
    let stack = Stack::in_process(&stripe);
    let retry_after = Some("25".to_owned());
    stripe.faults([Fault::next(3, "/v1/", FaultKind::TooMany { retry_after })]);
    let mut run = stack.begin(Job::Backfill, whole());
    let noted = run.clone();
    let look = async {
        let mut waits = Vec::new();
        for _ in 0..24 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let seen = stack
                .engine
                .store
                .run(&noted.tenant, &noted.id)
                .await
                .unwrap();
            let seen = seen.expect("noted at its beginning");
            waits.extend(seen.wait.map(|wait| wait.reason));
        }
        waits
    };
    let (left, waits) = tokio::join!(stack.go_on(&mut run), look);
    assert_eq!(left.unwrap(), Left::Nothing);
    assert_eq!(
        waits.first().map(String::as_str),
        Some("Stripe has not answered for 10 s, and is asked again")
    );
    assert_eq!(run.wait, None);
    assert!(run.is_complete());
}
