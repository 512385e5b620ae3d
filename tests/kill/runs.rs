//! An import and a comparison whose process is killed in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use paygraph_bus::Queue;
use paygraph_engine::ports::Runs as _;
use paygraph_engine::run::{Job, Request, Run, Stage};
use paygraph_testkit::fake_stripe::{Config, FakeStripe, Fault, FaultKind};
use paygraph_testkit::world::{History, World};
use paygraph_tests::{DAY, Tenant, now, stack, unique, wait};
use serde_json::{Value, json};

use crate::ALONE;
use crate::broken::{hide_for, kill};

const QUEUE: &str = "jobs_queue_url";
const FUNCTION: &str = "reconcile_function";
/// How long a message of the jobs queue is not seen after it was taken, in the template.
const HIDDEN: u32 = 1_800;
/// The same in this test.
const HIDDEN_HERE: u32 = 5;
/// The token of the first lease of a tenant.
const FIRST_LEASE: u64 = 1;

/// A tenant with a Stripe of its own, and a run of theirs.
struct Subject {
    tenant: Tenant,
    stripe: FakeStripe,
    job: Job,
    run: String,
    /// How many events of theirs the bus had delivered before the run.
    before: usize,
}

impl Subject {
    /// For a comparison, the tenant has the history but for every tenth event. It is connected to
    /// Stripe afterwards: while the events come, nothing is fetched, so that their order is of no
    /// consequence.
    fn new(job: Job, history: &History) -> Self {
        let tenant = Tenant::unique();
        if job == Job::Reconcile {
            let kept = history.events.iter().enumerate();
            let kept = kept.filter(|(place, _)| place % 10 != 3);
            let kept: Vec<_> = kept.map(|(_, event)| event.clone()).collect();
            tenant.post_all(&kept);
            for event in &kept {
                let event: Value = serde_json::from_str(event).unwrap();
                // What follows a charge that was lost is parked.
                let kind = event["data"]["object"]["object"].as_str().unwrap();
                if !["refund", "dispute"].contains(&kind) {
                    tenant.settled(event["id"].as_str().unwrap());
                }
            }
        }
        let stripe = stack().connect_stripe(&tenant.id, Config::default().unlimited());
        stripe.own().hold(history);
        let run = unique("run-");
        // An event leaves a customer as they stood at its time: a tick brings them to this moment.
        let _ = stack().tick(now());
        let before = wait("the bus to be quiet", || {
            let count = || stack().delivered_to(&tenant.id).len();
            let before = count();
            thread::sleep(Duration::from_secs(2));
            (count() == before).then_some(before)
        });
        Self {
            tenant,
            stripe,
            job,
            run,
            before,
        }
    }

    /// Asks for the run, as `paygraph backfill` and `paygraph reconcile` do.
    fn ask(&self) {
        let request = Request {
            tenant: Some(self.tenant.id.clone()),
            run: Some(self.run.clone()),
            second_look_after: 0,
            ..Request::new(self.job)
        };
        let queue = Queue::new(stack().sqs.clone(), stack().local(QUEUE));
        stack().block_on(queue.ask(&request, 0)).unwrap();
    }

    fn look(&self) -> Option<Run> {
        let run = stack().store.run(&self.tenant.id, &self.run);
        stack().block_on(run).unwrap()
    }

    /// Waits until other objects are committed and invoices are not read.
    fn wait_for_the_middle(&self) {
        wait("the middle of the run", || {
            let run = self.look()?;
            (run.stage == Stage::Objects && run.counts.pages > 4).then_some(())
        });
    }

    /// Waits for the run's end.
    fn wait_for_the_end(&self) -> Run {
        let run = wait("the end of the run", || {
            self.look().filter(Run::is_finished)
        });
        assert!(run.is_complete(), "{:?}", run.counts);
        run
    }

    /// Ends the lease of a process that was killed, as time would within 90 seconds.
    fn end_lease(&self) {
        let released = stack().store.release(&self.tenant.id, FIRST_LEASE);
        stack().block_on(released).unwrap();
    }

    /// Every customer as the API shows it, the run's drift, and the events that the bus delivered,
    /// each id once: the run's own by type, and how the customers stand by those since its start.
    fn state(&self) -> Value {
        let run = self.wait_for_the_end();
        let store = &stack().store;
        let everyone = stack()
            .block_on(store.everyone(&self.tenant.id, |_| ()))
            .unwrap();
        let records = everyone.iter().map(|id| {
            let (status, mut record) = self.tenant.ask(&format!("/api/stripe/customer/{id}"));
            assert_eq!(status, 200, "{id}: {record}");
            record["as_of"] = json!(null);
            record
        });
        let records: Vec<_> = records.collect();
        assert!(!records.is_empty());
        let drift = stack().block_on(store.drift(&run)).unwrap();
        let drift: BTreeSet<_> = drift.iter().map(|of| json!(of).to_string()).collect();
        // What was committed and not published, the minute's sweep publishes.
        let _ = stack().tick(now() + 120);
        let (mut told, mut standing) = (BTreeMap::<String, usize>::new(), BTreeMap::new());
        let mut seen = BTreeSet::new();
        let delivered = stack().delivered_to(&self.tenant.id).into_iter();
        for (name, event) in delivered.skip(self.before) {
            let cause = event["cause"].as_str().unwrap();
            // Which contacts the webhooks' events are about depends on the order of the webhooks.
            if cause.starts_with("evt_") || !seen.insert(event["id"].to_string()) {
                continue;
            }
            // How a customer stands follows from time too. The minute's tick may publish a change first,
            // so that each counts whoever published it.
            let changes = changes_of_standing(&name, &event);
            if !changes.is_empty() {
                for (state, change) in changes {
                    *standing.entry(state).or_insert(0) += change;
                }
                continue;
            }
            if cause.starts_with(&self.run) && !name.starts_with("run_") {
                *told.entry(name).or_default() += 1;
            }
        }
        standing.retain(|_, count| *count != 0);
        json!({
            "records": records, "drift": drift, "told": told, "standing": standing,
            "objects": run.counts.objects,
        })
    }
}

/// What an event changes of how a customer stands: states that begin (1) or end (-1), and the points by
/// which the health score moves. Empty for every other event.
fn changes_of_standing(name: &str, event: &Value) -> Vec<(String, i64)> {
    let customer = &event["customer_id"];
    let value = |field: &str| &event["data"][field];
    let state = |field: &str| format!("{customer} {field} {}", value(field));
    let points = |field: &str| value(field).as_i64().unwrap();
    match name {
        "segment_entered" => vec![(state("segment"), 1)],
        "segment_left" => vec![(state("segment"), -1)],
        "risk_signal_raised" => vec![(state("kind"), 1)],
        "risk_signal_cleared" => vec![(state("kind"), -1)],
        "access_changed" => [("before", -1), ("after", 1)]
            .map(|(field, change)| (format!("{customer} access {}", value(field)), change))
            .into(),
        "health_score_changed" => {
            let moved = points("after") - points("before");
            vec![(format!("{customer} health"), moved)]
        }
        "card_expiring" | "subscription_expiring" => vec![(format!("{customer} {name}"), 1)],
        _ => Vec::new(),
    }
}

/// N8: the process that imports and the one that compares are killed in the middle. Whoever takes the
/// runs up comes to the same records, drift and events as runs that nobody kills.
#[test]
fn n8_an_import_and_a_comparison_survive_the_end_of_their_processes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let history = World::new(&unique("k"), 7, now() - 60 * DAY)
        .live(12, 12)
        .finish();
    let [import, compared] = [Job::Backfill, Job::Reconcile].map(|job| {
        let straight = Subject::new(job, &history);
        straight.ask();
        (straight, Subject::new(job, &history))
    });
    let expected = [&import.0, &compared.0].map(Subject::state);

    hide_for(QUEUE, HIDDEN_HERE);
    let killed = [&import.1, &compared.1];
    for subject in killed {
        // The lists of invoices never answer, while all others do.
        let silence = Fault::share(100, "/v1/invoices", FaultKind::Silence);
        subject.stripe.faults([silence]);
        subject.ask();
    }
    for subject in killed {
        subject.wait_for_the_middle();
    }
    assert!(kill(FUNCTION) >= 2, "two processes were at it");
    for subject in killed {
        let run = subject.look().unwrap();
        assert!(run.stage == Stage::Objects, "{:?}", run.stage);
        subject.stripe.faults([]);
        subject.end_lease();
    }
    let found = killed.map(Subject::state);
    hide_for(QUEUE, HIDDEN);
    for (expected, found) in expected.iter().zip(&found) {
        for part in ["records", "drift", "told", "standing", "objects"] {
            assert_eq!(expected[part], found[part], "{part}");
        }
    }
    assert_ne!(expected[1]["drift"], json!([]), "something was healed");
}
