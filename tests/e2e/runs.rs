//! The import of history, the comparison with Stripe and the watch over its events, on the real table.

use std::collections::BTreeSet;

use paygraph_bus::Queue;
use paygraph_domain::time::Timestamp;
use paygraph_engine::watch::Watches as _;
use paygraph_store::token::Right;
use paygraph_testkit::fake_stripe::{Config, KEY, Lazy};
use paygraph_tests::{customer_created, get_from, now, paygraph, stack, unique, wait};
use serde_json::{Value, json};

/// The command's answer as JSON; it must succeed.
fn told(arguments: &[&str]) -> Value {
    let done = paygraph(arguments);
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {error}");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// N10, N11, N12, N21: everything is imported; what Stripe changes without a webhook is named once,
/// healed once, and then found no more.
#[test]
fn n10_n11_n12_n21_the_command_imports_compares_and_heals() {
    let world = Config::with_world(Lazy::of(10)).unlimited();
    let (tenant, stripe) = stack().with_stripe(world);
    let url = stripe.url();
    let asking = ["--tenant", tenant.as_str()];
    let run = |command: &[&str]| told(&[command, &asking].concat());

    let imported = run(&["backfill", "--json"]);
    assert_eq!(imported["complete"], true);
    assert_eq!(imported["objects"]["invoices"], 120);
    assert!(imported["changed"].as_u64().unwrap() >= 10);
    assert_eq!(run(&["backfill", "--json"])["changed"], 0);

    let (_, listed) = get_from(&format!("{url}/v1/subscriptions?limit=1"), Some(KEY));
    let mut subscription = listed["data"][0].clone();
    subscription["status"] = json!("canceled");
    subscription["ended_at"] = subscription["created"].clone();
    stripe.put(subscription.clone());
    let of = |report: &Value| {
        let drift = report["drift"].as_array().unwrap().clone();
        let named = drift.iter().map(|drift| {
            json!([
                drift["class"],
                drift["object"],
                drift["field"],
                drift["stripe"]
            ])
        });
        (named.collect::<Vec<_>>(), report["healed"].clone())
    };
    let expected = json!(["status_mismatch", subscription["id"], "status", "canceled"]);
    let dry = run(&["reconcile", "--dry-run"]);
    assert_eq!(of(&dry), (vec![expected.clone()], json!(0)));
    assert_eq!(of(&run(&["reconcile"])), (vec![expected], json!(1)));
    assert_eq!(of(&run(&["reconcile"])), (Vec::new(), json!(0)));

    // The runs are listed, the newest first, and each has its report.
    let token = stack().token(&tenant, &[Right::Read]);
    let path = "/api/stripe/reconciliations";
    let (status, first) = stack().ask(&format!("{path}?limit=2"), Some(&token));
    assert_eq!((status, first["data"].as_array().unwrap().len()), (200, 2));
    let runs = stack().all(&format!("{}?limit=2", &path["/api/".len()..]), &token);
    let jobs: Vec<_> = runs
        .iter()
        .map(|run| run["job"].as_str().unwrap())
        .collect();
    assert_eq!(
        jobs,
        [
            "reconcile",
            "reconcile",
            "reconcile",
            "backfill",
            "backfill"
        ]
    );
    let healed = runs[1]["id"].as_str().unwrap();
    let (_, report) = stack().ask(&format!("{path}/{healed}"), Some(&token));
    assert_eq!(
        (&report["complete"], &report["healed"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(report["drift"][0]["object"], subscription["id"]);
    assert_eq!(stack().ask(&format!("{path}/run-0"), Some(&token)).0, 404);

    subscription["status"] = json!("active");
    stripe.put(subscription.clone());
    // What has ended never comes back, whatever somebody says.
    let id = subscription["id"].as_str().unwrap();
    assert_eq!(of(&run(&["sync", id, "--json"])), (Vec::new(), json!(0)));
}

/// T3: an import names an object that it cannot read, imports all others, and the command ends with 1.
#[test]
fn t3_an_import_names_what_it_sets_aside_and_ends_with_1() {
    let world = Config::with_world(Lazy::of(2)).unlimited();
    let (tenant, stripe) = stack().with_stripe(world);
    let (_, listed) = get_from(
        &format!("{}/v1/subscriptions?limit=1", stripe.url()),
        Some(KEY),
    );
    let mut subscription = listed["data"][0].clone();
    subscription["status"] = json!(5);
    assert!(stripe.put(subscription.clone()));
    let imported = paygraph(&["backfill", "--json", "--tenant", tenant.as_str()]);
    let error = String::from_utf8_lossy(&imported.stderr);
    assert_eq!(imported.status.code(), Some(1), "{error}");
    let report: Value = serde_json::from_slice(&imported.stdout).unwrap();
    let id = subscription["id"].as_str().unwrap();
    assert_eq!(report["complete"], false, "{report}");
    assert!(report["failed"][id].is_string(), "{report}");
    assert!(error.contains(&format!("error: {id}: ")), "{error}");
    assert!(error.contains("set 1 objects aside"), "{error}");
    let others = report["changed"].as_u64();
    assert!(others > Some(0), "{report}");
}

/// N14: what Stripe sent and nobody got is found by the watch and taken in; the alarm is told, and
/// told again when it is over.
#[test]
fn n14_the_watch_takes_in_what_never_came() {
    let (tenant, stripe) = stack().with_stripe(Config::default().unlimited());
    let watch = |at: i64| {
        let at = Timestamp::from_unix(at).unwrap().to_string();
        let round = json!({ "job": "watch", "tenant": tenant, "now": at }).to_string();
        let url = stack().local("jobs_queue_url");
        let queue = Queue::new(stack().sqs.clone(), url);
        stack().block_on(queue.send(&round, 0)).unwrap();
    };
    let noted = |to: i64| {
        let to = Timestamp::from_unix(to).unwrap();
        wait("the watch", || {
            let watch = stack().block_on(stack().store.watch(&tenant)).unwrap()?;
            (watch.watched_to >= to).then_some(watch)
        })
    };
    let begin = now() - 7_200;
    watch(begin);
    noted(begin);
    let lost: Vec<_> = (0..3).map(|_| (unique("evt_"), unique("cus_"))).collect();
    for (id, customer) in &lost {
        let mut event = customer_created(id, customer);
        event["created"] = json!(begin + 3_600);
        stripe.own().put_event(event, false);
    }
    watch(begin + 6_000);
    let unhealthy = noted(begin + 5_700);
    let token = stack().token(&tenant, &[Right::Read]);
    for (_, customer) in &lost {
        wait("the record", || {
            let path = format!("/api/stripe/customer/{customer}");
            (stack().ask(&path, Some(&token)).0 == 200).then_some(())
        });
    }
    assert!(unhealthy.since.is_none() || unhealthy.reasons.contains_key("missed_deliveries"));
    let told = |rev: u64| {
        wait("the bus", || {
            let told = stack().delivered(&format!("watch:{rev}"));
            told.into_iter()
                .find(|(_, event)| event["tenant"] == tenant.as_str())
        })
    };
    let (name, event) = told(3);
    assert_eq!(name, "webhook_endpoint_unhealthy");
    assert_eq!(
        event["data"]["reasons"],
        json!(["3 events were not delivered"])
    );
    // It is over when the next one comes.
    let (id, customer) = (unique("evt_"), unique("cus_"));
    let mut event = customer_created(&id, &customer);
    event["created"] = json!(begin + 5_900);
    stripe.own().put_event(event, true);
    let came = paygraph(&["replay", "--tenant", tenant.as_str(), "--id", &id]);
    assert!(came.status.success(), "{came:?}");
    wait("the record", || {
        let path = format!("/api/stripe/customer/{customer}");
        (stack().ask(&path, Some(&token)).0 == 200).then_some(())
    });
    watch(begin + 6_600);
    noted(begin + 6_300);
    assert_eq!(told(6).0, "webhook_endpoint_recovered");
}

/// Events that Stripe still has are taken in again: all of some types, however many pages they fill,
/// or one by its id. What was taken in before changes nothing.
#[test]
fn events_are_replayed_from_stripe() {
    let (tenant, stripe) = stack().with_stripe(Config::default().unlimited());
    let token = stack().token(&tenant, &[Right::Read]);
    let made: Vec<_> = (0..105).map(|_| (unique("evt_"), unique("cus_"))).collect();
    for (id, customer) in &made {
        stripe
            .own()
            .put_event(customer_created(id, customer), false);
    }
    let (other, unasked) = (unique("evt_"), unique("cus_"));
    let mut updated = customer_created(&other, &unasked);
    updated["type"] = json!("customer.updated");
    stripe.own().put_event(updated, false);
    let replay = |arguments: &[&str]| {
        let asking = ["replay", "--tenant", tenant.as_str(), "--json"];
        told(&[&asking, arguments].concat())
    };
    let is_known = |customer: &str| {
        let path = format!("/api/stripe/customer/{customer}");
        stack().ask(&path, Some(&token)).0 == 200
    };
    let ids = |answer: &Value, name: &str| -> BTreeSet<String> {
        let ids = answer[name].as_array().unwrap().iter();
        ids.map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    let expected: BTreeSet<_> = made.iter().map(|(id, _)| id.clone()).collect();
    let of_type = ["--type", "customer.created"];
    let listed = replay(&[&of_type[..], &["--list"]].concat());
    assert_eq!(ids(&listed, "events"), expected);
    assert!(!is_known(&made[0].1), "what is only listed is not taken in");

    let replayed = replay(&of_type);
    assert_eq!(ids(&replayed, "replayed"), expected);
    for (_, customer) in &made {
        wait("the record", || is_known(customer).then_some(()));
    }
    assert!(!is_known(&unasked));
    assert_eq!(replay(&["--id", &other]), json!({ "replayed": [other] }));
    wait("the record", || is_known(&unasked).then_some(()));
    let since = Timestamp::from_unix(now() + 60).unwrap().to_string();
    let none = replay(&[&of_type[..], &["--since", &since]].concat());
    assert_eq!(none, json!({ "replayed": [] }));
    let missing = paygraph(&["replay", "--tenant", tenant.as_str(), "--id", "evt_none"]);
    let error = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(error.contains("Stripe does not have it"), "{error}");
}
