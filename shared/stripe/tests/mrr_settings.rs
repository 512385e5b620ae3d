//! MRR under every combination of settings, against a plain reckoning of its own: units one by one,
//! totals instead of lines, fractions without a library.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test says where"
)]

use std::path::Path;

use paygraph_domain::account::{Account, Catalog};
use paygraph_domain::money::round_half_up;
use paygraph_domain::mrr::trace::Recorded;
use paygraph_domain::mrr::{Context, Value as Worth, traced, value};
use paygraph_domain::settings::MrrSettings;
use paygraph_domain::time::Timestamp;
use paygraph_stripe::decode;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const NOW: i64 = 1_795_219_200;

/// Numerator and denominator.
type Fraction = (i128, i128);

fn times((a, b): Fraction, (c, d): Fraction) -> Fraction {
    (a * c, b * d)
}

fn plus((a, b): Fraction, (c, d): Fraction) -> Fraction {
    (a * d + c * b, b * d)
}

fn rounded((n, d): Fraction) -> i128 {
    (2 * n + d).div_euclid(2 * d)
}

/// A number, or a text with one; null is 0.
fn number(value: &Value) -> Fraction {
    if value.is_null() {
        return (0, 1);
    }
    let text = value.as_str().map_or(value.to_string(), str::to_owned);
    let (whole, places) = text.split_once('.').unwrap_or((&text, ""));
    let digits = format!("{whole}{places}").parse().unwrap();
    (digits, 10_i128.pow(places.len().try_into().unwrap()))
}

fn first_of(object: &Value, decimal: &str, whole: &str) -> Fraction {
    number(if object[decimal].is_null() {
        &object[whole]
    } else {
        &object[decimal]
    })
}

/// What is a month of the price's interval.
fn a_month(price: &Value) -> Fraction {
    let count = i128::from(price["recurring"]["interval_count"].as_i64().unwrap());
    match price["recurring"]["interval"].as_str().unwrap() {
        "month" => (1, count),
        "year" => (1, 12 * count),
        "week" => (52, 12 * count),
        "day" => (365, 12 * count),
        other => panic!("{other}"),
    }
}

/// Each unit by itself.
fn by_tiers(price: &Value, units: i64) -> Fraction {
    let tiers = price["tiers"].as_array().unwrap();
    let tier_of = |unit: i64| {
        let holds = |tier: &&Value| tier["up_to"].as_i64().is_none_or(|top| unit <= top);
        tiers.iter().find(holds).unwrap()
    };
    let volume = price["tiers_mode"] == "volume";
    let (mut sum, mut reached) = ((0, 1), Vec::new());
    for unit in 1..=units {
        let tier = tier_of(if volume { units } else { unit });
        sum = plus(sum, first_of(tier, "unit_amount_decimal", "unit_amount"));
        if !reached.contains(&tier) {
            reached.push(tier);
        }
    }
    reached.into_iter().fold(sum, |sum, tier| {
        plus(sum, first_of(tier, "flat_amount_decimal", "flat_amount"))
    })
}

fn item_a_month(item: &Value) -> Fraction {
    let price = &item["price"];
    let in_trial = item["current_trial"]["end_date"]
        .as_i64()
        .is_some_and(|end| end > NOW);
    if price["recurring"].is_null() || price["recurring"]["usage_type"] == "metered" || in_trial {
        return (0, 1);
    }
    let mut units = item["quantity"].as_i64().unwrap_or(1);
    if let Some(by) = price["transform_quantity"]["divide_by"].as_i64() {
        let part = i64::from(units % by != 0 && price["transform_quantity"]["round"] == "up");
        units = units / by + part;
    }
    let cost = if price["tiers"].is_array() {
        by_tiers(price, units)
    } else {
        let unit = first_of(price, "unit_amount_decimal", "unit_amount");
        times(unit, (units.into(), 1))
    };
    times(cost, a_month(price))
}

fn counts(subscription: &Value, settings: &MrrSettings) -> bool {
    let leaving =
        subscription["cancel_at_period_end"] == true || !subscription["cancel_at"].is_null();
    match subscription["status"].as_str().unwrap() {
        "active" => {}
        "past_due" if settings.past_due_counts => {}
        _ => return false,
    }
    (!leaving || settings.count_scheduled_cancellations)
        && (subscription["pause_collection"].is_null() || settings.count_paused_collection)
}

/// What a month is worth, exactly. All items have the same product, currency and taxes.
fn plainly(subscription: &Value, settings: &MrrSettings) -> Fraction {
    let items = subscription["items"]["data"].as_array().unwrap();
    if !counts(subscription, settings) {
        return (0, 1);
    }
    let worths = items.iter().map(item_a_month);
    let mut total = worths.fold((0, 1), plus);
    for discount in subscription["discounts"].as_array().unwrap() {
        let coupon = &discount["source"]["coupon"];
        let runs = discount["end"].as_i64().is_none_or(|end| end > NOW);
        let forever = coupon["duration"] == "forever";
        if !runs || !(forever || settings.count_temporary_discounts) || total.0 == 0 {
            continue;
        }
        if coupon["percent_off"].is_null() {
            let first = items.iter().find(|item| item_a_month(item).0 != 0).unwrap();
            let off = times(number(&coupon["amount_off"]), a_month(&first["price"]));
            total = plus(total, (-off.0, off.1));
            total.0 = total.0.max(0);
        } else {
            let (n, d) = number(&coupon["percent_off"]);
            total = times(total, (100 * d - n, 100 * d));
        }
    }
    for tax in items[0]["tax_rates"].as_array().into_iter().flatten() {
        if tax["inclusive"] == true {
            let (n, d) = number(&tax["percentage"]);
            total = times(total, (100 * d, 100 * d + n));
        }
    }
    total
}

fn every_combination() -> impl Iterator<Item = MrrSettings> {
    (0..16_u8).map(|bits| MrrSettings {
        past_due_counts: bits & 1 != 0,
        count_temporary_discounts: bits & 2 != 0,
        count_scheduled_cancellations: bits & 4 != 0,
        count_paused_collection: bits & 8 != 0,
    })
}

/// Values it twice, silently and telling, and holds what is told against what comes out.
fn worth(subscription: &Value, settings: &MrrSettings) -> Worth {
    let now = Timestamp::from_unix(NOW).unwrap();
    let raw = RawValue::from_string(subscription.to_string()).unwrap();
    let subscription = decode::subscription(&raw, now).unwrap();
    let context = Context {
        settings,
        catalog: &Catalog::default(),
        account: &Account::default(),
        now,
    };
    let mut told = Recorded::default();
    let worth = traced(&subscription, context, &mut told);
    assert_eq!(worth, value(&subscription, context));
    assert_eq!(told.items.len(), worth.items.len());
    for (steps, item) in told.items.iter().zip(&worth.items) {
        let last = steps.last().unwrap();
        assert_eq!(last.amount.as_ref(), Some(&item.mrr), "{steps:?}");
    }
    for (currency, sum) in &told.sums {
        assert_eq!(round_half_up(sum), worth.mrr.get(currency));
    }
    worth
}

fn check(subscription: &Value, settings: &MrrSettings) {
    let worth = worth(subscription, settings);
    let month = plainly(subscription, settings);
    let year = times(month, (12, 1));
    let money = |minor| match minor {
        0 => json!({}),
        _ => json!({ subscription["currency"].as_str().unwrap(): i64::try_from(minor).unwrap() }),
    };
    let expected = (money(rounded(month)), money(rounded(year)));
    assert_eq!(
        (json!(worth.mrr), json!(worth.arr)),
        expected,
        "{settings:?} {subscription}"
    );
}

fn ours() -> Vec<Value> {
    let price = |fields: Value| {
        let mut price = json!({ "id": "price_1", "product": "prod_1", "currency": "usd" });
        let fields = fields.as_object().unwrap().clone();
        price.as_object_mut().unwrap().extend(fields);
        price
    };
    let every = |interval: &str, count: i64, amount: &str| {
        price(json!({ "unit_amount_decimal": amount,
            "recurring": { "interval": interval, "interval_count": count } }))
    };
    let tiers = json!([{ "up_to": 5, "unit_amount": 500, "flat_amount": 1_000 },
        { "up_to": 10, "unit_amount": 400 }, { "up_to": null, "unit_amount": 300, "flat_amount": 7 }]);
    let tiered = |mode: &str| {
        price(
            json!({ "billing_scheme": "tiered", "tiers_mode": mode, "tiers": tiers,
            "recurring": { "interval": "week", "interval_count": 2 } }),
        )
    };
    let items = [
        json!([{ "id": "si_1", "quantity": 3, "price": every("year", 1, "9999") }]),
        json!([{ "id": "si_1", "quantity": 1, "price": every("month", 3, "2900") },
            { "id": "si_2", "quantity": 7, "price": every("month", 3, "0.55") }]),
        json!([{ "id": "si_1", "quantity": 12, "price": tiered("graduated") }]),
        json!([{ "id": "si_1", "quantity": 10, "price": tiered("volume") }]),
        json!([{ "id": "si_1", "quantity": 1, "price": every("day", 1, "12.5"),
            "current_trial": { "end_date": NOW + 1 } }]),
    ];
    let whole = |items| {
        json!({ "id": "sub_1", "customer": "cus_1", "status": "active", "currency": "usd",
            "created": 1_790_000_000, "discounts": [], "items": { "data": items } })
    };
    items.map(whole).into()
}

/// All cases of `mrr_cases*.json`, where they are at hand.
fn recorded() -> Vec<Value> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let files = std::fs::read_dir(fixtures).into_iter().flatten();
    let names = files.map(|file| file.unwrap());
    let cases = names.filter(|file| {
        let name = file.file_name().into_string().unwrap();
        name.starts_with("mrr_cases") && name.ends_with(".json")
    });
    let read = |file: std::fs::DirEntry| -> Vec<Value> {
        serde_json::from_str(&std::fs::read_to_string(file.path()).unwrap()).unwrap()
    };
    cases.flat_map(read).collect()
}

#[test]
fn recorded_cases_are_exact_under_every_combination() {
    for case in recorded() {
        let expected = i128::from(case["expected_mrr_minor"].as_i64().unwrap());
        let month = plainly(&case["subscription"], &MrrSettings::default());
        assert_eq!(rounded(month), expected, "{}", case["name"]);
        assert_eq!(case["as_of"], NOW, "{}", case["name"]);
        for settings in every_combination() {
            check(&case["subscription"], &settings);
        }
    }
}

fn discount() -> impl Strategy<Value = Value> {
    let off = prop_oneof![
        (1..=1_000_u32).prop_map(|tenths| json!({
            "percent_off": serde_json::from_str::<Value>(&format!("{}.{}", tenths / 10, tenths % 10)).unwrap()
        })),
        (1..9_000_u32).prop_map(|amount| json!({ "amount_off": amount })),
    ];
    let duration = prop_oneof![Just("forever"), Just("once"), Just("repeating")];
    let end = prop_oneof![
        Just(json!(null)),
        Just(json!(NOW)),
        Just(json!(NOW + 1)),
        Just(json!(NOW - 86_400))
    ];
    (off, duration, end).prop_map(|(mut coupon, duration, end)| {
        coupon["id"] = json!("co_1");
        coupon["duration"] = json!(duration);
        json!({ "id": "di_1", "end": end, "source": { "coupon": coupon } })
    })
}

/// What may be laid over a case: status, a scheduled end, a pause, discounts.
fn overlay() -> impl Strategy<Value = Value> {
    let status = prop_oneof![
        4 => Just("active"), 3 => Just("past_due"), 1 => Just("trialing"), 1 => Just("unpaid"),
        1 => Just("paused"), 1 => Just("canceled"), 1 => Just("incomplete")
    ];
    let end = prop_oneof![
        3 => Just(json!({ "cancel_at": null, "cancel_at_period_end": false })),
        1 => Just(json!({ "cancel_at": null, "cancel_at_period_end": true })),
        1 => Just(json!({ "cancel_at": NOW + 9, "cancel_at_period_end": false })),
        1 => Just(json!({ "cancel_at": NOW + 9, "cancel_at_period_end": true })),
    ];
    let pause = prop_oneof![
        2 => Just(json!(null)),
        1 => Just(json!({ "behavior": "keep_as_draft", "resumes_at": null }))
    ];
    let discounts = prop::collection::vec(discount(), 0..4);
    (status, end, pause, discounts).prop_map(|(status, mut over, pause, discounts)| {
        over["status"] = json!(status);
        over["pause_collection"] = pause;
        over["discounts"] = json!(discounts);
        over
    })
}

proptest! {
    /// Each setting has the effect that the table in `docs/MRR.md` says, whatever else is the case.
    #[test]
    fn every_setting_is_exact_in_every_state(over in overlay(), which in any::<prop::sample::Index>()) {
        let mut cases = ours();
        cases.extend(recorded().into_iter().map(|case| case["subscription"].clone()));
        let mut subscription = which.get(&cases).clone();
        let fields = over.as_object().unwrap().clone();
        subscription.as_object_mut().unwrap().extend(fields);
        for settings in every_combination() {
            check(&subscription, &settings);
        }
    }
}
