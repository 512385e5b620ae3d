//! How a customer stands: access, signals and segments from Stripe's events to the API, the bus and
//! the command.

use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::time::Timestamp;
use paygraph_store::token::Right;
use paygraph_tests::{DAY, event, now, paygraph, stack, subscription, unique, wait};
use serde_json::{Value, json};

/// The days of grace of the example settings.
const GRACE: i64 = 14 * DAY;

fn at(seconds: i64) -> String {
    Timestamp::from_unix(seconds).unwrap().to_string()
}

fn invoice(customer: &str, status: &str, t: i64, fields: &Value) -> Value {
    let mut invoice = json!({
        "id": format!("in_{customer}"), "object": "invoice", "customer": customer, "status": status,
        "currency": "usd", "amount_due": 5800, "amount_paid": 0, "total": 5800, "created": t,
        "attempt_count": 1, "collection_method": "charge_automatically",
        "subscription": format!("sub_{customer}"), "lines": { "data": [] },
    });
    let fields = fields.as_object().unwrap().clone();
    invoice.as_object_mut().unwrap().extend(fields);
    invoice
}

/// Sends an event and waits until it is done. Gives its id.
fn feed(kind: &str, t: i64, object: &Value) -> String {
    stack().feed(kind, t, object)
}

/// The command's answer as JSON; it must succeed.
fn told(arguments: &[&str]) -> Value {
    let done = paygraph(arguments);
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {error}");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Asks the API below `/api/` with the stack's token.
fn ask(path: &str) -> (u16, Value) {
    stack().ask(&format!("/api/{path}"), Some(&stack().local("api_token")))
}

/// Every entry of a list, over its pages.
fn all(path: &str) -> Vec<Value> {
    stack().all(path, &stack().local("api_token"))
}

fn is_member(customer: &str, segment: &str) -> bool {
    let members = all(&format!("segments/{segment}/members?limit=50"));
    members
        .iter()
        .any(|member| member["customer_id"] == *customer)
}

fn kinds(signals: &Value) -> Vec<&str> {
    let signals = signals.as_array().unwrap().iter();
    signals
        .map(|signal| signal["kind"].as_str().unwrap())
        .collect()
}

/// L6, L7, L8: a payment fails: grace from the first failed attempt, which no redelivery extends;
/// time alone ends it, and tells so once; paid, everything is as before.
#[test]
#[expect(clippy::too_many_lines, reason = "a story is told in one go")]
fn l6_l7_l8_grace_begins_with_the_first_failure_ends_by_itself_and_is_over_when_paid() {
    let token = stack().local("api_token");
    assert!(
        !token.is_empty(),
        "the stack is there before the clock is read"
    );
    let customer = unique("cus_");
    // Grace that is over in ten minutes, so that the stack's other tests are hardly moved in time.
    let failed = now() - GRACE + 600;
    let end = failed + GRACE;
    let start = failed - 60;
    feed(
        "customer.subscription.created",
        start,
        &subscription(&customer, "active", start),
    );
    let next = json!({ "next_payment_attempt": failed + 3 * DAY });
    let declined = invoice(&customer, "open", start, &next);
    let first = feed("invoice.payment_failed", failed, &declined);
    feed(
        "customer.subscription.updated",
        failed + 1,
        &subscription(&customer, "past_due", start),
    );
    let record = || stack().get(&format!("customer/{customer}")).1;
    let access = json!({ "level": "grace", "until": at(end) });
    assert_eq!(record()["billing"]["access"], access);
    // The first failure once more, under its own id and under another.
    let again = event(&first, "invoice.payment_failed", failed, &declined);
    assert_eq!(stack().post(&again), 200);
    feed("invoice.payment_failed", failed, &declined);
    assert_eq!(record()["billing"]["access"], access);

    let (status, signals) = stack().get(&format!("signals/{customer}"));
    assert_eq!(status, 200);
    let up = ["failed_payment", "dunning", "past_due"];
    assert_eq!(kinds(&signals["data"]), up);
    assert_eq!(signals["data"][0]["since"], at(failed));
    assert_eq!(signals["health_score"], record()["health_score"]);
    assert_eq!(signals["health_score"], 60);
    let segments = ["failed_payment", "paying_with_failed_payment"];
    for segment in segments {
        assert!(
            record()["segments"]
                .as_array()
                .unwrap()
                .contains(&json!(segment))
        );
        wait(&format!("{customer} in {segment}"), || {
            is_member(&customer, segment).then_some(())
        });
    }

    let later = at(end + 1);
    told(&["tick", "--json", "--now", &later]);
    told(&["tick", "--json", "--now", &later]);
    let access = json!({ "level": "restricted", "until": null });
    assert_eq!(record()["billing"]["access"], access);
    let cause = format!("tick:{customer}:{end}");
    let changes = || {
        let delivered = stack().delivered(&cause);
        let changes = delivered
            .iter()
            .filter(|(name, _)| name == "access_changed");
        changes
            .map(|(_, told)| told["data"].clone())
            .collect::<Vec<_>>()
    };
    wait("the end of grace on the bus", || {
        (!changes().is_empty()).then_some(())
    });
    let data = json!({ "before": "grace", "after": "restricted", "until": null });
    assert_eq!(changes(), [data]);

    let t = now();
    let paid = json!({ "amount_paid": 5800, "status_transitions": { "paid_at": t } });
    feed("invoice.paid", t, &invoice(&customer, "paid", start, &paid));
    feed(
        "customer.subscription.updated",
        t,
        &subscription(&customer, "active", start),
    );
    let access = json!({ "level": "full", "until": null });
    assert_eq!(record()["billing"]["access"], access);
    let signals = stack().get(&format!("signals/{customer}")).1;
    assert_eq!(
        (&signals["data"], &signals["health_score"]),
        (&json!([]), &json!(100))
    );
    for segment in segments {
        wait(&format!("{customer} out of {segment}"), || {
            (!is_member(&customer, segment)).then_some(())
        });
    }
    let story = paygraph(&["explain", &customer]);
    let story = String::from_utf8_lossy(&story.stdout).into_owned();
    assert!(story.contains("May use everything: it pays."), "{story}");
    assert!(story.contains("Health 100 of 100."), "{story}");
}

/// What the tenant tells by PUT moves segments at once, and customers are found by it.
#[test]
fn traits_move_segments_and_customers_are_found_by_them_and_by_what_they_paid() {
    let token = stack().local("api_token");
    let channel = unique("channel-");
    let (trial, payer) = (unique("cus_"), unique("cus_"));
    let t = now() - DAY;
    feed(
        "customer.subscription.created",
        t,
        &subscription(&trial, "trialing", t),
    );
    let paid = json!({ "amount_paid": 5800, "status_transitions": { "paid_at": t } });
    feed("invoice.paid", t, &invoice(&payer, "paid", t, &paid));
    for (customer, engagement) in [(&trial, 80), (&payer, 20)] {
        let traits = json!({ "channel": channel, "engagement_score": engagement });
        let body = json!({ "traits": traits }).to_string();
        assert_eq!(stack().put(customer, &body, &token).0, 200);
    }
    let record = stack().get(&format!("customer/{trial}")).1;
    let segment = json!("trial_highly_engaged");
    assert!(record["segments"].as_array().unwrap().contains(&segment));
    wait("the trial in its segment", || {
        is_member(&trial, "trial_highly_engaged").then_some(())
    });
    assert!(!is_member(&payer, "trial_highly_engaged"));

    let by = format!("customers?sort=lifetime_value&trait.channel={channel}");
    let ids = |path: &str| -> Vec<String> {
        let found = all(path).into_iter();
        found
            .map(|found| found["customer_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let both = [payer.clone(), trial.clone()];
    wait("both customers by their channel", || {
        (ids(&by) == both).then_some(())
    });
    // One by one the pages give the same.
    assert_eq!(ids(&format!("{by}&limit=1")), both);
    assert_eq!(
        ids(&format!("{by}&segment=trial_highly_engaged")),
        std::slice::from_ref(&trial)
    );
    assert_eq!(
        ids(&format!("{by}&trait.engagement_score=20")),
        std::slice::from_ref(&payer)
    );
    assert!(ids(&format!("{by}&trait.channel_of=x")).is_empty());
    for wrong in [
        "customers?sort=mrr",
        "customers?order=asc",
        "customers?segment=no_such",
        "customers?cursor=SU5WT0lDRSM",
        "customers?limit=0",
    ] {
        let (status, answer) = ask(wrong);
        assert_eq!(
            (status, &answer["error"]["code"]),
            (422, &json!("invalid")),
            "{wrong}"
        );
    }
}

/// Segments are listed with their conditions; one that there is not is a 404, and no other tenant's
/// members are seen.
#[test]
fn segments_are_listed_and_keep_to_their_tenant() {
    let (status, answer) = ask("segments");
    assert_eq!(status, 200);
    let listed = answer["data"].as_array().unwrap();
    let failed = listed
        .iter()
        .find(|segment| segment["name"] == "failed_payment")
        .unwrap();
    assert_eq!(failed["condition"], "\"failed_payment\" in signals");
    assert!(failed["description"].is_string() && failed["members"].is_u64());
    let (status, answer) = ask("segments/no_such/members");
    assert_eq!(
        (status, &answer["error"]["code"]),
        (404, &json!("not_found"))
    );
    let other = TenantId::parse(unique("t")).unwrap();
    let token = stack().token(&other, &[Right::Read]);
    for path in [
        "/api/segments/tier_free/members",
        "/api/customers?sort=lifetime_value",
    ] {
        let (status, answer) = stack().ask(path, Some(&token));
        assert_eq!((status, &answer["data"]), (200, &json!([])), "{path}");
    }
}

/// The run over all contacts tells what new settings change, once; it can be taken up by its name.
#[test]
fn a_run_after_new_settings_tells_what_changed_and_a_second_one_nothing() {
    let tenant = TenantId::parse(unique("t")).unwrap();
    let token = stack().token(&tenant, &[Right::Read, Right::Write]);
    for (id, partner) in [("acme", true), ("globex", false)] {
        let body = json!({ "name": id, "traits": { "partner": partner } }).to_string();
        assert_eq!(stack().put(id, &body, &token).0, 200);
    }
    let mut settings: Value =
        serde_json::from_str(include_str!("../../infra/catalog/settings.json")).unwrap();
    settings["segments"] = json!({
        "partners": { "description": "Partners", "when": "traits.partner" },
        "tier_free": { "description": "Free", "when": "billing.tier == \"free\"" },
    });
    let file = paygraph_tests::root()
        .join("target/paygraph")
        .join(unique("settings-"));
    std::fs::write(&file, settings.to_string()).unwrap();
    let set = paygraph(&[
        "settings",
        "set",
        file.to_str().unwrap(),
        "--tenant",
        tenant.as_str(),
    ]);
    std::fs::remove_file(file).unwrap();
    assert!(
        set.status.success(),
        "{}",
        String::from_utf8_lossy(&set.stderr)
    );
    let run = |extra: &[&str]| {
        let arguments = ["reevaluate", "--json", "--tenant", tenant.as_str()];
        told(&[&arguments, extra].concat())
    };
    let first = run(&[]);
    assert_eq!(
        (&first["contacts"], &first["events"]),
        (&json!(2), &json!(1))
    );
    let name = first["run"].as_str().unwrap();
    let delivered = wait("who entered on the bus", || {
        Some(stack().delivered(&format!("{name}:acme"))).filter(|told| !told.is_empty())
    });
    let names: Vec<_> = delivered.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["segment_entered"]);
    assert_eq!(delivered[0].1["data"], json!({ "segment": "partners" }));
    let members = stack().store.members(&tenant, "partners", None, 10);
    let members = stack().block_on(members).unwrap().entries;
    assert_eq!(members, [CustomerId::parse("acme").unwrap()]);

    let second = run(&[]);
    assert_eq!(
        (&second["contacts"], &second["events"]),
        (&json!(2), &json!(0))
    );
    let taken_up = run(&["--run", name]);
    assert_eq!(
        (&taken_up["contacts"], &taken_up["skipped"]),
        (&json!(0), &json!(2))
    );
}

/// What a condition cannot be is told with what to change.
#[test]
fn a_file_of_segments_is_checked_with_what_to_change() {
    let example = paygraph(&["segments", "check", "infra/catalog/segments.yaml"]);
    assert!(example.status.success());
    let file = paygraph_tests::root()
        .join("target/paygraph")
        .join(unique("segments-"));
    let yaml = "late: { description: Late, when: 'billing.cancel_at < now' }\n\
                typo: { description: Typo, when: '\"faild_payment\" in signals' }\n";
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, yaml).unwrap();
    let checked = paygraph(&["segments", "check", "--json", file.to_str().unwrap()]);
    std::fs::remove_file(file).unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let problems = told["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    for (problem, part) in problems.iter().zip(["add `flips_at`", "failed_payment"]) {
        assert!(problem.as_str().unwrap().contains(part), "{problem}");
    }
}
