//! What `paygraph mrr --explain` prints, word by word.

use paygraph_domain::settings::MrrSettings;
use paygraph_domain::time::Timestamp;
use serde_json::{Value, json};

use super::value;

const NOW: i64 = 1_795_219_200;

fn price(interval: &str, fields: Value) -> Value {
    let mut price = json!({ "id": "price_1", "product": "prod_1", "currency": "usd",
        "billing_scheme": "per_unit",
        "recurring": { "interval": interval, "interval_count": 1 } });
    let fields = fields.as_object().unwrap().clone();
    price.as_object_mut().unwrap().extend(fields);
    price
}

fn subscription(items: Value) -> Value {
    json!({ "id": "sub_1", "customer": "cus_1", "status": "active", "currency": "usd",
        "created": 1_790_000_000, "items": { "data": items } })
}

fn check(subscription: &Value, settings: &MrrSettings, expected: &str) {
    let now = Timestamp::from_unix(NOW).unwrap();
    let valued = value(&subscription.to_string(), settings, now).unwrap();
    let text = valued.explained.to_text();
    assert_eq!(text, expected.trim_start_matches('\n'), "\n{text}");
}

#[test]
fn graduated_tiers() {
    let tiers = json!([{ "up_to": 5, "unit_amount": 500, "flat_amount": 1000 },
        { "up_to": 10, "unit_amount": 400 }, { "up_to": null, "unit_amount": 300 }]);
    let fields = json!({ "billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": tiers });
    let item = json!({ "id": "si_1", "quantity": 12, "price": price("month", fields) });
    check(
        &subscription(json!([item])),
        &MrrSettings::default(),
        r"
sub_1  active

si_1  price_1
  quantity 12
  tier 1, its units: 5 × $5.00 + $10.00 flat    $35.00
  tier 2, its units: 5 × $4.00                  $55.00
  tier 3, its units: 2 × $3.00                  $61.00
  every month: × 1                              $61.00
  = a month                                     $61.00

total  usd
  all items a month, exactly                    $61.00
  MRR: rounded once, half up                    $61.00
  ARR: 12 × the exact month, rounded           $732.00

MRR $61.00   ARR $732.00
",
    );
}

#[test]
fn a_yearly_price_with_coupons_and_tax() {
    let yearly = price("year", json!({ "unit_amount": 100_000 }));
    let item = json!({ "id": "si_1", "quantity": 3, "price": yearly,
        "tax_rates": [{ "inclusive": true, "percentage": 20 }] });
    let mut subscription = subscription(json!([item]));
    let coupon = |id: &str, fields: Value| {
        let mut coupon = json!({ "id": id, "duration": "forever" });
        let fields = fields.as_object().unwrap().clone();
        coupon.as_object_mut().unwrap().extend(fields);
        json!({ "id": "di_1", "source": { "coupon": coupon } })
    };
    subscription["discounts"] = json!([
        coupon("TENTH", json!({ "percent_off": 10 })),
        coupon("WELCOME", json!({ "percent_off": 50, "duration": "once" })),
        coupon("LOYAL", json!({ "amount_off": 10_000, "currency": "usd" })),
        coupon(
            "EURO",
            json!({ "amount_off": 10_000, "currency": "eur",
                "currency_options": { "eur": { "amount_off": 10_000 } } })
        ),
        coupon(
            "OTHER",
            json!({ "percent_off": 5, "applies_to": { "products": ["prod_2"] } })
        ),
    ]);
    subscription["discounts"][2]["id"] = json!("di_2");
    check(
        &subscription,
        &MrrSettings::default(),
        r"
sub_1  active

si_1  price_1
  quantity 3
  3 × $1000.00                                                                       $3000.00
  every year: × 1/12                                                                  $250.00
  coupon TENTH (10% off, forever): −$25.00                                            $225.00
  coupon WELCOME (50% off, once): not counted, count_temporary_discounts is off       $225.00
  coupon LOYAL ($100.00 off, forever): × 1/12: −$8.33 1/3                         $216.66 2/3
  coupon EURO (€100.00 off, forever): not counted, it is in another currency      $216.66 2/3
  coupon OTHER (5% off, forever): not counted, it is for other products           $216.66 2/3
  inclusive tax of 20% taken out: ÷ 1.2                                           $180.55 5/9
  = a month                                                                       $180.55 5/9

total  usd
  all items a month, exactly                                                      $180.55 5/9
  MRR: rounded once, half up                                                          $180.56
  ARR: 12 × the exact month, rounded                                                 $2166.67

MRR $180.56   ARR $2166.67
",
    );
}

#[test]
fn a_trial_of_the_subscription_and_one_of_an_item() {
    let monthly = || price("month", json!({ "unit_amount": 2_900 }));
    let mut tried = subscription(json!([{ "id": "si_1", "price": monthly() }]));
    tried["status"] = json!("trialing");
    check(
        &tried,
        &MrrSettings::default(),
        r"
sub_1  trialing

si_1  price_1
  quantity not given, so 1
  1 × $29.00                 $29.00
  every month: × 1           $29.00
  status trialing: 0          $0.00
  = a month                   $0.00

MRR –   ARR –
",
    );
    let packages = price(
        "week",
        json!({ "unit_amount_decimal": "0.5",
            "transform_quantity": { "divide_by": 5, "round": "up" } }),
    );
    let metered =
        json!({ "unit_amount": 5, "recurring": { "interval": "month", "usage_type": "metered" } });
    let items = json!([
        { "id": "si_1", "quantity": 1, "price": monthly(), "current_trial": { "end_date": NOW + 60 } },
        { "id": "si_2", "quantity": 11, "price": packages },
        { "id": "si_3", "price": price("month", metered) },
    ]);
    check(
        &subscription(items),
        &MrrSettings::default(),
        r"
sub_1  active

si_1  price_1
  quantity 1
  1 × $29.00                                            $29.00
  every month: × 1                                      $29.00
  in a trial of its own until 2026-11-21T00:01:00Z: 0    $0.00
  = a month                                              $0.00

si_2  price_1
  quantity 11 ÷ packages of 5, rounded up: 3
  3 × $0.005                                            $0.015
  every week: × 13/3                                    $0.065
  = a month                                             $0.065

si_3  price_1
  metered: never recurring                               $0.00
  = a month                                              $0.00

total  usd
  all items a month, exactly                            $0.065
  MRR: rounded once, half up                             $0.07
  ARR: 12 × the exact month, rounded                     $0.78

MRR $0.07   ARR $0.78
",
    );
}

#[test]
fn a_pause_by_either_setting() {
    let monthly = price("month", json!({ "unit_amount": 2_900 }));
    let mut paused = subscription(json!([{ "id": "si_1", "quantity": 1, "price": monthly }]));
    paused["pause_collection"] = json!({ "behavior": "void" });
    check(
        &paused,
        &MrrSettings::default(),
        r"
sub_1  active

si_1  price_1
  quantity 1
  1 × $29.00                            $29.00
  every month: × 1                      $29.00
  = a month                             $29.00

total  usd
  all items a month, exactly            $29.00
  MRR: rounded once, half up            $29.00
  ARR: 12 × the exact month, rounded   $348.00

MRR $29.00   ARR $348.00
note: its collection is paused; it counts, since count_paused_collection is on
",
    );
    let off = MrrSettings {
        count_paused_collection: false,
        ..MrrSettings::default()
    };
    check(
        &paused,
        &off,
        r"
sub_1  active

si_1  price_1
  quantity 1
  1 × $29.00                                                 $29.00
  every month: × 1                                           $29.00
  collection paused, and count_paused_collection is off: 0    $0.00
  = a month                                                   $0.00

MRR –   ARR –
",
    );
}

#[test]
fn the_same_for_programs() {
    let yearly = price("year", json!({ "unit_amount": 100_000 }));
    let yearly = subscription(json!([{ "id": "si_1", "quantity": 1, "price": yearly }]));
    let now = Timestamp::from_unix(NOW).unwrap();
    let valued = value(&yearly.to_string(), &MrrSettings::default(), now).unwrap();
    let expected = json!({
        "mrr": { "usd": 8_333 },
        "arr": { "usd": 100_000 },
        "items": [{ "id": "si_1", "price": "price_1", "mrr": "25000/3", "steps": [
            { "what": "quantity 1", "amount": null },
            { "what": "1 × $1000.00", "amount": "100000" },
            { "what": "every year: × 1/12", "amount": "25000/3" },
        ] }],
        "notes": ["usd: 25000/3 a month, rounded once, half up, is 8333; 12 × 25000/3 is 100000"],
    });
    assert_eq!(valued.explained.to_json(), expected);
}

/// The customer's discount counts when neither the subscription nor an item has one.
#[test]
fn t8_the_discount_of_an_expanded_customer_counts() {
    let now = Timestamp::from_unix(NOW).unwrap();
    let half = json!({ "id": "HALF", "percent_off": 50, "duration": "forever" });
    let new = json!({ "id": "di_1", "source": { "type": "coupon", "coupon": half } });
    let old = json!({ "id": "di_1", "coupon": half });
    let tenth = json!({ "id": "TENTH", "percent_off": 10, "duration": "forever" });
    let own = json!([{ "id": "di_2", "source": { "type": "coupon", "coupon": tenth } }]);
    for discount in [new, old] {
        let customer = json!({ "id": "cus_1", "object": "customer", "discount": discount });
        let item = json!({ "id": "si_1", "quantity": 1,
            "price": price("month", json!({ "unit_amount": 2_000 })) });
        let mut bare = subscription(json!([item]));
        bare["customer"] = customer.clone();
        let mut with_own = bare.clone();
        with_own["discounts"] = own.clone();
        let mut item_with_own = bare.clone();
        item_with_own["items"]["data"][0]["discounts"] = own.clone();
        let mut by_id = bare.clone();
        by_id["customer"] = json!("cus_1");
        let mut deleted = bare.clone();
        deleted["customer"] = json!({ "id": "cus_1", "object": "customer", "deleted": true });
        for (subscription, expected) in [
            (bare, 1_000),
            (with_own, 1_800),
            (item_with_own, 1_800),
            (by_id, 2_000),
            (deleted, 2_000),
        ] {
            let text = subscription.to_string();
            let worth = value(&text, &MrrSettings::default(), now).unwrap().worth;
            assert_eq!(json!(worth.mrr), json!({ "usd": expected }), "{text}");
            assert!(!worth.incomplete);
        }
    }
}

#[test]
fn r6_an_amount_in_another_currency_is_not_told() {
    let item = json!({ "id": "si_1", "quantity": 1,
        "price": price("month", json!({ "unit_amount": 2_000 })) });
    let mut euro = subscription(json!([item]));
    euro["currency"] = json!("eur");
    let now = Timestamp::from_unix(NOW).unwrap();
    let valued = value(&euro.to_string(), &MrrSettings::default(), now).unwrap();
    assert!(valued.worth.incomplete && valued.worth.mrr.is_empty());
    let text = valued.explained.to_text();
    let told = "unit amount or tiers in eur not told: 0 until they are";
    assert!(text.contains(told), "{text}");
}
