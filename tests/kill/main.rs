//! Functions that are killed in the middle of it. Alone on the stack: they are broken for a while.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod broken;
mod each_once;
mod runs;

use std::sync::{Mutex, PoisonError};

use paygraph_tests::{customer_created, now, stack, unique, wait};

use self::broken::WithoutBus;

/// One after the other: each breaks something that the other needs.
static ALONE: Mutex<()> = Mutex::new(());

/// D5, N7: the commit stands, and the sweep publishes it, under the same ids.
#[test]
fn d5_n7_a_worker_killed_between_commit_and_publish_loses_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let broken = WithoutBus::run("worker_function");

    let (id, customer) = (unique("evt_"), unique("cus_"));
    assert_eq!(stack().post(&customer_created(&id, &customer)), 200);
    let waiting = wait("the commit", || stack().ledger(&id));
    // Stripe's own, the customer, and the segment that it is in.
    assert_eq!(waiting.outbox.len(), 3, "committed, and not published");
    assert!(broken.mend() > 0, "the worker was at it");
    assert_eq!(
        stack().get(&format!("customer/{customer}")).0,
        200,
        "the record is there"
    );
    assert!(stack().delivered(&id).is_empty());

    // The minute tick, two minutes later.
    wait("the sweep", || {
        let _ = stack().tick(now() + 120);
        stack().ledger(&id).filter(|entry| entry.outbox.is_empty())
    });
    let told = wait("the events", || {
        Some(stack().delivered(&id)).filter(|told| told.len() >= 3)
    });
    let mut ids: Vec<_> = told
        .iter()
        .map(|(_, e)| e["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids, [0, 1, 2].map(|n| format!("{id}#{n}")));
    assert_eq!(
        stack().get(&format!("audit/{customer}")).1["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
