//! Customers that were deleted at Stripe: lists go on showing what they had.

use paygraph_engine::run::{Class, Job, Outcome, Scope};
use serde_json::{Value, json};

use super::leaks::{priced, subscription};
use super::stack::{START, Stack, billing, empty, whole};
use crate::stripe_api::connections;

fn invoice(id: &str, customer: &str, paid: u64) -> Value {
    json!({
        "id": id, "object": "invoice", "status": "paid", "customer": customer, "currency": "usd",
        "created": START, "amount_due": paid, "amount_paid": paid, "amount_remaining": 0,
        "total": paid, "attempt_count": 1, "attempted": true, "collection_method": "charge_automatically",
        "billing_reason": "subscription_cycle", "status_transitions": { "paid_at": START },
        "lines": { "object": "list", "has_more": false, "data": [] },
    })
}

fn charge(id: &str, customer: &str, amount: u64) -> Value {
    json!({ "id": id, "object": "charge", "created": START, "customer": customer, "amount": amount,
        "amount_captured": amount, "amount_refunded": 0, "currency": "usd", "status": "succeeded",
        "paid": true, "captured": true, "refunded": false })
}

/// T6: the import has the history of a deleted customer: its ended subscription, its invoices, its
/// lifetime value. A second import and a comparison find nothing more.
#[tokio::test]
async fn t6_an_import_has_the_history_of_deleted_customers() {
    let stripe = empty().await;
    // Stripe lists neither of them among the customers, and all that they had elsewhere.
    let gone = |id: &str| json!({ "id": id, "object": "customer", "deleted": true });
    for object in [
        gone("cus_sub_1"),
        subscription("sub_1", &priced("price_small", 2_900), "canceled"),
        invoice("in_1", "cus_sub_1", 2_900),
        invoice("in_2", "cus_sub_1", 2_900),
        gone("cus_2"),
        charge("ch_2", "cus_2", 5_000),
    ] {
        assert!(stripe.put(object));
    }
    let stack = Stack::new(&stripe);
    let (run, _) = stack.run(Job::Backfill, whole()).await;
    assert!(run.is_complete());
    let contacts = stack.engine.store.contacts();
    let found: Vec<_> = contacts.iter().map(|contact| contact.id.as_str()).collect();
    assert_eq!(found, ["cus_2", "cus_sub_1"]);
    assert!(
        contacts
            .iter()
            .all(paygraph_domain::contact::Contact::is_deleted)
    );
    let shown = billing(&contacts[1]);
    assert_eq!(shown["lifetime_value"], json!({ "usd": 5_800 }));
    assert_eq!(shown["billing_status"], "canceled");
    let commits = stack.commits();
    for (job, scope) in [
        (Job::Backfill, whole()),
        (Job::Reconcile, whole()),
        (
            Job::Reconcile,
            Scope {
                recent: true,
                ..whole()
            },
        ),
    ] {
        let (run, drift) = stack.run(job, scope).await;
        let counts = (
            run.counts.differed,
            run.counts.in_flight,
            run.counts.committed,
        );
        assert_eq!((counts, drift.len()), ((0, 0, 0), 0), "{job:?}");
        assert_eq!(stack.commits(), commits, "{job:?}");
    }
}

/// T6: a customer is deleted while its list is read: the page after it is read without the cursor
/// that Stripe no longer knows.
#[tokio::test]
async fn t6_a_list_goes_on_although_its_cursor_was_deleted() {
    let stripe = empty().await;
    let customer = |n: usize| {
        json!({ "id": format!("cus_{n:04}"), "object": "customer", "created": START + 4_000 - i64::try_from(n).unwrap(),
            "invoice_settings": {}, "metadata": {} })
    };
    for n in 0..350 {
        stripe.put(customer(n));
    }
    let stack = Stack::new(&stripe);
    let mut run = stack.begin(Job::Backfill, whole());
    run.stage = paygraph_engine::run::Stage::Objects;
    let range = paygraph_engine::run::Range {
        kind: paygraph_engine::run::Kind::Customers,
        from: paygraph_domain::time::Timestamp::default(),
        before: run.started_at,
        status: None,
        after: Some("cus_0099".to_owned()),
        read_to: paygraph_domain::time::Timestamp::from_unix(START + 4_000 - 99).ok(),
    };
    run.ranges = vec![range];
    stripe.remove("cus_0099");
    assert_eq!(
        stack.go_on(&mut run).await.unwrap(),
        paygraph_engine::run::Left::Nothing
    );
    assert!(run.is_complete(), "{:?}", run.problem);
    assert_eq!(stack.engine.store.contacts().len(), 250);
}

/// N22: a customer that Stripe does not have is a difference that each comparison names, with its live
/// subscriptions. It is never counted as one whose event is under way.
#[tokio::test]
async fn n22_what_stripe_does_not_have_is_named_and_not_in_flight() {
    let (stripe, other) = (empty().await, empty().await);
    let customer = |id: &str| {
        json!({ "id": id, "object": "customer", "created": START, "invoice_settings": {},
            "metadata": {} })
    };
    for object in [
        customer("cus_1"),
        customer("cus_sub_1"),
        subscription("sub_1", &priced("price_small", 2_900), "active"),
    ] {
        assert!(stripe.put(object));
    }
    let mut stack = Stack::new(&stripe);
    stack.run(Job::Backfill, whole()).await;
    stack.engine.fetch = connections(&other);
    for _ in 0..2 {
        let (run, drift) = stack.run(Job::Reconcile, whole()).await;
        let mut named: Vec<_> = drift.iter().map(|drift| drift.object.as_str()).collect();
        named.sort_unstable();
        assert_eq!(named, ["cus_1", "cus_sub_1", "sub_1"]);
        assert!(
            drift
                .iter()
                .all(|drift| drift.class == Class::MissingInStripe
                    && drift.outcome == Outcome::Review)
        );
        assert_eq!((run.counts.differed, run.counts.in_flight), (3, 0));
    }
    assert_eq!(stack.told()["drift_detected"], 3, "once, not each night");
}

/// A run about one customer counts what differs, and not what it looks at.
#[tokio::test]
async fn n23_a_run_about_one_customer_counts_what_differs() {
    let stripe = empty().await;
    stripe.put(
        json!({ "id": "cus_1", "object": "customer", "created": START,
        "invoice_settings": {}, "metadata": {} }),
    );
    stripe.put(charge("ch_1", "cus_1", 5_000));
    let stack = Stack::new(&stripe);
    stack.run(Job::Backfill, whole()).await;
    let only = || Scope {
        object: Some("cus_1".to_owned()),
        ..whole()
    };
    let (same, _) = stack.run(Job::Reconcile, only()).await;
    assert_eq!((same.counts.checked(), same.counts.differed), (2, 0));
    stripe.put(charge("ch_2", "cus_1", 7_000));
    let (changed, drift) = stack.run(Job::Reconcile, only()).await;
    assert_eq!((changed.counts.differed, drift.len()), (1, 1));
}
