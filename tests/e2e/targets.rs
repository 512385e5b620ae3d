//! What billing sets in motion, from the webhook to whoever is told: each once, whatever comes again,
//! and over when its reason is.

use paygraph_testkit::fake_attio::{FakeAttio, TOKEN, Trouble};
use paygraph_tests::{Slack, Tenant, now, paygraph, stack, unique, wait};
use serde_json::{Value, json};

/// A payment that failed is one alert of each kind, one message and one enrolment, though the webhook
/// comes three times; when it is paid, all of it is over.
#[test]
fn a_failed_payment_is_told_once_and_over_when_it_is_paid() {
    let (tenant, customer, t) = (Tenant::unique(), unique("cus_"), now() - 60);
    let slack = Slack::start();
    slack.serve(&tenant);
    tenant.subscribe(&customer, &format!("{customer}@example.com"), t);
    let failed = tenant.fail_payment(&customer, t + 10);
    let of_kind = || tenant.alerts_of("payment_failure", &customer);
    let raised = wait("the alert", || of_kind().pop());
    assert_eq!(raised["status"], "open");
    let step = format!("sequence:failed_payment_recovery:{customer}:1:notice");
    let steps = || stack().delivered(&step);
    let (name, told) = wait("the first step", || steps().pop());
    assert_eq!(
        (name.as_str(), &told["data"]["name"]),
        ("sequence_step_due", &json!("notice"))
    );
    let title = raised["title"].as_str().unwrap();
    wait("Slack", || slack.heard(title).pop());
    // Whatever else the three deliveries set off has come by now.
    tenant.post(&failed);
    let id = raised["id"].as_str().unwrap();
    let path = format!("alerts/{id}/acknowledge");
    let (status, taken) = stack().post_as(&path, &json!({ "by": "cs-team" }), &tenant.token);
    assert_eq!(
        (status, &taken["status"]),
        (200, &json!("acknowledged")),
        "{taken}"
    );

    tenant.recover_payment(&customer, t + 10);
    tenant.wait_until_resolved(&customer);
    assert_eq!(of_kind().len(), 1);
    assert_eq!(steps().len(), 1);
    assert_eq!(slack.heard(title).len(), 1);
}

/// An Attio for a tenant of which nothing was heard yet: a function remembers for a minute that a
/// tenant has no token.
fn attio(tenant: &Tenant) -> FakeAttio {
    let attio = FakeAttio::start(Trouble::default());
    let attio = stack().block_on(attio).unwrap();
    let secret = json!({ "token": TOKEN, "url": attio.url() });
    stack().keep_secret(&format!("attio/{}", tenant.id), &secret);
    attio
}

/// What Attio refuses is a dead letter with Attio's word for it, and goes back when it would be taken.
#[test]
fn a_targets_dead_letter_is_put_back() {
    let (tenant, customer, t) = (Tenant::unique(), unique("cus_"), now() - 60);
    let attio = attio(&tenant);
    attio.forget("subscriptions", Some("plan_name"));
    let created = tenant.subscribe(&customer, &format!("{customer}@example.com"), t);
    let replay = |more: &[&str]| {
        let ran = paygraph(&[&["replay", "--target", "crm", "--json"], more].concat());
        let error = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{error}");
        let mut told: Value = serde_json::from_slice(&ran.stdout).unwrap();
        let letters = told["dead_letters"].as_array_mut().unwrap();
        letters.retain(|letter| {
            letter["event"]
                .as_str()
                .unwrap_or_default()
                .starts_with(&created)
        });
        std::mem::take(letters)
    };
    let letter = wait("the dead letter", || replay(&["--list"]).pop());
    assert_eq!(letter["reason"], "Attio answered 400 (value_not_found)");
    assert_eq!(letter["replayed"], false);
    attio.remember();
    let put_back = || replay(&["--failed", "--id", &created]);
    // Whoever looks at a dead letter hides it for some seconds.
    wait("the letter", || {
        put_back()
            .into_iter()
            .find(|letter| letter["replayed"] == true)
    });
    wait("Attio", || {
        let record = attio.record("subscriptions", &customer)?;
        (record["status"] == "active").then_some(())
    });
}

/// Attio shows a customer as it is: all of them by a sync, and what changes by the bus.
#[test]
fn attio_shows_a_customer_as_it_is() {
    let (tenant, customer, t) = (Tenant::unique(), unique("cus_"), now() - 60);
    let attio = attio(&tenant);
    let id = tenant.subscribe(&customer, &format!("{customer}@example.com"), t);
    wait("the subscription", || {
        (!stack().delivered(&id).is_empty()).then_some(())
    });
    let crm = |what: &str| {
        let ran = paygraph(&["crm", what, "--json", "--tenant", tenant.id.as_str()]);
        let error = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{error}");
        serde_json::from_slice::<Value>(&ran.stdout).unwrap()
    };
    assert_eq!(crm("check"), json!({ "missing": [] }));
    let first = crm("sync");
    assert_eq!(
        (&first["contacts"], &first["failed"]),
        (&json!(1), &json!([]))
    );
    let shown = |name: &str| attio.record("subscriptions", &customer).unwrap()[name].clone();
    assert_eq!(shown("status"), "active");
    assert_eq!(crm("sync")["written"], 0, "it has everything");

    tenant.turn(&customer, "past_due", t, t + 10);
    wait("Attio", || (shown("status") == "past_due").then_some(()));
    let body = json!({ "company": "Acme" }).to_string();
    assert_eq!(stack().put(&customer, &body, &tenant.token).0, 200);
    wait("the company", || {
        let workspace = attio.record("workspaces", &customer);
        (workspace.unwrap()["name"] == "Acme").then_some(())
    });
    assert!(attio.complaints().is_empty(), "{:?}", attio.complaints());
}
