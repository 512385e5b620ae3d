//! Who is who: customers that were put, found again by what Stripe says of them; links by hand,
//! merging and parting, through the API.

use paygraph_tests::{now, stack, subscription, unique, wait};
use serde_json::{Value, json};

/// What `mrr_changed` says of a customer without MRR, and of one and two of the $58.00.
const NONE: Option<i64> = None;
const ONE: Option<i64> = Some(5800);
const TWO: Option<i64> = Some(11_600);

/// Puts a customer with these fields.
fn put(id: &str, fields: &Value) -> Value {
    let (status, record) = stack().put(id, &fields.to_string(), &stack().local("api_token"));
    assert_eq!(status, 200, "{record}");
    record
}

/// A Stripe customer is made with these fields.
fn customer(id: &str, fields: &Value) {
    let mut object = json!({ "id": id, "object": "customer", "created": now(), "metadata": {} });
    let known = object.as_object_mut().unwrap();
    known.extend(fields.as_object().unwrap().clone());
    stack().feed("customer.created", now(), &object);
}

/// A Stripe customer subscribes for $58.00 a month.
fn subscribe(customer: &str) {
    let t = now();
    let object = subscription(customer, "active", t);
    stack().feed("customer.subscription.created", t, &object);
}

fn record(id: &str) -> Value {
    let (status, record) = stack().get(&format!("customer/{id}"));
    assert_eq!(status, 200, "{id}: {record}");
    record
}

/// Whose a Stripe customer is.
fn owner(customer: &str) -> String {
    let owner = record(customer)["customer_id"].clone();
    owner.as_str().unwrap().to_owned()
}

/// MRR in cents, by each of the two places that tell it.
fn mrr(id: &str) -> Option<i64> {
    let billing = record(id)["billing"]["mrr"].clone();
    let (status, sums) = stack().get(&format!("mrr/{id}"));
    assert_eq!((status, &sums["mrr"]), (200, &billing), "{id}");
    billing["usd"].as_i64()
}

/// The review list's entry of a Stripe customer.
fn review(customer: &str) -> Option<Value> {
    let all = stack().all("stripe/unmatched?limit=100", &stack().local("api_token"));
    all.into_iter()
        .find(|entry| entry["stripe_customer_id"] == customer)
}

/// The newest change by hand in a customer's audit trail: what made it, and every changed field.
fn changed_by_hand(id: &str) -> (String, Vec<Value>) {
    let (status, audit) = stack().get(&format!("audit/{id}"));
    assert_eq!(status, 200);
    let entries = audit["data"].as_array().unwrap().clone();
    let entry = entries.into_iter().find(|entry| entry["source"] == "api");
    let entry = entry.unwrap();
    let cause = entry["cause"].as_str().unwrap().to_owned();
    (cause, entry["changes"].as_array().unwrap().clone())
}

/// Waits until the bus has told, for one cause, how the MRR of these customers changed.
fn told_on_the_bus(cause: &str, expected: &[(&str, Option<i64>, Option<i64>)]) {
    let told = wait("the events on the bus", || {
        let told = stack().delivered(cause).into_iter();
        let told: Vec<_> = told.filter(|(name, _)| name == "mrr_changed").collect();
        (told.len() >= expected.len()).then_some(told)
    });
    for (customer, before, after) in expected {
        let of = told.iter().find(|(_, of)| of["customer_id"] == *customer);
        let data = &of.unwrap().1["data"];
        let cents = |name: &str| data[name]["usd"].as_i64();
        assert_eq!((cents("before"), cents("after")), (*before, *after));
    }
}

/// I4: metadata goes before the address, the address before the company's domain, that before its
/// name; free mail and what fits nobody stay by themselves.
#[test]
fn i4_the_surest_name_finds_the_customer() {
    let domains = [unique("a"), unique("b")].map(|name| format!("{name}.example"));
    let [by_metadata, by_email, by_domain, by_company] =
        ["metadata-", "email-", "domain-", "company-"].map(unique);
    let address = format!("zoe@{}", domains[0]);
    let company = unique("Umbrella ");
    put(&by_email, &json!({ "email": address }));
    put(&by_domain, &json!({ "domain": domains[1] }));
    put(
        &by_company,
        &json!({ "company": format!("{company} Ltd.") }),
    );
    let named = json!({ "email": address, "metadata": { "customer_id": by_metadata } });
    let cases = [
        (Some(&by_metadata), named),
        (Some(&by_email), json!({ "email": address.to_uppercase() })),
        (
            Some(&by_domain),
            json!({ "email": format!("billing@{}", domains[1]) }),
        ),
        (
            Some(&by_company),
            json!({ "email": "x@gmail.com", "name": format!("{}, LIMITED", company.to_uppercase()) }),
        ),
        (
            None,
            json!({ "email": format!("{}@gmail.com", unique("y")) }),
        ),
    ];
    for (expected, fields) in cases {
        let id = unique("cus_");
        customer(&id, &fields);
        assert_eq!(&owner(&id), expected.unwrap_or(&id), "{fields}");
        assert_eq!(review(&id), None, "{fields}");
    }
}

/// I1, I3: events come before their customer; once its address is known it goes to the customer that
/// has it, with everything, and the sums over several are right at once.
#[test]
fn i1_i3_what_comes_before_its_customer_goes_with_it_and_adds_up() {
    let (acme, domain) = (unique("acme-"), unique("a") + ".example");
    put(&acme, &json!({ "name": "Acme", "domain": domain }));
    let [first, second] = ["cus_", "cus_"].map(unique);
    for (stripe, sum) in [(&first, ONE), (&second, TWO)] {
        subscribe(stripe);
        assert_eq!((owner(stripe), mrr(stripe)), (stripe.clone(), ONE));
        customer(stripe, &json!({ "email": format!("billing@{domain}") }));
        assert_eq!((owner(stripe), mrr(&acme)), (acme.clone(), sum));
    }
    let mut both = [first, second];
    both.sort();
    let record = record(&acme);
    assert_eq!(record["stripe_customer_ids"], json!(both));
    assert_eq!(record["name"], "Acme");
    let (_, listed) = stack().get(&format!("subscriptions/{acme}"));
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
}

/// I11: two customers have one address: nobody picks. The review list names both, a link by hand
/// settles it for good, the sums are right at once, and audit and bus tell it.
#[test]
fn i11_several_that_fit_are_listed_and_linked_by_hand() {
    let address = format!("team@{}.example", unique("a"));
    let mut fitting = ["a-", "b-"].map(unique);
    fitting.sort();
    for id in &fitting {
        put(id, &json!({ "email": address }));
    }
    let stripe = unique("cus_");
    customer(&stripe, &json!({ "email": address }));
    subscribe(&stripe);
    assert_eq!(owner(&stripe), stripe);
    let listed = review(&stripe).unwrap();
    assert_eq!(
        listed["reason"],
        json!({ "several_with_the_same": "email" })
    );
    assert_eq!(listed["candidates"], json!(fitting));

    let chosen = &fitting[1];
    let body = json!({ "stripe_customer_id": stripe, "customer_id": chosen });
    let (status, linked) = stack().post_api("stripe/links", &body);
    assert_eq!((status, &linked["customer_id"]), (200, &json!(chosen)));
    assert_eq!(linked["billing"]["mrr"], json!({ "usd": 5800 }));
    assert_eq!((review(&stripe), mrr(chosen)), (None, ONE));
    assert_eq!((mrr(&fitting[0]), owner(&stripe)), (NONE, chosen.clone()));
    let (cause, changes) = changed_by_hand(chosen);
    let mrr_changed = json!({ "field": "billing.mrr", "before": {}, "after": { "usd": 5800 } });
    assert!(changes.contains(&mrr_changed), "{changes:?}");
    told_on_the_bus(&cause, &[(chosen, NONE, ONE)]);
    // The same link again changes nothing, and what Stripe says later moves it no more.
    assert_eq!(stack().post_api("stripe/links", &body).0, 200);
    let named = json!({
        "id": stripe, "object": "customer", "metadata": { "customer_id": fitting[0] },
    });
    stack().feed("customer.updated", now(), &named);
    assert_eq!((owner(&stripe), mrr(chosen)), (chosen.clone(), ONE));
    let hand = changed_by_hand(chosen).0;
    assert_eq!(hand, cause);
}

/// I12, I3: parted and merged, nothing is lost, the sums are right at once, and audit and bus tell
/// each step.
#[test]
fn i12_parting_and_merging_move_everything_at_once() {
    let (acme, other) = (unique("acme-"), unique("other-"));
    let domain = unique("a") + ".example";
    put(
        &acme,
        &json!({ "domain": domain, "traits": { "channel": "ads" } }),
    );
    put(&other, &json!({ "name": "Other" }));
    let [first, second] = ["cus_", "cus_"].map(unique);
    for stripe in [&first, &second] {
        customer(stripe, &json!({ "email": format!("billing@{domain}") }));
        subscribe(stripe);
    }
    assert_eq!(mrr(&acme), TWO);

    let (status, parted) = stack().delete_api(&format!("stripe/links/{second}"));
    assert_eq!((status, &parted["customer_id"]), (200, &json!(second)));
    assert_eq!((mrr(&acme), mrr(&second)), (ONE, ONE));
    let (cause, _) = changed_by_hand(&second);
    told_on_the_bus(&cause, &[(&acme, TWO, ONE), (&second, NONE, ONE)]);
    // What Stripe tells of it later stays with it.
    let t = now() + 1;
    stack().feed(
        "customer.subscription.updated",
        t,
        &subscription(&second, "canceled", t),
    );
    assert_eq!((mrr(&acme), mrr(&second)), (ONE, NONE));

    let body = json!({ "into": other });
    let (status, merged) = stack().post_api(&format!("customers/{acme}/merge"), &body);
    assert_eq!((status, &merged["customer_id"]), (200, &json!(other)));
    assert_eq!(
        (&merged["name"], &merged["traits"]["channel"]),
        (&json!("Other"), &json!("ads"))
    );
    assert_eq!((mrr(&other), owner(&first)), (ONE, other.clone()));
    assert_eq!(stack().get(&format!("customer/{acme}")).0, 404);
    let (cause, changes) = changed_by_hand(&other);
    let told = json!({ "field": "merged", "before": acme, "after": other });
    assert!(changes.contains(&told), "{changes:?}");
    told_on_the_bus(&cause, &[(&other, NONE, ONE)]);
    // Its history went along, and so does what comes next, found by the name it brought.
    let (_, audit) = stack().get(&format!("audit/{first}"));
    let of_stripe = audit["data"].as_array().unwrap().iter();
    assert!(
        of_stripe
            .filter(|entry| entry["source"] == "webhook")
            .count()
            >= 2
    );
    let third = unique("cus_");
    customer(&third, &json!({ "email": format!("ceo@{domain}") }));
    subscribe(&third);
    assert_eq!((owner(&third), mrr(&other)), (other, TWO));
}

/// Links that make no sense are refused, each with what is wrong.
#[test]
fn i12_links_that_make_no_sense_are_refused() {
    let (acme, stripe) = (unique("acme-"), unique("cus_"));
    put(&acme, &json!({}));
    subscribe(&stripe);
    let nobody = unique("nobody-");
    let link = |stripe: &str, to: &str| {
        let body = json!({ "stripe_customer_id": stripe, "customer_id": to });
        stack().post_api("stripe/links", &body)
    };
    let merge = |id: &str, into: &str| {
        let path = format!("customers/{id}/merge");
        stack().post_api(&path, &json!({ "into": into }))
    };
    for (answer, status) in [
        (link(&unique("cus_"), &acme), 404),
        (link(&stripe, &nobody), 404),
        (merge(&acme, &acme), 422),
        (merge(&acme, &nobody), 404),
        (
            stack().post_api("stripe/links", &json!({ "customer_id": acme })),
            422,
        ),
        (stack().delete_api(&format!("stripe/links/{nobody}")), 404),
    ] {
        assert_eq!(answer.0, status, "{}", answer.1);
        assert!(answer.1["error"]["message"].is_string(), "{}", answer.1);
    }
    assert_eq!((owner(&stripe), mrr(&acme)), (stripe, NONE));
}

/// A user works in three workspaces, each paid for by another customer, and keeps all three; one
/// customer's workspaces add up over several puts, and go along when it is merged.
#[test]
fn i12_a_user_of_three_workspaces_keeps_all_three() {
    let user = unique("user-");
    let mut customers = ["a-", "b-", "c-"].map(unique);
    customers.sort();
    let workspace = |customer: &str| format!("w-{customer}");
    for id in &customers {
        put(
            id,
            &json!({ "users": [user], "workspaces": [workspace(id)] }),
        );
    }
    let of = |path: &str| -> Vec<Value> {
        let found = stack().all(path, &stack().local("api_token")).into_iter();
        found.map(|found| found["customer_id"].clone()).collect()
    };
    let users = format!("users/{user}");
    assert_eq!(of(&users), customers);
    // Another put, and Stripe's own word, take nothing away.
    put(
        &customers[0],
        &json!({ "users": [unique("user-")], "workspaces": ["w-more"] }),
    );
    customer(
        &unique("cus_"),
        &json!({ "metadata": { "customer_id": customers[0] } }),
    );
    assert_eq!(of(&users), customers);
    let mut both = [workspace(&customers[0]), "w-more".to_owned()];
    both.sort();
    assert_eq!(record(&customers[0])["workspaces"], json!(both));
    // Merged, the user is found where the workspaces are now.
    let path = format!("customers/{}/merge", customers[0]);
    let (status, merged) = stack().post_api(&path, &json!({ "into": customers[1] }));
    assert_eq!(status, 200);
    assert_eq!(merged["workspaces"].as_array().unwrap().len(), 3);
    assert_eq!(of(&users), customers[1..]);
    for id in &customers {
        let at = if *id == customers[0] {
            &customers[1]
        } else {
            id
        };
        let path = format!("workspaces/{}", workspace(id));
        assert_eq!(of(&path), [json!(at)]);
    }
}
