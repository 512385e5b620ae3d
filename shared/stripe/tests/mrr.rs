//! MRR, exactly: the recorded cases where they are at hand, and our own.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::path::Path;

use paygraph_domain::account::{Account, Catalog, Stored};
use paygraph_domain::fact::Body;
use paygraph_domain::mrr::{Context, Value as Worth, value};
use paygraph_domain::order::Tracked;
use paygraph_domain::settings::MrrSettings;
use paygraph_domain::time::Timestamp;
use paygraph_stripe::decode;
use paygraph_stripe::event::StripeEvent;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const NOW: i64 = 1_795_219_200;

fn worth_in(subscription: &Value, settings: &MrrSettings, account: &Account, now: i64) -> Worth {
    let now = Timestamp::from_unix(now).unwrap();
    let raw = RawValue::from_string(subscription.to_string()).unwrap();
    let subscription = decode::subscription(&raw, now).unwrap();
    let catalog = Catalog::default();
    value(
        &subscription,
        Context {
            settings,
            catalog: &catalog,
            account,
            now,
        },
    )
}

fn worth(subscription: &Value) -> (Value, Value) {
    let worth = worth_in(
        subscription,
        &MrrSettings::default(),
        &Account::default(),
        NOW,
    );
    (json!(worth.mrr), json!(worth.arr))
}

fn price(amount: Value, interval: &str, count: u32) -> Value {
    json!({ "id": "price_1", "product": "prod_1", "currency": "usd", "billing_scheme": "per_unit",
        "unit_amount_decimal": amount, "recurring": { "interval": interval, "interval_count": count } })
}

fn item(price: Value, quantity: u64) -> Value {
    json!({ "id": "si_1", "price": price, "quantity": quantity })
}

fn subscription(items: Value) -> Value {
    json!({ "id": "sub_1", "customer": "cus_1", "status": "active", "currency": "usd",
        "created": 1_790_000_000, "items": { "data": items } })
}

fn coupon(fields: Value) -> Value {
    let mut coupon = json!({ "id": "co_1", "duration": "forever" });
    coupon
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    json!({ "id": "di_1", "coupon": coupon })
}

fn monthly() -> Value {
    subscription(json!([item(price(json!("2900"), "month", 1), 1)]))
}

#[test]
fn recorded_cases_are_exact() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/mrr_cases.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        return;
    };
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    for case in cases {
        let now = case["as_of"].as_i64().unwrap();
        let worth = worth_in(
            &case["subscription"],
            &MrrSettings::default(),
            &Account::default(),
            now,
        );
        let expected = match case["expected_mrr_minor"].as_i64().unwrap() {
            0 => json!({}),
            minor => json!({ case["currency"].as_str().unwrap(): minor }),
        };
        assert_eq!(json!(worth.mrr), expected, "{}", case["name"]);
        assert!(!worth.incomplete, "{}", case["name"]);
    }
}

#[test]
fn intervals_quantities_and_one_rounding() {
    let cases = [
        (price(json!("2900"), "month", 1), 3, 8_700, 104_400),
        (price(json!("120000"), "year", 1), 1, 10_000, 120_000),
        (price(json!("240000"), "year", 2), 1, 10_000, 120_000),
        (price(json!("700"), "week", 2), 1, 1_517, 18_200),
        (price(json!("10"), "day", 1), 1, 304, 3_650),
        (price(json!("0.5"), "month", 1), 3, 2, 18),
        (price(json!("10000"), "year", 1), 1, 833, 10_000),
    ];
    for (price, quantity, mrr, arr) in cases {
        let got = worth(&subscription(json!([item(price.clone(), quantity)])));
        assert_eq!(
            got,
            (json!({ "usd": mrr }), json!({ "usd": arr })),
            "{price}"
        );
    }
    // Two items of 833.33 are 1,667, not 2 × 833.
    let year = price(json!("10000"), "year", 1);
    let two = subscription(json!([item(year.clone(), 1), item(year, 1)]));
    assert_eq!(
        worth(&two),
        (json!({ "usd": 1_667 }), json!({ "usd": 20_000 }))
    );
}

#[test]
fn currencies_stay_apart_and_three_digits_are_minor_units_too() {
    let mut dinar = price(json!("1500"), "month", 1);
    dinar["currency"] = json!("kwd");
    let mut whole = subscription(json!([item(dinar.clone(), 1)]));
    whole["currency"] = json!("kwd");
    assert_eq!(worth(&whole).0, json!({ "kwd": 1_500 }));
    // Old versions give a subscription no currency: each price is in its own.
    let dollar = price(json!("2900"), "month", 1);
    let mut two = subscription(json!([item(dinar, 1), item(dollar, 1)]));
    two.as_object_mut().unwrap().remove("currency");
    assert_eq!(worth(&two).0, json!({ "kwd": 1_500, "usd": 2_900 }));
}

#[test]
fn packages_tiers_and_what_counts_nothing() {
    let mut package = price(json!("1000"), "month", 1);
    package["transform_quantity"] = json!({ "divide_by": 5, "round": "down" });
    assert_eq!(
        worth(&subscription(json!([item(package, 14)]))).0,
        json!({ "usd": 2_000 })
    );
    let mut metered = price(json!("1000"), "month", 1);
    metered["recurring"]["usage_type"] = json!("metered");
    let mut once = price(json!("1000"), "month", 1);
    once["recurring"] = json!(null);
    for nothing in [metered, once] {
        assert_eq!(worth(&subscription(json!([item(nothing, 1)]))).0, json!({}));
    }
    let tiers = json!([
        { "up_to": 10, "unit_amount": 100, "flat_amount": 500 }, { "up_to": null, "unit_amount": 50 },
    ]);
    let mut tiered = price(json!(null), "month", 1);
    tiered["billing_scheme"] = json!("tiered");
    tiered["tiers"] = tiers;
    let cases = [
        ("graduated", 10, 1_500),
        ("graduated", 12, 1_600),
        ("volume", 10, 1_500),
        ("volume", 12, 600),
    ];
    for (mode, quantity, expected) in cases {
        tiered["tiers_mode"] = json!(mode);
        let got = worth(&subscription(json!([item(tiered.clone(), quantity)]))).0;
        assert_eq!(got, json!({ "usd": expected }), "{mode} {quantity}");
    }
    tiered["tiers"] = json!(null);
    let unknown = subscription(json!([item(tiered, 1)]));
    let unknown = worth_in(&unknown, &MrrSettings::default(), &Account::default(), NOW);
    assert!(
        unknown.incomplete,
        "tiers that are not told can only be fetched"
    );
}

#[test]
fn an_item_in_its_own_trial_counts_nothing_until_it_ends() {
    let mut tried = item(price(json!("2900"), "month", 1), 1);
    tried["current_trial"] = json!({ "end_date": NOW + 10 });
    let tried = subscription(json!([tried]));
    let at = |now| json!(worth_in(&tried, &MrrSettings::default(), &Account::default(), now).mrr);
    assert_eq!(
        (at(NOW), at(NOW + 10)),
        (json!({}), json!({ "usd": 2_900 }))
    );
}

#[test]
fn discounts_in_their_order_with_a_floor_and_a_limit() {
    let with = |discount: Value| {
        let mut subscription = monthly();
        subscription["discounts"] = json!([discount]);
        worth(&subscription).0
    };
    assert_eq!(
        with(coupon(json!({ "percent_off": 33.33 }))),
        json!({ "usd": 1_933 })
    );
    assert_eq!(
        with(coupon(json!({ "amount_off": 9_900, "currency": "usd" }))),
        json!({})
    );
    assert_eq!(
        with(coupon(json!({ "duration": "once", "percent_off": 50 }))),
        json!({ "usd": 2_900 })
    );
    let other = coupon(json!({ "percent_off": 50, "applies_to": { "products": ["prod_2"] } }));
    assert_eq!(with(other), json!({ "usd": 2_900 }));
    // Of two products, only the one that is named gets it.
    let mut second = price(json!("1000"), "month", 1);
    second["product"] = json!("prod_2");
    let named = coupon(json!({ "percent_off": 50, "applies_to": { "products": ["prod_2"] } }));
    let mut two = subscription(json!([
        item(price(json!("2900"), "month", 1), 1),
        item(second, 1)
    ]));
    two["discounts"] = json!([named]);
    assert_eq!(worth(&two).0, json!({ "usd": 3_400 }));
    // The item's 50 % first, then 1,000 off: 450; the other way round it would be 950.
    let mut both = monthly();
    both["items"]["data"][0]["discounts"] = json!([coupon(json!({ "percent_off": 50 }))]);
    both["discounts"] = json!([coupon(json!({ "amount_off": 1_000, "currency": "usd" }))]);
    assert_eq!(worth(&both).0, json!({ "usd": 450 }));
    let mut hidden = monthly();
    hidden["discounts"] = json!(["di_hidden"]);
    assert!(worth_in(&hidden, &MrrSettings::default(), &Account::default(), NOW).incomplete);
}

#[test]
fn a_customers_discount_counts_when_the_subscription_has_none() {
    let event =
        json!({ "id": "evt_1", "type": "customer.updated", "created": 1, "data": { "object": {
        "id": "cus_1", "discount": coupon(json!({ "percent_off": 50 })) } } })
        .to_string();
    let fact = decode::decode(&StripeEvent::parse(&event).unwrap())
        .unwrap()
        .unwrap();
    let Body::Customer(customer) = &fact.body else {
        panic!("{:?}", fact.body)
    };
    let tracked = Tracked::first(fact.version(customer.as_ref().clone()));
    let account = Account {
        customer: Some(Stored {
            rev: 1,
            value: tracked.into(),
        }),
        ..Account::default()
    };
    let settings = MrrSettings::default();
    let of = |subscription: &Value| json!(worth_in(subscription, &settings, &account, NOW).mrr);
    assert_eq!(of(&monthly()), json!({ "usd": 1_450 }));
    let mut own = monthly();
    own["discounts"] = json!([coupon(json!({ "percent_off": 10 }))]);
    assert_eq!(of(&own), json!({ "usd": 2_610 }));
}

#[test]
fn every_setting_does_what_it_says() {
    let of = |subscription: &Value, settings: MrrSettings| {
        json!(worth_in(subscription, &settings, &Account::default(), NOW).mrr)
    };
    let on = MrrSettings::default;
    let full = json!({ "usd": 2_900 });
    let mut past_due = monthly();
    past_due["status"] = json!("past_due");
    assert_eq!(of(&past_due, on()), full);
    assert_eq!(
        of(
            &past_due,
            MrrSettings {
                past_due_counts: false,
                ..on()
            }
        ),
        json!({})
    );
    let mut leaving = monthly();
    leaving["cancel_at"] = json!(NOW + 100);
    assert_eq!(of(&leaving, on()), full);
    let off = MrrSettings {
        count_scheduled_cancellations: false,
        ..on()
    };
    assert_eq!(of(&leaving, off), json!({}));
    let mut paused = monthly();
    paused["pause_collection"] = json!({ "behavior": "void" });
    assert_eq!(of(&paused, on()), full);
    assert_eq!(
        of(
            &paused,
            MrrSettings {
                count_paused_collection: false,
                ..on()
            }
        ),
        json!({})
    );
    let mut lowered = monthly();
    lowered["discounts"] = json!([coupon(
        json!({ "duration": "repeating", "percent_off": 50 })
    )]);
    assert_eq!(of(&lowered, on()), full);
    let counted = MrrSettings {
        count_temporary_discounts: true,
        ..on()
    };
    assert_eq!(of(&lowered, counted.clone()), json!({ "usd": 1_450 }));
    lowered["discounts"][0]["end"] = json!(NOW - 1);
    assert_eq!(of(&lowered, counted), full);
}

#[test]
fn only_active_and_past_due_count_and_inclusive_tax_is_taken_out() {
    for status in [
        "trialing",
        "incomplete",
        "incomplete_expired",
        "canceled",
        "unpaid",
        "paused",
        "new",
    ] {
        let mut subscription = monthly();
        subscription["status"] = json!(status);
        assert_eq!(worth(&subscription).0, json!({}), "{status}");
    }
    let mut taxed = monthly();
    taxed["default_tax_rates"] =
        json!([{ "inclusive": true, "percentage": 16 }, { "inclusive": false, "percentage": 9 }]);
    assert_eq!(worth(&taxed).0, json!({ "usd": 2_500 }));
}
