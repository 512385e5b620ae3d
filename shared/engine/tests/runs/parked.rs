//! Messages that wait for a link which is there: whoever committed it died before it looked for them.

use paygraph_domain::id::Cause;
use paygraph_engine::ports::{ParkReason, Store as _};
use paygraph_engine::run::{Job, Scope};
use paygraph_testkit::fake_stripe::FakeStripe;
use serde_json::json;

use super::stack::{START, Stack, empty, whole};
use crate::stripe_api::default;

/// A stack that has imported a charge, with its Stripe.
async fn knowing_a_charge() -> (Stack, FakeStripe) {
    let stripe = empty().await;
    stripe.put(
        json!({ "id": "cus_1", "object": "customer", "created": START,
        "invoice_settings": {}, "metadata": {} }),
    );
    stripe.put(
        json!({ "id": "ch_1", "object": "charge", "customer": "cus_1", "payment_intent": null,
        "status": "succeeded", "currency": "usd", "amount": 5_000, "created": START + 5 }),
    );
    let stack = Stack::new(&stripe);
    stack.run(Job::Backfill, whole()).await;
    (stack, stripe)
}

fn refund(cause: &str, charge: &str) -> String {
    json!({
        "id": cause, "object": "event", "type": "refund.created", "created": START + 9,
        "livemode": false,
        "data": { "object": {
            "id": format!("re_{charge}"), "object": "refund", "charge": charge,
            "payment_intent": null, "amount": 900, "currency": "usd", "status": "succeeded",
            "created": START + 9,
        } },
    })
    .to_string()
}

async fn park(stack: &Stack, cause: &str, charge: &str) {
    let reason = ParkReason::UnknownCharge(charge.to_owned());
    let event = refund(cause, charge);
    let cause = Cause::parse(cause).unwrap();
    let parked = stack.engine.park(&default(), cause, reason, &event).await;
    parked.unwrap();
}

fn parked(stack: &Stack) -> Vec<String> {
    let parked = stack.engine.store.all_parked().into_iter();
    parked.map(|parked| parked.cause.to_string()).collect()
}

/// A run processes what waits for a charge that it knows already, and nothing else; a dry run
/// processes nothing.
#[tokio::test]
async fn a_run_processes_what_waits_for_a_link_that_is_there() {
    let (stack, _stripe) = knowing_a_charge().await;
    for n in 0..250 {
        park(&stack, &format!("evt_{n:03}"), "ch_1").await;
    }
    park(&stack, "evt_unknown", "ch_unknown").await;

    let dry = Scope {
        dry_run: true,
        ..whole()
    };
    stack.run(Job::Reconcile, dry).await;
    assert_eq!(parked(&stack).len(), 251);

    stack.run(Job::Backfill, whole()).await;
    assert_eq!(parked(&stack), ["evt_unknown"]);
    assert_eq!(stack.told()["stripe.refund.created"], 250);
    let cause = Cause::parse("evt_000").unwrap();
    let entry = stack.engine.store.ledger(&default(), &cause).await;
    assert!(entry.unwrap().is_some());
}

/// A parked message that can never be processed is set aside, and the run ends.
#[tokio::test]
async fn a_run_sets_aside_what_waits_and_cannot_be_processed() {
    let (stack, _stripe) = knowing_a_charge().await;
    let reason = ParkReason::UnknownCharge("ch_1".to_owned());
    let cause = Cause::parse("evt_broken").unwrap();
    let parked = stack.engine.park(&default(), cause, reason, "{}").await;
    parked.unwrap();
    let mut run = stack.begin(Job::Backfill, whole());
    stack.go_on(&mut run).await.unwrap();
    assert!(run.is_finished() && !run.is_complete());
    let named: Vec<_> = run.counts.failed.keys().collect();
    assert_eq!(named, ["ch_1"]);
}
