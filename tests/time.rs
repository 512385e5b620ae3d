//! Time over many customers: who flips is told, and nobody else is read. Alone on the stack: it lets
//! time pass for everybody.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_engine::Deadline;
use paygraph_engine::memory::MemoryBus;
use paygraph_engine::process::Engine;
use paygraph_engine::publish::publish;
use paygraph_store::token::Right;
use paygraph_tests::{DAY, event, now, stack, subscription, unique, wait};
use serde_json::json;

const ALL: usize = 1_000;
const FLIP: usize = 40;
/// How many customers are made side by side.
const AT_ONCE: usize = 16;

/// A thousand trials, of which forty come within three days of their end: the minute's function
/// moves those forty, and reads those forty. Late by two hours, it turns nothing back.
#[test]
fn a_thousand_customers_of_whom_forty_flip() {
    let tenant = TenantId::parse(unique("t")).unwrap();
    let prefix = unique("cus_");
    let flip = now() + 600;
    let ends = |n: usize| {
        if n.is_multiple_of(ALL / FLIP) {
            flip + 3 * DAY
        } else {
            flip + 20 * DAY
        }
    };
    load(&tenant, &prefix, ends);
    let token = stack().token(&tenant, &[Right::Read]);
    let members = |segment: &str| -> BTreeSet<String> {
        let path = format!("segments/{segment}/members?limit=100");
        let members = stack().all(&path, &token).into_iter();
        members
            .map(|member| member["customer_id"].as_str().unwrap().to_owned())
            .collect()
    };

    // What else is due on this stack is done one second before.
    let _ = stack().tick(flip - 1);
    assert_eq!(members("trial_expiring"), BTreeSet::new());
    let ticked = stack().tick(flip)["ticked"].clone();
    let looked_at = json!({
        "contacts": FLIP, "events": FLIP, "failed": 0, "unfinished": false,
    });
    assert_eq!(ticked, looked_at, "those that flip are read, and no others");
    let flipped: BTreeSet<_> = (0..ALL)
        .step_by(ALL / FLIP)
        .map(|n| format!("{prefix}{n:04}"))
        .collect();
    wait("the forty in their segment", || {
        (members("trial_expiring") == flipped).then_some(())
    });
    for customer in &flipped {
        let cause = format!("tick:{customer}:{flip}");
        let told = wait("who entered on the bus", || {
            Some(stack().delivered(&cause)).filter(|told| !told.is_empty())
        });
        assert_eq!(told.len(), 1, "{told:?}");
        let (name, envelope) = &told[0];
        let data = json!({ "segment": "trial_expiring" });
        assert_eq!(
            (name.as_str(), &envelope["data"]),
            ("segment_entered", &data)
        );
    }

    // The same minute again, and one that comes two hours late.
    for late in [flip, flip - 7_200] {
        let ticked = stack().tick(late)["ticked"].clone();
        assert_eq!(
            (&ticked["contacts"], &ticked["events"]),
            (&json!(0), &json!(0))
        );
    }
    assert_eq!(members("trial_expiring"), flipped);
    let customer = flipped.first().unwrap();
    let (_, record) = stack().ask(&format!("/api/stripe/customer/{customer}"), Some(&token));
    let segments = record["segments"].as_array().unwrap();
    assert!(segments.contains(&json!("trial_expiring")), "{record}");
}

/// Makes the customers, each with a trial, by the product's own engine over the stack's table.
fn load(tenant: &TenantId, prefix: &str, ends: impl Fn(usize) -> i64) {
    let engine = Engine::alone(stack().store.clone(), now);
    let bus = MemoryBus::default();
    let t = now() - DAY;
    let trials = (0..ALL).map(|n| {
        let customer = format!("{prefix}{n:04}");
        let mut trial = subscription(&customer, "trialing", t);
        trial["trial_end"] = json!(ends(n));
        let id = format!("evt_{customer}");
        event(&id, "customer.subscription.created", t, &trial).to_string()
    });
    let load = stream::iter(trials).map(|trial| {
        let (engine, bus) = (&engine, &bus);
        async move {
            let deadline = Deadline::after(Duration::from_secs(120));
            let done = engine.process(tenant, &trial, Source::Webhook, deadline);
            let entries = done.await.unwrap().into_entries();
            publish(&engine.store, bus, &entries).await.map(|_| ())
        }
    });
    let load = load.buffer_unordered(AT_ONCE).try_collect::<()>();
    stack().block_on(load).unwrap();
}
