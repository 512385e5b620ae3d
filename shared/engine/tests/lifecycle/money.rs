//! Currencies, coupons, and lists that Stripe cuts.

use paygraph_testkit::world::price;
use serde_json::{Value, json};

use super::story::{DAY, SHAPES, START, Story, invoice, item, items_of, paid, set, subscription};

/// A price in another currency.
fn euros(amount: i64) -> Value {
    let mut euros = price(1);
    set(
        &mut euros,
        json!({ "id": "price_eur", "currency": "eur", "unit_amount": amount,
            "unit_amount_decimal": amount.to_string() }),
    );
    euros
}

/// L12: a customer without a currency gets one, then another: sums stay apart.
#[test]
fn l12_every_currency_has_its_own_sum() {
    let mut story = Story::new();
    let mut customer = json!({
        "id": "cus_1", "object": "customer", "created": START, "currency": null, "email": null,
        "name": "Ada", "metadata": {}, "invoice_settings": { "default_payment_method": null },
        "default_source": null, "discount": null,
    });
    assert_eq!(
        story.send("customer.created", &customer),
        ["customer_created", "segment_entered tier_free"]
    );
    assert_eq!(story.brief(), json!(["none", "free", {}, "none"]));
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    story.send("customer.subscription.created", &held);
    let mut first = invoice("in_1", "sub_1", 5_800, START);
    let fields = paid(&first, START);
    story.update("invoice.paid", &mut first, fields);
    story.pass(DAY);
    // Nothing that is shown changes, so nothing is told.
    let told = story.update(
        "customer.updated",
        &mut customer,
        json!({ "currency": "usd" }),
    );
    assert_eq!(told, [""; 0]);

    story.pass(DAY);
    let mut other = subscription("sub_2", "active", vec![item("si_2", euros(4_900), 1)]);
    // The price says it, even where the subscription does not.
    set(
        &mut other,
        json!({ "currency": null, "created": story.now(), "start_date": story.now() }),
    );
    story.update(
        "customer.updated",
        &mut customer,
        json!({ "currency": "eur" }),
    );
    assert_eq!(
        story.send("customer.subscription.created", &other),
        ["subscription_created", "mrr_changed"]
    );
    let mut second = invoice("in_2", "sub_2", 4_900, story.now());
    set(&mut second, json!({ "currency": "eur" }));
    let fields = paid(&second, story.now());
    story.update("invoice.paid", &mut second, fields);
    let both = json!({ "eur": 4_900, "usd": 5_800 });
    assert_eq!(story.brief(), json!(["active", "pro", both, "full"]));
    assert_eq!(
        story.billing()["arr"],
        json!({ "eur": 58_800, "usd": 69_600 })
    );
    assert_eq!(story.billing()["lifetime_value"], both);
    story.ends_the_same();

    story.pass(DAY);
    set(
        &mut held,
        super::story::ended(story.now(), "cancellation_requested"),
    );
    story.send("customer.subscription.deleted", &held);
    assert_eq!(
        story.billing()["mrr"],
        json!({ "eur": 4_900 }),
        "a currency with 0 is left out"
    );
    story.ends_the_same();
}

/// A discount as Stripe writes it, with the coupon in its old or new place.
fn discount(id: &str, coupon: Value, is_new: bool) -> Value {
    let mut discount = json!({ "id": id, "object": "discount", "start": START, "end": null });
    if is_new {
        discount["source"] = json!({ "type": "coupon", "coupon": coupon });
    } else {
        discount["coupon"] = coupon;
    }
    discount
}

fn coupon(fields: Value) -> Value {
    let mut coupon = json!({
        "id": "co_1", "object": "coupon", "duration": "forever", "percent_off": null,
        "amount_off": null, "currency": null, "valid": true,
    });
    set(&mut coupon, fields);
    coupon
}

/// What a coupon is, the price it lowers, its fields, and the MRR that is left.
fn coupons() -> Vec<(&'static str, Value, Value, Value)> {
    let mut yearly = price(2);
    set(
        &mut yearly,
        json!({ "unit_amount": 118_800, "unit_amount_decimal": "118800",
            "recurring": { "interval": "year", "interval_count": 1, "usage_type": "licensed" } }),
    );
    let usd = |minor: i64| json!({ "usd": minor });
    let amount = |minor: i64| json!({ "amount_off": minor, "currency": "usd" });
    vec![
        (
            "a percentage",
            price(1),
            json!({ "percent_off": 25 }),
            usd(4_350),
        ),
        (
            "a percentage with a fraction",
            price(1),
            json!({ "percent_off": 33.33 }),
            usd(3_867),
        ),
        ("an amount", price(1), amount(1_000), usd(4_800)),
        ("more than the price", price(1), amount(9_999), json!({})),
        (
            "the whole price",
            price(1),
            json!({ "percent_off": 100 }),
            json!({}),
        ),
        ("of each yearly invoice", yearly, amount(12_000), usd(8_900)),
        (
            "in another currency",
            price(1),
            json!({ "amount_off": 500, "currency": "eur",
                "currency_options": { "eur": { "amount_off": 500 } } }),
            usd(5_800),
        ),
        (
            "for one month",
            price(1),
            json!({ "percent_off": 50, "duration": "once" }),
            usd(5_800),
        ),
        (
            "for a while",
            price(1),
            json!({ "percent_off": 50, "duration": "repeating", "duration_in_months": 3 }),
            usd(5_800),
        ),
        (
            "for another product",
            price(1),
            json!({ "percent_off": 50, "applies_to": { "products": ["prod_else"] } }),
            usd(5_800),
        ),
    ]
}

/// L13: the rules of docs/MRR.md for coupons, with the floor of 0, told once.
#[test]
fn l13_coupons_lower_the_mrr_by_their_rules() {
    for (what, of, fields, mrr) in coupons() {
        for is_new in [true, false] {
            let mut story = Story::new();
            let mut held = subscription("sub_1", "active", vec![item("si_1", of.clone(), 1)]);
            story.send("customer.subscription.created", &held);
            let tier = story.billing()["tier"].clone();
            let before = story.billing()["mrr"].clone();
            story.pass(DAY);
            let discount = discount("di_1", coupon(fields.clone()), is_new);
            let discounts = json!({ "discounts": [discount] });
            let told = story.update("customer.subscription.updated", &mut held, discounts);
            assert_eq!(
                story.brief(),
                json!(["active", tier, mrr, "full"]),
                "{what}"
            );
            assert!(told.contains(&"coupon_applied".to_owned()), "{what}");
            assert_eq!(
                told.contains(&"mrr_changed".to_owned()),
                before != mrr,
                "{what}"
            );
            assert_eq!(story.needs_refetch(), json!([]), "{what}");
            assert_eq!(story.signals(), [""; 0], "a coupon is no downgrade");
            assert_eq!(story.again(), [""; 0]);
            story.ends_the_same();
        }
    }
}

/// L13: on one item, on the subscription, and one whose time is over.
#[test]
fn l13_coupons_of_items_come_first_and_ended_ones_do_not_count() {
    let mut story = Story::new();
    let half = discount("di_1", coupon(json!({ "percent_off": 50 })), true);
    let mut items = vec![item("si_1", price(1), 1), item("si_2", price(0), 1)];
    items[0]["discounts"] = json!([half]);
    let mut held = subscription("sub_1", "active", items.clone());
    story.send("customer.subscription.created", &held);
    assert_eq!(
        story.billing()["mrr"],
        json!({ "usd": 5_800 }),
        "half of 58, and 29"
    );
    assert_eq!(story.subscription("sub_1")["mrr"], json!({ "usd": 5_800 }));
    story.pass(DAY);
    let off = coupon(json!({ "id": "co_2", "amount_off": 800, "currency": "usd" }));
    let fields = json!({ "discounts": [discount("di_2", off.clone(), true)] });
    story.update("customer.subscription.updated", &mut held, fields);
    assert_eq!(story.billing()["mrr"], json!({ "usd": 5_000 }));
    assert_eq!(story.said("coupon_applied").len(), 2);
    story.ends_the_same();
    story.pass(DAY);
    let mut over = discount("di_2", off, true);
    over["end"] = json!(START + DAY);
    items[0]["discounts"] = json!([]);
    let fields = json!({ "discounts": [over], "items": items_of(items) });
    story.update("customer.subscription.updated", &mut held, fields);
    assert_eq!(story.billing()["mrr"], json!({ "usd": 8_700 }));
    story.ends_the_same();
}

/// L13, L14: a discount of which the subscription has only the id is asked for, until its own event
/// tells it.
#[test]
fn l13_l14_a_discount_behind_an_id_is_asked_for() {
    let mut story = Story::new();
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    held["discounts"] = json!(["di_1"]);
    story.send("customer.subscription.created", &held);
    assert_eq!(story.needs_refetch(), json!(["sub_1"]));
    assert_eq!(
        story.billing()["mrr"],
        json!({ "usd": 5_800 }),
        "the best guess"
    );
    let mut own = discount("di_1", coupon(json!({ "percent_off": 10 })), true);
    set(
        &mut own,
        json!({ "customer": "cus_1", "subscription": "sub_1" }),
    );
    assert_eq!(
        story.send("customer.discount.created", &own),
        ["coupon_applied", "mrr_changed"]
    );
    assert_eq!(story.needs_refetch(), json!([]));
    assert_eq!(story.billing()["mrr"], json!({ "usd": 5_220 }));
    story.ends_the_same();
}

/// L14: of more than ten items Stripe sends ten: what is known is the guess, and it is asked for.
#[test]
fn l14_a_list_that_was_cut_is_asked_for() {
    for shape in SHAPES {
        let mut story = Story::of(shape);
        let many = |count: usize| -> Vec<Value> {
            (0..count)
                .map(|n| item(&format!("si_{n}"), price(0), 1))
                .collect()
        };
        let mut held = subscription("sub_1", "active", many(10));
        held["items"]["has_more"] = json!(true);
        story.send("customer.subscription.created", &held);
        assert_eq!(story.needs_refetch(), json!(["sub_1"]));
        assert_eq!(story.subscription("sub_1")["needs_refetch"], true);
        assert_eq!(
            story.brief(),
            json!(["active", "individual", { "usd": 29_000 }, "full"])
        );
        let other = subscription("sub_2", "active", many(1));
        story.send("customer.subscription.created", &other);
        assert_eq!(story.needs_refetch(), json!(["sub_1"]), "and nothing else");
        story.ends_the_same();
        // The whole list, as a fetch brings it.
        story.pass(60);
        let fields = json!({ "items": items_of(many(12)) });
        story.update("customer.subscription.updated", &mut held, fields);
        assert_eq!(story.needs_refetch(), json!([]));
        assert_eq!(story.billing()["mrr"], json!({ "usd": 37_700 }));
        story.ends_the_same();
    }
}

/// L13: a customer's own discount counts where the subscription has none, until it is taken away.
#[test]
fn l13_a_customers_discount_comes_and_goes() {
    let mut story = Story::new();
    let mut customer = json!({
        "id": "cus_1", "object": "customer", "created": START, "email": null, "name": "Ada",
        "metadata": {}, "invoice_settings": { "default_payment_method": null }, "discount": null,
    });
    story.send("customer.created", &customer);
    let held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    story.send("customer.subscription.created", &held);
    story.pass(DAY);
    let mut own = discount("di_1", coupon(json!({ "percent_off": 50 })), true);
    set(
        &mut own,
        json!({ "customer": "cus_1", "subscription": null }),
    );
    let fields = json!({ "discount": own });
    let by_customer = story.update("customer.updated", &mut customer, fields);
    assert_eq!(
        by_customer,
        ["customer_updated", "coupon_applied", "mrr_changed"]
    );
    assert_eq!(story.send("customer.discount.created", &own), [""; 0]);
    assert_eq!(story.billing()["mrr"], json!({ "usd": 2_900 }));
    story.ends_the_same();
    story.pass(DAY);
    story.send("customer.discount.deleted", &own);
    story.update(
        "customer.updated",
        &mut customer,
        json!({ "discount": null }),
    );
    assert_eq!(story.billing()["mrr"], json!({ "usd": 5_800 }));
    assert_eq!(story.said("coupon_applied").len(), 1);
    story.ends_the_same();
}

/// L13: a discount that is taken off a subscription, in one second with its own event.
#[test]
fn l13_a_discount_is_taken_away() {
    let mut story = Story::new();
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    held["discounts"] = json!(["di_1"]);
    let mut own = discount("di_1", coupon(json!({ "percent_off": 50 })), true);
    set(
        &mut own,
        json!({ "customer": "cus_1", "subscription": "sub_1" }),
    );
    story.send("customer.discount.created", &own);
    story.send("customer.subscription.created", &held);
    assert_eq!(story.billing()["mrr"], json!({ "usd": 2_900 }));
    story.pass(DAY);
    story.send("customer.discount.deleted", &own);
    story.update(
        "customer.subscription.updated",
        &mut held,
        json!({ "discounts": [] }),
    );
    assert_eq!(story.billing()["mrr"], json!({ "usd": 5_800 }));
    assert_eq!(story.needs_refetch(), json!([]));
    assert_eq!(story.said("coupon_applied").len(), 1);
    story.ends_the_same();
}

/// L13: coupons and prices that only the catalog tells.
#[test]
fn l13_a_coupon_behind_an_id_comes_from_the_catalog() {
    let mut story = Story::new();
    let whole = coupon(json!({ "percent_off": 50 }));
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    held["discounts"] = json!([discount("di_1", json!("co_1"), true)]);
    story.send("coupon.created", &whole);
    story.send("customer.subscription.created", &held);
    assert_eq!(story.billing()["mrr"], json!({ "usd": 2_900 }));
    assert_eq!(story.needs_refetch(), json!([]));
}
