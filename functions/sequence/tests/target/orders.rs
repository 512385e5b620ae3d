//! Any order and duplication of a contact's events, with ticks that overlap: no step twice, and the
//! same enrolments in the end.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use paygraph_domain::fact::Source;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::*;

type Stripe = (&'static str, Value);

/// What may happen to a customer next.
fn happening() -> impl Strategy<Value = Stripe> {
    prop_oneof![
        (1..3_i64, 1..3_i64).prop_map(|(n, attempt)| invoice("invoice.payment_failed", n, attempt)),
        (1..3_i64).prop_map(|n| invoice("invoice.paid", n, 3)),
        Just(subscription(
            "customer.subscription.updated",
            PRO,
            &json!({})
        )),
        Just(subscription(
            "customer.subscription.updated",
            INDIVIDUAL,
            &json!({})
        )),
        Just(subscription(
            "customer.subscription.deleted",
            PRO,
            &json!({
            "status": "canceled", "ended_at": NOW + 9, "canceled_at": NOW + 9 })
        )),
    ]
}

fn history() -> impl Strategy<Value = Vec<Stripe>> {
    proptest::collection::vec(happening(), 1..7).prop_map(|happened| {
        let created = subscription("customer.subscription.created", INDIVIDUAL, &json!({}));
        [vec![customer(), created], happened].concat()
    })
}

/// How the enrolments end: number, state, steps with whether they were sent.
type End = BTreeMap<String, (u32, &'static str, Vec<(String, bool)>)>;

/// Delivers a history in some order with repeats, each delivery beside overlapping minutes, and lets
/// forty days pass.
async fn end(history: &[Stripe], seed: u64) -> End {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut stack = Stack::new();
    stack.store = stack.store.tearing();
    let mut bodies = stack.feed(0, Source::Webhook, history).await;
    if seed > 0 {
        let repeats: Vec<_> = bodies.iter().filter(|_| random.bool()).cloned().collect();
        bodies.extend(repeats);
        random.shuffle(&mut bodies);
    }
    for some in bodies.chunks(3) {
        // Each message on its own, as several functions would take them side by side.
        let each: Vec<_> = some.iter().map(|body| vec![body.clone()]).collect();
        let heard = join_all(each.iter().map(|body| stack.hear(60, body)));
        tokio::join!(heard, stack.minute(60), stack.minute(60));
    }
    for day in 0..40 {
        tokio::join!(stack.minute(day * DAY + 60), stack.minute(day * DAY + 60));
    }
    let ids: Vec<_> = stack
        .bus
        .published()
        .iter()
        .map(|e| e.detail.id.clone())
        .collect();
    let once: BTreeSet<_> = ids.iter().collect();
    assert_eq!(once.len(), ids.len(), "a step was sent twice: {ids:?}");
    let all = stack.store.all_enrolments().into_iter();
    all.map(|(_, held)| {
        let how = word(&held);
        let taken = held.taken.into_iter().map(|taken| (taken.step, taken.sent));
        (held.sequence, (held.n, how, taken.collect()))
    })
    .collect()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap()
}

/// Histories that enrol: else the property below would say nothing.
#[test]
fn a_failure_and_an_upgrade_enrol_in_any_order() {
    let history = [
        customer(),
        subscription("customer.subscription.created", INDIVIDUAL, &json!({})),
        invoice("invoice.payment_failed", 1, 1),
        subscription("customer.subscription.updated", PRO, &json!({})),
    ];
    for seed in 0..20 {
        let end = runtime().block_on(end(&history, seed));
        let told = end
            .iter()
            .map(|(name, (n, how, steps))| (name.as_str(), *n, *how, steps.len()));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                ("failed_payment_recovery", 1, "done", 3),
                ("upgrade_celebration", 1, "done", 3),
            ]
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_order_with_repeats_and_overlapping_ticks_ends_the_same(
        history in history(),
        seed in 1..u64::MAX,
    ) {
        runtime().block_on(async {
            assert_eq!(end(&history, seed).await, end(&history, 0).await);
        });
    }
}
