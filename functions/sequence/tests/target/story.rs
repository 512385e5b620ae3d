//! Sequences through simulated time.

use paygraph_domain::fact::Source;
use paygraph_domain::settings::Settings;
use paygraph_engine::publish::publish;
use paygraph_sequence::handler::Input;
use serde_json::{Value, json};

use crate::support::*;

const RECOVERY: &str = "failed_payment_recovery";

fn step(at: i64, name: &str) -> (i64, String, String) {
    (at, RECOVERY.to_owned(), name.to_owned())
}

/// Three steps over seven days, with two overlapping ticks every hour: each comes once, at its time.
#[tokio::test]
async fn three_steps_over_seven_days_come_at_their_times_and_once() {
    let stack = Stack::new();
    stack.failing().await;
    for hour in 0..(8 * 24) {
        let at = hour * 3_600 + 2;
        tokio::join!(stack.minute(at), stack.minute(at));
    }
    // The failure was in second 2; the function heard of it in second 5.
    let expected = [
        step(5, "notice"),
        step(2 + 3 * DAY, "banner"),
        step(2 + 7 * DAY, "last_notice"),
    ];
    assert_eq!(stack.steps(), expected);
    assert_eq!(stack.state(RECOVERY), Some("done"));
    assert_eq!(stack.minute(30 * DAY).await.enrolments, 0);
}

/// L8: once it is paid, the sequence is left, by the event and by the step that looks.
#[tokio::test]
async fn l8_it_is_left_the_moment_it_is_paid() {
    for heard in [true, false] {
        let stack = Stack::new();
        stack.failing().await;
        stack.minute(3 * DAY + 2).await;
        let paid = [invoice("invoice.paid", 1, 2)];
        let bodies = stack.feed(4 * DAY, Source::Webhook, &paid).await;
        if heard {
            stack.hear(4 * DAY + 1, &bodies).await;
            assert_eq!(stack.state(RECOVERY), Some("left"));
        }
        let before = if heard { "left" } else { "running" };
        assert_eq!(stack.state(RECOVERY), Some(before));
        stack.minute(8 * DAY).await;
        assert_eq!(stack.steps().len(), 2);
        assert_eq!(stack.state(RECOVERY), Some("left"));
    }
}

/// The next failure is a new reason.
#[tokio::test]
async fn a_new_failure_after_the_end_enrols_again_and_an_old_one_does_not() {
    let stack = Stack::new();
    let old = stack.failing().await;
    let paid = stack
        .feed(DAY, Source::Webhook, &[invoice("invoice.paid", 1, 2)])
        .await;
    stack.hear(DAY, &paid).await;
    let failed = [invoice("invoice.payment_failed", 2, 1)];
    let again = stack.feed(2 * DAY, Source::Webhook, &failed).await;
    // The first failure comes once more while the second one stands.
    stack.hear(2 * DAY, &old).await;
    assert_eq!(stack.state(RECOVERY), Some("left"));
    stack.hear(2 * DAY, &again).await;
    stack.hear(2 * DAY, &again).await;
    assert_eq!(stack.enrolment(RECOVERY).unwrap().n, 2);
    assert_eq!(stack.steps(), [step(5, "notice"), step(2 * DAY, "notice")]);
}

/// N20: the bus delivers the recovery before the failure.
#[tokio::test]
async fn n20_who_has_paid_by_now_is_not_enrolled() {
    let stack = Stack::new();
    let events = [
        customer(),
        subscription("customer.subscription.created", PRO, &json!({})),
        invoice("invoice.payment_failed", 1, 1),
        invoice("invoice.paid", 1, 2),
    ];
    let mut bodies = stack.feed(0, Source::Webhook, &events).await;
    bodies.reverse();
    stack.hear(5, &bodies).await;
    assert_eq!(stack.enrolment(RECOVERY), None);
}

/// N21: neither an import nor what is three days old starts anything, and drafts do not either.
#[tokio::test]
async fn n21_history_and_drafts_start_nothing() {
    let events = [
        customer(),
        subscription("customer.subscription.created", PRO, &json!({})),
        invoice("invoice.payment_failed", 1, 1),
    ];
    let drafts = Stack::with(Settings::example().unwrap());
    for (stack, source, at) in [
        (Stack::new(), Source::Backfill, 5),
        (Stack::new(), Source::Webhook, 3 * DAY + 60),
        (drafts, Source::Webhook, 5),
    ] {
        let bodies = stack.feed(0, source, &events).await;
        assert!(!bodies.is_empty());
        stack.hear(at, &bodies).await;
        assert!(stack.store.all_enrolments().is_empty());
    }
}

/// D5, N19: killed between commit and publish, the step is published by the sweep, and not again by
/// the next minute.
#[tokio::test]
async fn d5_n19_a_step_that_was_committed_and_not_published_is_published_once() {
    let stack = Stack::new();
    stack.failing().await;
    let due = time(3 * DAY + 2);
    let dead = stack.target(3 * DAY + 2, Dead);
    let done = dead.sequencer.tick(&Dead, due, deadline()).await.unwrap();
    assert_eq!((done.enrolments, done.steps), (1, 1));
    assert_eq!(stack.minute(3 * DAY + 60).await.enrolments, 0);
    assert_eq!(stack.steps().len(), 1);
    let left = stack.store.all_pending(due.plus(60));
    let left: Vec<_> = left
        .into_iter()
        .filter(|entry| entry.event_type == "sequence")
        .collect();
    publish(&stack.store, &stack.bus, &left).await.unwrap();
    assert_eq!(
        stack.steps(),
        [step(5, "notice"), step(2 + 3 * DAY, "banner")]
    );
    let cause = left.first().map(|entry| entry.cause.to_string());
    let expected = format!("sequence:{RECOVERY}:cus_1:1:banner");
    assert_eq!(cause, Some(expected));
}

/// A trial that nears its end, by its segment; who uses the product a lot is offered a discount.
#[tokio::test]
async fn an_upgrade_and_a_cancellation_have_their_sequences() {
    let stack = Stack::new();
    let canceled = json!({ "status": "canceled", "ended_at": NOW + 2, "canceled_at": NOW + 2,
        "cancellation_details": { "reason": "cancellation_requested" } });
    let events = [
        customer(),
        subscription("customer.subscription.created", INDIVIDUAL, &json!({})),
        subscription("customer.subscription.updated", PRO, &json!({})),
    ];
    let bodies = stack.feed(0, Source::Webhook, &events).await;
    stack.hear(5, &bodies).await;
    let steps: Vec<_> = stack.steps().into_iter().map(|(.., step)| step).collect();
    assert_eq!(steps, ["thanks", "team"]);
    let events = [subscription(
        "customer.subscription.deleted",
        PRO,
        &canceled,
    )];
    let bodies = stack.feed(DAY, Source::Webhook, &events).await;
    stack.hear(DAY + 5, &bodies).await;
    assert_eq!(stack.state("upgrade_celebration"), Some("left"));
    assert_eq!(stack.state("cancellation_win_back"), Some("running"));
}

/// The trigger may be a segment that the contact enters, also when only time has passed.
#[tokio::test]
async fn entering_a_segment_enrols_as_long_as_the_contact_is_in_it() {
    let trial = json!({ "status": "trialing", "trial_start": NOW, "trial_end": NOW + 2 * DAY });
    let events = [
        customer(),
        subscription("customer.subscription.created", PRO, &trial),
    ];
    let stack = Stack::new();
    let bodies = stack.feed(0, Source::Webhook, &events).await;
    assert!(bodies.iter().any(|body| body.contains("segment_entered")));
    stack.hear(5, &bodies).await;
    assert_eq!(stack.state("trial_expiry"), Some("running"));
    assert_eq!(stack.steps().len(), 1);
    // Nobody uses the product much: no discount, no call.
    stack.minute(DAY + 60).await;
    stack.minute(2 * DAY + 60).await;
    assert_eq!(stack.steps().len(), 1);
}

/// What is told keeps to the published schema, and is read by the function as well.
#[tokio::test]
async fn a_step_keeps_to_its_schema() {
    let schema = include_str!("../../../../infra/catalog/events/sequence_step_due.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let stack = Stack::new();
    stack.failing().await;
    let published = stack.bus.published();
    let step = published.first().unwrap();
    let faults: Vec<_> = validator
        .iter_errors(&step.detail.data)
        .map(|e| e.to_string())
        .collect();
    assert_eq!(faults, [""; 0]);
    assert_eq!(
        step.detail.data["text"].as_str().unwrap().lines().next(),
        Some("Hello Acme,")
    );
    assert_eq!(
        step.detail.id,
        format!("sequence:{RECOVERY}:cus_1:1:notice#0")
    );
}

#[tokio::test]
async fn the_example_invocations_are_read() {
    let batch = include_str!("../../../../events/functions/sequence.json");
    let minute = include_str!("../../../../events/functions/sequence_minute.json");
    let read = |text: &str| Input::parse(serde_json::from_str(text).unwrap()).unwrap();
    let Input::Queue(batch) = read(batch) else {
        unreachable!("it is a batch")
    };
    let stack = Stack::new();
    let target = stack.target(0, stack.bus.clone());
    let response = target.queue(batch, deadline()).await;
    assert!(response.batch_item_failures.is_empty());
    let Input::Minute(minute) = read(minute) else {
        unreachable!("it is the minute")
    };
    assert_eq!(minute.instant(time(0)).to_string(), "2026-11-21T00:00:00Z");
}

/// N1, N2: what is no event of ours goes to the dead letters with its reason, and alone.
#[tokio::test]
async fn n1_n2_what_cannot_be_read_goes_to_the_dead_letters() {
    let stack = Stack::new();
    let target = stack.target(0, stack.bus.clone());
    let bodies = ["not json".to_owned()];
    let response = target.queue(batch(&bodies), deadline()).await;
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(target.dead_letters.0.lock().unwrap().len(), 1);
}
