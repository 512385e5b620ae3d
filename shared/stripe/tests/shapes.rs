//! Amounts in several currencies, and amounts off invoices of mixed intervals.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

use std::path::Path;

use paygraph_domain::account::{Account, Catalog, CatalogEntry};
use paygraph_domain::apply::apply_catalog;
use paygraph_domain::fact::Fact;
use paygraph_domain::money::{Exact, ratio, round_half_up, round_multiple, whole};
use paygraph_domain::mrr::{Context, Value as Worth, value};
use paygraph_domain::settings::MrrSettings;
use paygraph_domain::time::Timestamp;
use paygraph_stripe::decode;
use paygraph_stripe::event::StripeEvent;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const NOW: i64 = 1_795_219_200;

fn fact(kind: &str, object: &Value) -> Fact {
    let event =
        json!({ "id": "evt_1", "type": kind, "created": NOW - 60, "data": { "object": object } });
    let text = event.to_string();
    let event = StripeEvent::parse(&text).unwrap();
    decode::decode(&event).unwrap().unwrap()
}

fn worth_with(subscription: &Value, known: &[(&str, Value)]) -> Worth {
    let mut catalog = Catalog::default();
    for (kind, object) in known {
        let entry = apply_catalog(None, &fact(kind, object)).unwrap();
        let entry: &CatalogEntry = &entry.value;
        catalog.insert(entry);
    }
    let now = Timestamp::from_unix(NOW).unwrap();
    let raw = RawValue::from_string(subscription.to_string()).unwrap();
    let subscription = decode::subscription(&raw, now).unwrap();
    let context = Context {
        settings: &MrrSettings::default(),
        catalog: &catalog,
        account: &Account::default(),
        now,
    };
    value(&subscription, context)
}

/// MRR and whether it depends on something that is not known.
fn mrr(subscription: &Value, known: &[(&str, Value)]) -> (Value, bool) {
    let worth = worth_with(subscription, known);
    (json!(worth.mrr), worth.incomplete)
}

fn with(mut object: Value, fields: Value) -> Value {
    let fields = fields.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(fields);
    object
}

/// A price of $20.00 a month.
fn price() -> Value {
    json!({ "id": "price_1", "object": "price", "product": "prod_1", "currency": "usd",
        "billing_scheme": "per_unit", "unit_amount": 2_000, "unit_amount_decimal": "2000",
        "recurring": { "interval": "month", "interval_count": 1 } })
}

fn tiered(fields: Value) -> Value {
    let price = with(
        price(),
        json!({ "billing_scheme": "tiered", "tiers_mode": "graduated", "unit_amount": null,
            "unit_amount_decimal": null }),
    );
    with(price, fields)
}

/// Three of a price in a subscription in EUR.
fn in_euro(price: &Value) -> Value {
    json!({ "id": "sub_1", "customer": "cus_1", "status": "active", "currency": "eur",
        "created": 1_790_000_000, "items": { "data": [{ "id": "si_1", "price": price, "quantity": 3 }] } })
}

#[test]
fn r6_the_option_of_the_subscriptions_currency_counts() {
    let tiers = |first: i64, rest: i64, flat: i64| {
        json!([{ "up_to": 2, "unit_amount": first, "flat_amount": flat },
            { "up_to": null, "unit_amount": rest, "unit_amount_decimal": rest.to_string() }])
    };
    let both = tiered(json!({ "tiers": tiers(1, 1, 1),
        "currency_options": { "eur": { "tiers": tiers(1_000, 800, 50) } } }));
    let volume = with(both.clone(), json!({ "tiers_mode": "volume" }));
    let packages = with(
        price(),
        json!({ "transform_quantity": { "divide_by": 2, "round": "up" },
            "currency_options": { "eur": { "unit_amount": 1_800 } } }),
    );
    for (price, minor) in [
        (
            with(
                price(),
                json!({ "currency_options": { "eur": { "unit_amount": 1_800 },
                "usd": { "unit_amount": 2_000 } } }),
            ),
            5_400,
        ),
        (
            with(
                price(),
                json!({ "currency_options": { "eur":
                { "unit_amount": null, "unit_amount_decimal": "1799.5", "tax_behavior": "inclusive" } } }),
            ),
            5_399,
        ),
        (packages, 3_600),
        (both, 2_850),
        (volume, 2_400),
    ] {
        let expected = (json!({ "eur": minor }), false);
        assert_eq!(mrr(&in_euro(&price), &[]), expected, "{price}");
        // By the catalog, where the event does not tell it.
        let mut bare = price.clone();
        bare.as_object_mut().unwrap().remove("currency_options");
        assert_eq!(mrr(&in_euro(&bare), &[("price.updated", price)]), expected);
    }
}

#[test]
fn r6_no_amount_is_guessed_in_a_currency_that_nobody_told() {
    let plan = json!({ "id": "price_1", "product": "prod_1", "currency": "usd", "amount": 2_000,
        "interval": "month", "interval_count": 1 });
    let mut by_plan = in_euro(&plan);
    by_plan["items"]["data"][0] = json!({ "id": "si_1", "plan": plan, "quantity": 3 });
    let known = [("price.updated", price())];
    for subscription in [
        in_euro(&price()),
        by_plan,
        in_euro(&with(
            price(),
            json!({ "currency_options": { "gbp": { "unit_amount": 1 } } }),
        )),
        in_euro(&with(
            price(),
            json!({ "currency_options": { "eur": { "unit_amount": null } } }),
        )),
        in_euro(&tiered(json!({ "currency_options": { "eur": {} } }))),
    ] {
        assert_eq!(mrr(&subscription, &[]), (json!({}), true), "{subscription}");
        assert_eq!(mrr(&subscription, &known), (json!({}), true));
        // Nothing is unknown of what counts nothing.
        let trial = with(subscription, json!({ "status": "trialing" }));
        assert_eq!(mrr(&trial, &[]), (json!({}), false));
    }
    // One item that is known beside one that is not.
    let mut half = in_euro(&price());
    let euro = with(price(), json!({ "id": "price_2", "currency": "eur" }));
    half["items"]["data"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "id": "si_2", "price": euro }));
    assert_eq!(mrr(&half, &[]), (json!({ "eur": 2_000 }), true));
    // Versions that give the subscription no currency: the price's own.
    let mut old = in_euro(&price());
    old.as_object_mut().unwrap().remove("currency");
    assert_eq!(mrr(&old, &[]), (json!({ "usd": 6_000 }), false));
}

/// $5.00 off forever, with what Stripe tells of it in other currencies.
fn five_off(fields: Value) -> Value {
    let coupon = json!({ "id": "FIVE", "object": "coupon", "amount_off": 500, "currency": "usd",
        "percent_off": null, "duration": "forever" });
    with(coupon, fields)
}

#[test]
fn r7_a_coupons_option_of_the_currency_counts() {
    let euro = with(price(), json!({ "currency": "eur" }));
    let told = five_off(json!({ "currency_options": { "eur": { "amount_off": 450 } } }));
    let of = |coupon: Value, place: &str| {
        let mut subscription = in_euro(&euro);
        let discount = match place {
            "coupon" => json!({ "id": "di_1", "coupon": coupon }),
            _ => json!({ "id": "di_1", "source": { "type": "coupon", "coupon": coupon } }),
        };
        match place {
            "discount" => subscription["discount"] = json!({ "id": "di_1", "coupon": coupon }),
            "item" => subscription["items"]["data"][0]["discounts"] = json!([discount]),
            _ => subscription["discounts"] = json!([discount]),
        }
        subscription
    };
    for place in ["coupon", "source", "discount", "item"] {
        let expected = (json!({ "eur": 5_550 }), false);
        assert_eq!(mrr(&of(told.clone(), place), &[]), expected, "{place}");
        let bare = of(five_off(json!({})), place);
        assert_eq!(mrr(&bare, &[]), (json!({ "eur": 6_000 }), true), "{place}");
        let known = [("coupon.updated", told.clone())];
        assert_eq!(mrr(&bare, &known), expected, "{place}");
        // Stripe told all of its currencies, and this one is none of them.
        let other = five_off(json!({ "currency_options": { "gbp": { "amount_off": 400 } } }));
        assert_eq!(
            mrr(&of(other, place), &[]),
            (json!({ "eur": 6_000 }), false)
        );
        // A coupon that is over takes nothing off, whatever it would be.
        let over = five_off(json!({ "duration": "once" }));
        assert_eq!(mrr(&of(over, place), &[]), (json!({ "eur": 6_000 }), false));
    }
}

fn every(id: &str, minor: i64, interval: &str, count: i64, start: i64, end: i64) -> Value {
    json!({ "id": id, "quantity": 1, "current_period_start": start, "current_period_end": end,
        "price": { "id": format!("price_{id}"), "product": "prod_1", "currency": "usd",
            "unit_amount": minor, "recurring": { "interval": interval, "interval_count": count } } })
}

fn discounted(items: Vec<Value>, coupons: &[Value]) -> Value {
    let discounts: Vec<_> = coupons
        .iter()
        .map(|coupon| json!({ "id": "di_1", "source": { "type": "coupon", "coupon": coupon } }))
        .collect();
    json!({ "id": "sub_1", "customer": "cus_1", "status": "active", "currency": "usd",
        "created": 1_790_000_000, "discounts": discounts, "items": { "data": items } })
}

fn off(minor: i64) -> Value {
    json!({ "id": format!("OFF{minor}"), "amount_off": minor, "currency": "usd", "duration": "forever",
        "applies_to": null })
}

/// 2026-09-01, 2026-10-01, 2027-09-01 at noon.
const SEPTEMBER: i64 = 1_788_264_000;
const OCTOBER: i64 = 1_790_856_000;
const NEXT_YEAR: i64 = 1_819_800_000;

#[test]
fn r8_an_amount_comes_off_each_invoice() {
    let year = every("y", 60_000, "year", 1, SEPTEMBER, NEXT_YEAR);
    let month = every("m", 3_000, "month", 1, SEPTEMBER, OCTOBER);
    let other_day = every(
        "m",
        3_000,
        "month",
        1,
        SEPTEMBER - 86_400 * 3,
        OCTOBER - 86_400 * 3,
    );
    let week = every("w", 1_200, "week", 1, SEPTEMBER, SEPTEMBER + 7 * 86_400);
    let small = every("s", 500, "month", 1, SEPTEMBER, OCTOBER);
    for (items, expected) in [
        // $50.00 + $30.00 a month, twelve invoices a year: $12.00 a month.
        (vec![year.clone(), month.clone()], 6_800),
        // The yearly invoice is another one than the monthly ones: thirteen a year.
        (vec![year.clone(), other_day], 6_700),
        // Weeks never end with months: $50.00 + $52.00 - $1.00 - $52.00.
        (vec![year.clone(), week], 4_900),
        // Eleven invoices of $5.00 come to nothing, and one of $605.00 to $593.00.
        (vec![year.clone(), small], 4_942),
        (vec![year], 4_900),
        (vec![month], 1_800),
    ] {
        let mut items = items;
        for _ in 0..items.len() {
            items.rotate_left(1);
            let subscription = discounted(items.clone(), &[off(1_200)]);
            assert_eq!(
                mrr(&subscription, &[]).0,
                json!({ "usd": expected }),
                "{items:?}"
            );
        }
    }
}

#[test]
fn r8_the_report_comes_out_right() {
    let path = "../../../shared/reports/mixed_amount_off_year_first.json";
    let Ok(text) = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)) else {
        return;
    };
    let subscription: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(mrr(&subscription, &[]).0, json!({ "usd": 6_800 }));
}

/// Items of several intervals whose periods begin together, as `(months, minor units)`.
fn aligned() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let months = prop::sample::select(vec![1_i64, 2, 3, 6, 12, 24]);
    prop::collection::vec((months, 1..50_000_i64), 1..5)
}

#[derive(Debug, Clone)]
enum Off {
    Percent(i64),
    Amount(i64),
}

fn offs() -> impl Strategy<Value = Vec<Off>> {
    let off = prop_oneof![
        (1..=100_i64).prop_map(Off::Percent),
        (1..20_000_i64).prop_map(Off::Amount)
    ];
    prop::collection::vec(off, 0..4)
}

fn coupon_of(of: &Off) -> Value {
    match of {
        Off::Percent(percent) => json!({ "id": format!("P{percent}"), "percent_off": percent,
            "duration": "forever" }),
        Off::Amount(minor) => off(*minor),
    }
}

/// Two years of invoices, one by one: the discounts come off each in their order.
fn invoice_by_invoice(items: &[(i64, i64)], offs: &[Off]) -> Exact {
    let mut sum = whole(0);
    for month in 0..24 {
        let due = items.iter().filter(|(every, _)| month % every == 0);
        let mut total = whole(due.map(|(_, minor)| minor).sum());
        for off in offs {
            total = match off {
                Off::Percent(percent) => total * ratio(100 - percent, 100),
                Off::Amount(minor) => total - whole(*minor),
            };
            total = total.max(whole(0));
        }
        sum += total;
    }
    sum / whole(24)
}

proptest! {
    #[test]
    fn r8_mrr_is_what_the_invoices_come_to(items in aligned(), offs in offs()) {
        let shown = items.iter().enumerate().map(|(n, (months, minor))| {
            let (year, month) = (2026 + (8 + months) / 12, (8 + months) % 12 + 1);
            let end = Timestamp::parse(&format!("{year}-{month:02}-01T12:00:00Z")).unwrap().unix();
            let (interval, count) = if months % 12 == 0 { ("year", months / 12) } else { ("month", *months) };
            every(&format!("{n}"), *minor, interval, count, SEPTEMBER, end)
        });
        let coupons: Vec<_> = offs.iter().map(coupon_of).collect();
        let worth = worth_with(&discounted(shown.collect(), &coupons), &[]);
        let exact = invoice_by_invoice(&items, &offs);
        let minor = |minor: i64| if minor == 0 { json!({}) } else { json!({ "usd": minor }) };
        prop_assert_eq!(json!(worth.mrr), minor(round_half_up(&exact)));
        prop_assert_eq!(json!(worth.arr), minor(round_multiple(&exact, 12)));
    }

    /// Whatever intervals, periods and discounts there are, on items and on the subscription.
    #[test]
    fn r8_mrr_does_not_depend_on_the_order_of_items(
        items in prop::collection::vec(any_item(), 1..6),
        offs in offs(),
        turns in 0..6_usize,
        swap: bool,
    ) {
        let items: Vec<_> = items.into_iter().enumerate().map(|(n, mut item)| {
            item["id"] = json!(format!("si_{n}"));
            item["price"]["id"] = json!(format!("price_{n}"));
            item
        }).collect();
        let coupons: Vec<_> = offs.iter().map(coupon_of).collect();
        let expected = worth_with(&discounted(items.clone(), &coupons), &[]);
        let mut other = items;
        let turns = turns % other.len();
        other.rotate_left(turns);
        if swap {
            other.reverse();
        }
        let worth = worth_with(&discounted(other, &coupons), &[]);
        prop_assert_eq!((worth.mrr, worth.arr), (expected.mrr, expected.arr));
    }
}

fn any_item() -> impl Strategy<Value = Value> {
    let interval = prop::sample::select(vec!["day", "week", "month", "year"]);
    let ends = prop::option::of(0..40_000_i64);
    (interval, 1..14_i64, 0..90_000_i64, ends, offs()).prop_map(
        |(interval, count, minor, ends, offs)| {
            let discounts: Vec<_> = offs
                .iter()
                .take(2)
                .map(|off| json!({ "id": "di_2", "coupon": coupon_of(off) }))
                .collect();
            let mut item = every("si", minor, interval, count, SEPTEMBER, SEPTEMBER);
            item["discounts"] = json!(discounts);
            item["current_period_end"] = json!(ends.map(|quarters| SEPTEMBER + quarters * 21_600));
            item
        },
    )
}
