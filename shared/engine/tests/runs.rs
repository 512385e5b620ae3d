//! Runs over everything that Stripe has, from a fake one over HTTP: the import of history, and the
//! comparison that heals.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

mod deleted;
mod kills;
mod leaks;
mod methods;
mod model;
mod parked;
mod paths;
mod refusals;
mod renewed;
mod retried;
pub mod stack;
mod steps;

use std::time::Duration;

use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::Runs as _;
use paygraph_engine::publish::publish;
use paygraph_engine::run::{Drift, Job, Left, Outcome, Scope};
use paygraph_testkit::fake_stripe::{Config, FakeStripe, Fault, FaultKind, Lazy};
use serde_json::json;

use self::leaks::{priced, subscription};
use self::stack::{START, Stack, billing, empty, history, holding, now, same, whole};
use crate::stripe_api::default;

/// N10, N21: the objects are listed, and not the events; what they tell is what the events told, and
/// the bus hears of nothing that is past. A second import changes nothing.
#[tokio::test]
async fn n10_n21_an_import_comes_to_what_the_events_told() {
    let history = history(3, 60);
    let stripe = holding(&history).await;
    let (events, import) = (Stack::new(&stripe), Stack::new(&stripe));
    events.deliver(&history.events).await;
    let (run, _) = import.run(Job::Backfill, whole()).await;
    same(&events, &import);
    assert!(run.counts.checked() > 300);
    let told = import.told();
    let names: Vec<_> = told.keys().map(String::as_str).collect();
    assert_eq!(names, ["customer_synced"]);
    assert_eq!(told["customer_synced"], history.truths.len());

    let commits = import.commits();
    let (again, _) = import.run(Job::Backfill, whole()).await;
    assert_eq!((again.counts.committed, import.told()), (0, told));
    assert_eq!(import.commits(), commits);
}

/// N11, N12, N14: a tenth of the webhooks never came. The comparison heals every record and names
/// every difference; the next one finds nothing, and says nothing.
#[tokio::test]
async fn n11_n12_n14_what_webhooks_missed_is_healed() {
    let history = history(5, 60);
    let stripe = holding(&history).await;
    let (truth, stack) = (Stack::new(&stripe), Stack::new(&stripe));
    truth.deliver(&history.events).await;
    let mut random = fastrand::Rng::with_seed(7);
    let kept = history.events.iter().filter(|_| random.u32(0..10) > 0);
    stack.deliver(kept).await;
    let before = stack.billing();
    assert_ne!(before, truth.billing());

    let (looked, dry) = stack
        .run(
            Job::Reconcile,
            Scope {
                dry_run: true,
                ..whole()
            },
        )
        .await;
    assert!(dry.iter().all(|drift| drift.outcome == Outcome::DryRun));
    assert_eq!((stack.billing(), looked.counts.committed), (before, 0));

    let (_, drift) = stack.run(Job::Reconcile, whole()).await;
    same(&truth, &stack);
    assert!(!drift.is_empty());
    let objects = |drift: &[Drift]| -> Vec<_> { drift.iter().map(|d| d.object.clone()).collect() };
    assert_eq!(objects(&drift), objects(&dry));
    let told = stack.told();
    assert_eq!(told["drift_detected"], drift.len());

    let commits = stack.commits();
    let (_, drift) = stack.run(Job::Reconcile, whole()).await;
    assert_eq!((drift, stack.told()), (Vec::new(), told));
    assert_eq!(stack.commits(), commits);
}

/// N8, N9: Stripe answers as it does on a bad day; the run is complete only when every range is.
#[tokio::test]
async fn n8_n9_a_run_is_complete_only_when_every_range_is() {
    let history = history(11, 20);
    let stripe = holding(&history).await;
    let (truth, stack) = (Stack::new(&stripe), Stack::new(&stripe));
    truth.run(Job::Backfill, whole()).await;
    stripe.faults([Fault::next(1_000, "/v1/invoices", FaultKind::Revoked)]);
    let mut run = stack.begin(Job::Backfill, whole());
    let refused = stack.go_on(&mut run).await.unwrap_err();
    assert!(
        refused.to_string().starts_with("reading invoices"),
        "{refused}"
    );
    assert!(!run.is_finished());
    assert_eq!(
        (&run.problem, run.stopped),
        (&Some(refused.to_string()), true)
    );
    stripe.faults([
        Fault::share(20, "/v1/", FaultKind::Broken),
        Fault::share(20, "/v1/", FaultKind::Html),
    ]);
    assert_eq!(stack.go_on(&mut run).await.unwrap(), Left::Nothing);
    assert!(run.is_complete());
    assert_eq!(stack.billing(), truth.billing());
}

/// N7, N8: an import that is killed twenty times is completed by whoever takes it up, reads no more
/// again than a page of each range and kill, and comes to the same.
#[tokio::test]
async fn n7_n8_an_import_survives_twenty_kills() {
    let stripe = FakeStripe::start(Config::with_world(Lazy::of(700)).unlimited())
        .await
        .unwrap();
    let (truth, stack) = (Stack::new(&stripe), Stack::new(&stripe));
    let (straight, _) = truth.run(Job::Backfill, whole()).await;
    let mut random = fastrand::Rng::with_seed(3);
    // What is asked for by its id, beside the pages.
    let single = stripe.stats().requests - straight.counts.pages;
    stripe.reset_stats();
    let (mut run, mut kills, mut ranges) = (stack.begin(Job::Backfill, whole()), 0, 0);
    while kills < 20 {
        let patience = Duration::from_millis(random.u64(5..40));
        match tokio::time::timeout(patience, stack.go_on(&mut run)).await {
            Ok(left) => {
                left.unwrap();
                break;
            }
            Err(_) => kills += 1,
        }
        // Whoever takes it up knows what was noted, once the lease is over.
        let store = &stack.engine.store;
        let noted = store.run(&default(), &run.id).await.unwrap();
        run = noted.unwrap_or_else(|| stack.begin(Job::Backfill, whole()));
        ranges += run.ranges.len().max(1);
        store.end_leases();
    }
    if !run.is_finished() {
        assert_eq!(stack.go_on(&mut run).await.unwrap(), Left::Nothing);
    }
    assert_eq!(kills, 20);
    assert!(run.is_complete());
    assert_eq!(stack.billing(), truth.billing());
    assert_eq!(run.counts.objects, straight.counts.objects);
    let pages = usize::try_from(run.counts.pages).unwrap();
    let requests = usize::try_from(stripe.stats().requests - single).unwrap();
    assert!(
        requests <= pages + ranges,
        "{requests} > {pages} + {ranges}"
    );
    // What was committed and not published, the minute's sweep publishes.
    let soon = Timestamp::from_unix(now() + 60).unwrap();
    let left = stack.engine.store.all_pending(soon);
    publish(&stack.engine.store, &stack.bus, &left)
        .await
        .unwrap();
    assert_eq!(stack.told(), truth.told());
}

/// N22: what a webhook brought between the two looks was on its way, and is no drift. D15, D16: a
/// page that is older than a live event changes nothing, and one transition is told once.
#[tokio::test]
async fn d15_d16_n22_what_was_on_its_way_is_no_drift() {
    let history = history(17, 30);
    let stripe = holding(&history).await;
    let stack = Stack::new(&stripe);
    let late = history.events.len() * 9 / 10;
    stack.deliver(&history.events[..late]).await;
    let mut run = stack.begin(Job::Reconcile, whole());
    let later = stack.go_on_with(&mut run, 300).await.unwrap();
    assert!(matches!(later, Left::Later(at) if at > run.started_at.plus(290)));
    assert!(run.counts.differed > 0);
    stack.deliver(&history.events[late..]).await;
    let told = stack.told();
    run.second_look_at = Some(run.started_at);
    assert_eq!(stack.go_on(&mut run).await.unwrap(), Left::Nothing);
    let drift = stack.engine.store.drift(&run).await.unwrap();
    assert_eq!((drift, stack.told()), (Vec::new(), told));
    assert_eq!(run.counts.in_flight, run.counts.differed);
}

/// What changed inside another object, or leads to it, is named and healed as what it is: a refund
/// that never came, and the payment method of a subscription.
#[tokio::test]
async fn what_belongs_to_another_object_is_healed_by_its_own_id() {
    let stripe = empty().await;
    let stack = Stack::new(&stripe);
    let mut held = subscription("sub_1", &priced("price_small", 2_900), "active");
    held["default_payment_method"] = json!("pm_1");
    let method = |year: u64| {
        json!({ "id": "pm_1", "object": "payment_method", "type": "card", "created": START,
            "customer": "cus_sub_1",
            "card": { "brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": year } })
    };
    let charge = |refunded: u64| {
        json!({ "id": "ch_1", "object": "charge", "created": START, "customer": "cus_sub_1",
            "amount": 2_900, "amount_captured": 2_900, "amount_refunded": refunded, "currency": "usd",
            "status": "succeeded", "paid": true, "captured": true, "refunded": false })
    };
    let refund = json!({ "id": "re_1", "object": "refund", "created": START + 1, "charge": "ch_1",
        "amount": 900, "currency": "usd", "status": "succeeded" });
    let customer = json!({ "id": "cus_sub_1", "object": "customer", "created": START,
        "invoice_settings": {}, "metadata": {} });
    for object in [&customer, &held, &method(2030), &charge(0)] {
        stripe.put(object.clone());
    }
    stack.run(Job::Backfill, whole()).await;
    for object in [method(2034), charge(900), refund] {
        stripe.put(object);
    }
    let (_, drift) = stack.run(Job::Reconcile, whole()).await;
    let healed: Vec<_> = drift
        .iter()
        .map(|drift| (drift.object.as_str(), drift.outcome))
        .collect();
    assert!(healed.contains(&("pm_1", Outcome::Healed)), "{healed:?}");
    assert!(healed.contains(&("ch_1", Outcome::Healed)), "{healed:?}");
    let contact = &stack.engine.store.contacts()[0];
    assert_eq!(billing(contact)["payment_method"]["exp_year"], 2034);
    let (_, again) = stack.run(Job::Reconcile, whole()).await;
    assert_eq!(again, Vec::new());
}

/// One object, or all of one customer, is taken over at once.
#[tokio::test]
async fn one_object_is_taken_over_by_its_id() {
    let history = history(23, 8);
    let stripe = holding(&history).await;
    let (truth, stack) = (Stack::new(&stripe), Stack::new(&stripe));
    truth.deliver(&history.events).await;
    let of = |object: &str| Scope {
        object: Some(object.to_owned()),
        ..whole()
    };
    for truth in &history.truths {
        let (run, drift) = stack.run(Job::Reconcile, of(&truth.customer)).await;
        assert!(run.counts.checked() > 1);
        assert!(drift.iter().all(|drift| drift.outcome == Outcome::Healed));
    }
    same(&truth, &stack);
    let mut run = stack.begin(Job::Reconcile, of("sub_none"));
    assert_eq!(stack.go_on(&mut run).await.unwrap(), Left::Nothing);
    assert_eq!(run.counts.failed["sub_none"], "Stripe does not have it");
}
