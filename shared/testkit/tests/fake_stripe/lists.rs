//! Lists: order, limits, cursors, ranges, filters.

use std::collections::BTreeSet;

use paygraph_testkit::fake_stripe::{Config, Lazy};
use serde_json::{Value, json};

use crate::asking::{Fake, ids, text};

fn world(customers: u64) -> Lazy {
    Lazy {
        subscriptions_each: 2,
        invoices_each: 3,
        ..Lazy::of(customers)
    }
}

fn fake(customers: u64) -> Fake {
    Fake::start(Config::with_world(world(customers)).unlimited())
}

fn customer(id: &str, created: i64) -> Value {
    json!({ "id": id, "object": "customer", "created": created, "email": null, "metadata": {} })
}

const LISTS: [&str; 9] = [
    "/v1/customers",
    "/v1/subscriptions?status=all",
    "/v1/invoices",
    "/v1/charges",
    "/v1/payment_methods",
    "/v1/refunds",
    "/v1/disputes",
    "/v1/checkout/sessions",
    "/v1/subscription_schedules",
];

#[test]
fn a_list_has_every_object_once_from_the_newest_to_the_oldest() {
    let fake = fake(250);
    for path in LISTS {
        let all = fake.all(path);
        assert!(all.len() > 10, "{path} has {}", all.len());
        assert_eq!(
            ids(&all).iter().collect::<BTreeSet<_>>().len(),
            all.len(),
            "{path}"
        );
        let created = |object: &Value| object["created"].as_i64().unwrap();
        assert!(all.iter().map(created).rev().is_sorted(), "{path}");
        let kind = path.split('?').next().unwrap();
        for object in all.iter().step_by(41) {
            assert_eq!(fake.get(&format!("{kind}/{}", text(object, "id"))), *object);
        }
    }
    assert_eq!(fake.all("/v1/subscriptions?status=all").len(), 500);
    assert_eq!(fake.all("/v1/invoices").len(), 750);
}

#[test]
fn disjoint_ranges_together_have_what_the_whole_list_has() {
    let fake = fake(250);
    for path in LISTS
        .iter()
        .filter(|path| !path.contains("payment_methods"))
    {
        let joint = if path.contains('?') { '&' } else { '?' };
        let all = fake.all(path);
        let (newest, oldest) = (&all[0]["created"], &all[all.len() - 1]["created"]);
        let (newest, oldest) = (newest.as_i64().unwrap(), oldest.as_i64().unwrap());
        let width = (newest - oldest) / 7 + 1;
        let mut found = Vec::new();
        for part in (0..7).rev() {
            let from = oldest + part * width;
            let range = format!("created[gte]={from}&created[lt]={}", from + width);
            found.extend(fake.all(&format!("{path}{joint}{range}")));
        }
        assert_eq!(ids(&found), ids(&all), "{path}");
        let same = format!("{path}{joint}created={newest}");
        let other = format!(
            "{path}{joint}created[gt]={}&created[lte]={newest}",
            newest - 1
        );
        assert_eq!(fake.all(&same), fake.all(&other));
        assert!(!fake.all(&same).is_empty());
    }
}

#[test]
fn ending_before_leads_back_to_the_newest() {
    let fake = fake(100);
    let all = fake.all("/v1/invoices");
    let mut back = vec![all[all.len() - 1].clone()];
    loop {
        let first = text(&back[0], "id");
        let page = fake.get(&format!("/v1/invoices?limit=17&ending_before={first}"));
        let data = page["data"].as_array().unwrap();
        back.splice(0..0, data.iter().cloned());
        if page["has_more"] != true {
            break;
        }
    }
    assert_eq!(ids(&back), ids(&all));
}

#[test]
fn a_limit_is_1_to_100_and_10_without_a_word() {
    let fake = fake(200);
    let count = |path: &str| fake.get(path)["data"].as_array().unwrap().len();
    assert_eq!(count("/v1/customers"), 10);
    assert_eq!(count("/v1/customers?limit=1"), 1);
    assert_eq!(count("/v1/customers?limit=100"), 100);
    for limit in ["0", "101", "-1", "many"] {
        let answer = fake.answer(&format!("/v1/customers?limit={limit}"));
        assert_eq!((answer.status, answer.error("param")), (400, "limit"));
    }
}

#[test]
fn what_is_not_known_is_refused_in_stripes_words() {
    let fake = fake(20);
    let error = |path: &str| {
        let answer = fake.answer(path);
        let error = |field| answer.error(field).to_owned();
        (
            answer.status,
            error("code"),
            error("param"),
            error("message"),
        )
    };
    let said = |status: u16, code: &str, param: &str, message: &str| {
        (
            status,
            code.to_owned(),
            param.to_owned(),
            message.to_owned(),
        )
    };
    let unknown = "Received unknown parameter: colour";
    assert_eq!(
        error("/v1/customers?colour=red"),
        said(400, "parameter_unknown", "colour", unknown)
    );
    assert_eq!(
        error("/v1/customers/cus_no"),
        said(404, "resource_missing", "id", "No such customer: 'cus_no'")
    );
    assert_eq!(
        error("/v1/customers?starting_after=cus_no"),
        said(
            400,
            "resource_missing",
            "starting_after",
            "No such customer: 'cus_no'"
        )
    );
    assert_eq!(error("/v1/people").0, 404);
    assert_eq!(error("/v1/subscriptions?status=dormant").2, "status");
    assert_eq!(error("/v1/payment_methods?created[gt]=1").0, 400);
    assert_eq!(error("/v1/customers?created[near]=1").0, 400);
}

#[test]
fn a_status_narrows_and_canceled_subscriptions_have_to_be_asked_for() {
    let fake = fake(100);
    let all = fake.all("/v1/subscriptions?status=all");
    let without = fake.all("/v1/subscriptions");
    let is = |status: &str| all.iter().filter(|s| text(s, "status") == status).count();
    assert!(is("canceled") > 0);
    assert_eq!(without.len(), all.len() - is("canceled"));
    for status in [
        "active", "past_due", "trialing", "unpaid", "canceled", "paused",
    ] {
        let found = fake.all(&format!("/v1/subscriptions?status={status}"));
        assert_eq!((status, found.len()), (status, is(status)));
        assert!(found.iter().all(|found| text(found, "status") == status));
    }
    let ended = fake.all("/v1/subscriptions?status=ended").len();
    assert_eq!(ended, is("canceled") + is("incomplete_expired"));
    for status in ["paid", "open", "void", "uncollectible", "draft"] {
        let found = fake.all(&format!("/v1/invoices?status={status}"));
        assert!(!found.is_empty(), "{status}");
        assert!(found.iter().all(|found| text(found, "status") == status));
    }
}

#[test]
fn what_belongs_to_a_customer_is_found_by_it() {
    let fake = fake(60);
    let invoices = fake.all("/v1/invoices");
    for customer in fake.all("/v1/customers").iter().step_by(7) {
        let id = text(customer, "id");
        let own = fake.all(&format!("/v1/invoices?customer={id}"));
        assert_eq!(own.len(), 3);
        let all = invoices
            .iter()
            .filter(|invoice| text(invoice, "customer") == id);
        assert_eq!(
            ids(&own),
            all.map(|invoice| text(invoice, "id")).collect::<Vec<_>>()
        );
        let of = text(&own[0]["parent"]["subscription_details"], "subscription");
        let billed = fake.all(&format!("/v1/invoices?subscription={of}"));
        assert!(ids(&billed).contains(&text(&own[0], "id")));
        let email = text(customer, "email");
        assert_eq!(
            ids(&fake.all(&format!("/v1/customers?email={email}"))),
            [id]
        );
    }
}

#[test]
fn a_deleted_customer_is_known_by_id_and_in_no_list() {
    let fake = fake(40);
    let all = fake.all("/v1/subscriptions?status=all");
    let customers: BTreeSet<_> = all.iter().map(|s| text(s, "customer")).collect();
    let listed = fake.all("/v1/customers");
    let listed: BTreeSet<_> = ids(&listed).into_iter().collect();
    let deleted: Vec<_> = customers.difference(&listed).collect();
    assert_eq!(deleted.len(), 2, "one of twenty");
    for id in deleted {
        let answer = fake.get(&format!("/v1/customers/{id}"));
        assert_eq!(
            answer,
            json!({ "id": id, "object": "customer", "deleted": true })
        );
    }
    fake.stripe.put(customer("cus_mine", 5));
    fake.stripe.remove("cus_mine");
    assert_eq!(fake.get("/v1/customers/cus_mine")["deleted"], true);
    let answer = fake.answer("/v1/customers?starting_after=cus_mine");
    assert_eq!(answer.status, 400);
}

#[test]
fn what_is_put_wins_over_what_is_computed() {
    let fake = fake(50);
    let all = fake.all("/v1/customers");
    let mut changed = all[20].clone();
    changed["name"] = json!("Changed");
    assert!(fake.stripe.put(changed.clone()));
    fake.stripe.remove(text(&all[30], "id"));
    let second = all[10]["created"].as_i64().unwrap();
    assert!(fake.stripe.put(customer("cus_new", second)));
    let now = fake.all("/v1/customers");
    assert_eq!(now.len(), all.len());
    assert!(now.contains(&changed) && !now.contains(&all[20]) && !now.contains(&all[30]));
    let place = |id: &str| ids(&now).iter().position(|found| *found == id).unwrap();
    assert_eq!(
        place(text(&changed, "id")),
        21,
        "it stays in its place, after the new one"
    );
    assert!((8..=10).contains(&place("cus_new")));
}

#[test]
fn a_page_in_the_midst_of_a_million_costs_a_page() {
    let fake = Fake::start(Config::with_world(Lazy::of(1_000_000)).unlimited());
    let first = fake.get("/v1/invoices?limit=1")["data"][0]["created"]
        .as_i64()
        .unwrap();
    let middle = first - 15_000_000;
    let before = fake.stripe.stats().computed;
    for path in [
        "/v1/customers",
        "/v1/invoices",
        "/v1/subscriptions",
        "/v1/charges",
    ] {
        let page = fake.get(&format!("{path}?limit=100&created[lt]={middle}"));
        assert_eq!(page["data"].as_array().unwrap().len(), 100);
        let last = text(&page["data"][99], "id");
        let next = fake.get(&format!("{path}?limit=100&starting_after={last}"));
        assert_eq!(next["data"].as_array().unwrap().len(), 100);
    }
    let rare = fake.get("/v1/subscriptions?status=unpaid&limit=100");
    assert_eq!(rare["data"].as_array().unwrap().len(), 100);
    let computed = fake.stripe.stats().computed - before;
    assert!(computed <= 9 * 102, "{computed} objects computed");
}

#[test]
fn the_same_seed_is_the_same_world() {
    let with = |seed| {
        let world = Lazy { seed, ..world(60) };
        let fake = Fake::start(Config::with_world(world).unlimited());
        LISTS.map(|path| fake.all(path))
    };
    assert_eq!(with(5), with(5));
    assert_ne!(with(5), with(6));
}
