//! The import of history and the comparison with Stripe, by the command, on the real table.

use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_store::token::Right;
use paygraph_testkit::fake_stripe::{Config, FakeStripe, KEY, Lazy};
use paygraph_tests::{get_from, paygraph, stack, unique};
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
    let tenant = unique("t");
    stack().keep_secret(
        &format!("stripe/{tenant}"),
        &json!({ "key": KEY, "account": null }),
    );
    let world = Config::with_world(Lazy::of(10)).unlimited();
    let stripe = stack().block_on(FakeStripe::start(world)).unwrap();
    let url = stripe.url().to_owned();
    let asking = ["--tenant", &tenant, "--stripe-url", &url, "--share", "100"];
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
    let owner = TenantId::parse(&tenant).unwrap();
    let create = stack()
        .store
        .create_token(&owner, "test", &[Right::Read], Timestamp::default());
    let token = stack().block_on(create).unwrap();
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
