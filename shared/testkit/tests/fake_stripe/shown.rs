//! How objects are shown: expanded, cut, in the shape of a version.

use paygraph_testkit::fake_stripe::{Config, KEY, Lazy};
use paygraph_testkit::world::price;
use serde_json::{Value, json};

use crate::asking::{Fake, ids, text};

fn fake() -> Fake {
    Fake::start(Config::with_world(Lazy::of(200)).unlimited())
}

/// A subscription with so many items and a discount.
fn subscription(id: &str, items: usize) -> Value {
    let item = |number: usize| {
        json!({
            "id": format!("si_{number}"), "object": "subscription_item", "subscription": id,
            "price": price(number), "quantity": 1, "discounts": [],
            "current_period_start": 1, "current_period_end": 2,
        })
    };
    let coupon = json!({ "id": "HALF", "object": "coupon", "percent_off": 50 });
    json!({
        "id": id, "object": "subscription", "customer": "cus_1", "status": "active",
        "created": 1_800_000_000, "default_payment_method": null, "latest_invoice": null,
        "discounts": [{ "id": "di_1", "object": "discount",
            "source": { "type": "coupon", "coupon": coupon } }],
        "items": { "object": "list", "has_more": false,
            "data": (0..items).map(item).collect::<Vec<_>>() },
    })
}

#[test]
fn references_are_ids_unless_they_are_expanded() {
    let fake = fake();
    fake.stripe
        .put(json!({ "id": "cus_1", "object": "customer", "created": 1, "email": "a@b.c" }));
    fake.stripe.put(subscription("sub_1", 2));
    let plain = fake.get("/v1/subscriptions/sub_1");
    assert_eq!(plain["customer"], "cus_1");
    assert_eq!(plain["discounts"], json!(["di_1"]));
    let path = "/v1/subscriptions/sub_1?expand[]=customer&expand[]=discounts.source.coupon\
                &expand[]=items.data.price.product";
    let whole = fake.get(path);
    assert_eq!(whole["customer"]["email"], "a@b.c");
    assert_eq!(whole["discounts"][0]["source"]["coupon"]["percent_off"], 50);
    let half = fake.get("/v1/subscriptions/sub_1?expand[]=discounts");
    assert_eq!(half["discounts"][0]["source"]["coupon"], "HALF");
    let product = &whole["items"]["data"][0]["price"]["product"];
    assert_eq!(product["id"], price(0)["product"]);
    let path = "/v1/subscriptions?limit=1&expand[]=data.discounts.source.coupon\
                &expand[]=data.customer&expand[]=data.default_payment_method";
    let listed = &fake.get(path)["data"][0];
    assert_eq!(listed["discounts"][0]["source"]["coupon"]["id"], "HALF");
    assert_eq!(listed["customer"]["id"], "cus_1");
}

/// What a session bought is there only for whom asks for it.
#[test]
fn line_items_are_expanded_or_absent() {
    let fake = fake();
    let lines: Vec<Value> = (1..=12)
        .map(|n| json!({ "id": format!("li_{n}"), "object": "item", "price": price(1) }))
        .collect();
    fake.stripe.put(json!({
        "id": "cs_1", "object": "checkout.session", "created": 1_900_000_000, "customer": null,
        "line_items": { "object": "list", "has_more": false, "data": lines },
    }));
    let plain = fake.get("/v1/checkout/sessions/cs_1");
    assert_eq!(plain.get("line_items"), None);
    let path = "/v1/checkout/sessions/cs_1?expand[]=line_items";
    let list = &fake.get(path)["line_items"];
    assert_eq!(
        (list["data"].as_array().map(Vec::len), &list["has_more"]),
        (Some(10), &json!(true))
    );
    let rest = format!(
        "{}?starting_after=li_10",
        list["url"].as_str().unwrap_or_default()
    );
    let rest = fake.get(&rest);
    assert_eq!(ids(rest["data"].as_array().unwrap()), ["li_11", "li_12"]);
    let listed = &fake.get("/v1/checkout/sessions?expand[]=data.line_items&limit=1")["data"][0];
    assert_eq!(listed["line_items"]["data"][0]["id"], "li_1");
}

#[test]
fn an_expansion_has_four_levels_and_leads_somewhere() {
    let fake = fake();
    for (path, status) in [
        ("/v1/subscriptions?expand[]=data.items.data.price", 200),
        (
            "/v1/subscriptions?expand[]=data.items.data.price.tiers",
            400,
        ),
        ("/v1/subscriptions?expand[]=customer", 400),
        ("/v1/subscriptions?expand[]=data.colour", 400),
        ("/v1/subscriptions?expand[]=data.status", 400),
        ("/v1/subscriptions?expand[]=data.status.more", 400),
        ("/v1/subscriptions?expand[]=data.latest_invoice", 200),
    ] {
        assert_eq!(fake.answer(path).status, status, "{path}");
    }
    let message = "You cannot expand more than 4 levels of a property. Property: a.b.c.d.e";
    let answer = fake.answer("/v1/customers?expand[]=a.b.c.d.e");
    assert_eq!(answer.error("message"), message);
}

#[test]
fn the_tiers_of_a_price_are_there_only_when_they_are_asked_for() {
    let fake = fake();
    let plain = fake.get("/v1/prices/price_Tiered");
    assert_eq!(plain.get("tiers"), None);
    let whole = fake.get("/v1/prices/price_Tiered?expand[]=tiers");
    assert_eq!(whole["tiers"].as_array().unwrap().len(), 2);
    let listed = fake.get("/v1/prices?limit=100&expand[]=data.tiers");
    let listed = listed["data"].as_array().unwrap();
    assert!(listed.iter().any(|price| price["tiers"].is_array()));
    let text = fake
        .get("/v1/subscriptions?status=all&limit=100")
        .to_string();
    assert!(text.contains("price_Tiered") && !text.contains("\"tiers\""));
}

#[test]
fn a_nested_list_is_cut_at_ten_and_goes_on_in_its_own() {
    let fake = fake();
    fake.stripe.put(subscription("sub_long", 23));
    let shown = fake.get("/v1/subscriptions/sub_long")["items"].clone();
    assert_eq!(
        (shown["data"].as_array().unwrap().len(), &shown["has_more"]),
        (10, &json!(true))
    );
    assert_eq!(shown["url"], "/v1/subscription_items?subscription=sub_long");
    let all = fake.all("/v1/subscription_items?subscription=sub_long");
    assert_eq!(all.len(), 23);
    assert_eq!(ids(&all)[..10], ids(shown["data"].as_array().unwrap()));
    assert_eq!(fake.answer("/v1/subscription_items").status, 400);

    let long = fake.all("/v1/invoices").into_iter();
    let long = long
        .filter(|invoice| invoice["lines"]["has_more"] == true)
        .collect::<Vec<_>>();
    let url = text(&long[0]["lines"], "url");
    let lines = fake.all(url);
    assert_eq!(lines.len(), 13);
    let back = fake.get(&format!(
        "{url}?limit=5&ending_before={}",
        text(&lines[12], "id")
    ));
    assert_eq!(ids(back["data"].as_array().unwrap()), ids(&lines[7..12]));
}

#[test]
fn an_object_has_the_shape_of_the_version_that_is_asked_for() {
    let fake = fake();
    fake.stripe.put(subscription("sub_1", 1));
    let key = format!("Bearer {KEY}");
    let ask = |path: &str, version: &str| {
        let headers = [("authorization", key.as_str()), ("stripe-version", version)];
        fake.with("GET", path, &headers, "")
    };
    let path = "/v1/subscriptions/sub_1?expand[]=discounts";
    let new = fake.answer(path);
    assert_eq!(new.header("stripe-version"), "2026-10-28.endive");
    assert_eq!(new.body.get("current_period_end"), None);
    let old = ask(path, "2024-06-20");
    assert_eq!(old.header("stripe-version"), "2024-06-20");
    assert_eq!(old.body["current_period_end"], 2);
    assert_eq!(old.body["discount"]["coupon"]["id"], "HALF");
    assert_eq!(old.body["discounts"][0]["coupon"]["id"], "HALF");
    assert_eq!(
        ask("/v1/subscriptions/sub_1", "2024-06-20").body["discounts"],
        json!(["di_1"])
    );
    assert_eq!(ask(path, "2025-03-31.basil").body, new.body);
    assert_eq!(ask(path, "yesterday").status, 400);
    let missing = ask("/v1/customers/cus_no", "2024-06-20");
    assert_eq!(missing.header("stripe-version"), "2024-06-20");
}
