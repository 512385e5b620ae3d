//! What subscriptions are worth, which plan stands for a customer, and its dates.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::{is_set, number, text};

/// The truth of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionTruth {
    /// Stripe's status.
    pub status: String,
    /// Price and quantity by item.
    pub items: BTreeMap<String, (String, u64)>,
    /// Minor units per month, if the rules say it.
    pub mrr: Option<i64>,
    /// Minor units per year.
    pub arr: Option<i64>,
    /// Whether events alone tell what it is worth. They do not tell amounts in other currencies.
    pub told: bool,
    /// The currency of that.
    pub currency: String,
    /// Whether collection is paused.
    pub collection_paused: bool,
    /// The end that is set, by either way to set one; none when it has ended.
    pub cancel_at: Option<i64>,
    /// The end of the trial.
    pub trial_end: Option<i64>,
    /// When it began.
    pub start_date: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
}

/// The item that stands for a customer. The greater one stands before the lesser.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plan {
    /// Hundredths of a minor unit per year, as it is and as if active and without discounts.
    worth: (i128, i128),
    /// When its subscription was made, and its place in it.
    newest: (i64, String, Reverse<usize>),
    /// The price.
    pub price: String,
    /// Whether the rules say all of that.
    pub known: bool,
    /// Whether events alone tell it. They do not tell amounts in other currencies.
    pub told: bool,
}

/// The subscription that dates are taken from. The greater one goes before the lesser.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Primary {
    /// Whether it is live.
    pub live: bool,
    worth: (i128, i128),
    newest: (i64, String),
    /// When it began.
    pub start_date: i64,
    /// The end of the running period, unless it ends then or has ended.
    pub renewal_date: Option<i64>,
    /// A scheduled end.
    pub cancel_at: Option<i64>,
    /// The end of its trial.
    pub trial_end: Option<i64>,
    /// Whether the rules say what it is worth.
    pub known: bool,
    /// Whether events alone tell that.
    pub told: bool,
}

/// The statuses of subscriptions that are live.
const LIVE: [&str; 5] = ["active", "past_due", "trialing", "paused", "unpaid"];

fn items(object: &Value) -> Vec<&Value> {
    let items = object["items"]["data"].as_array();
    items.into_iter().flatten().collect()
}

fn is_live(object: &Value) -> bool {
    LIVE.contains(&text(object, "status"))
}

fn counts(object: &Value) -> bool {
    matches!(text(object, "status"), "active" | "past_due")
}

fn coupon(object: &Value) -> &Value {
    &object["discounts"][0]["source"]["coupon"]
}

/// How often an item is billed in a year.
fn per_year(item: &Value) -> i64 {
    match text(&item["price"]["recurring"], "interval") {
        "month" => 12,
        "week" => 52,
        _ => 1,
    }
}

/// An amount of a price or a coupon in the subscription's currency. Where the object is in US
/// dollars and the subscription is not, it has nine tenths of that in euros.
fn in_currency(amount: i64, of: &Value, subscription: &Value) -> i64 {
    if text(of, "currency") == text(subscription, "currency") {
        amount
    } else {
        amount * 9 / 10
    }
}

/// Hundredths of a minor unit per year, before discounts.
fn nominal(item: &Value, subscription: &Value) -> i128 {
    let each = in_currency(
        number(&item["price"], "unit_amount"),
        &item["price"],
        subscription,
    );
    i128::from(each * number(item, "quantity") * per_year(item)) * 100
}

/// Minor units that the coupon takes off each invoice.
fn amount_off(object: &Value) -> Option<i64> {
    let amount = coupon(object)["amount_off"].as_i64()?;
    Some(in_currency(amount, coupon(object), object))
}

fn has_one_interval(object: &Value) -> bool {
    let mut intervals = items(object).into_iter().map(per_year);
    let first = intervals.next();
    intervals.all(|interval| Some(interval) == first)
}

/// Hundredths of a minor unit per year, after discounts. None where an amount comes off invoices
/// for items of different intervals.
fn worth(object: &Value) -> Option<i128> {
    if !counts(object) {
        return Some(0);
    }
    let all: i128 = items(object).iter().map(|item| nominal(item, object)).sum();
    let percent = i128::from(number(coupon(object), "percent_off"));
    let Some(off) = amount_off(object) else {
        return Some(all * (100 - percent) / 100);
    };
    let invoices = items(object).first().map_or(0, |item| per_year(item));
    has_one_interval(object).then(|| (all - i128::from(off * invoices) * 100).max(0))
}

/// Rounded half up.
fn rounded(amount: i128, parts: i128) -> i64 {
    i64::try_from((amount * 2 + parts) / (parts * 2)).unwrap_or_default()
}

/// Whether every amount is in the subscription's own currency.
fn is_told(object: &Value) -> bool {
    let own = text(object, "currency");
    let prices = items(object).into_iter().map(|item| &item["price"]);
    let coupon = Some(coupon(object)).filter(|coupon| coupon["amount_off"].is_i64());
    prices.chain(coupon).all(|of| text(of, "currency") == own)
}

/// The truth of a subscription.
pub(super) fn subscription(object: &Value) -> SubscriptionTruth {
    let worth = worth(object);
    SubscriptionTruth {
        status: text(object, "status").to_owned(),
        items: items(object)
            .into_iter()
            .map(|item| {
                let quantity = item["quantity"].as_u64().unwrap_or(1);
                let price = text(&item["price"], "id").to_owned();
                (text(item, "id").to_owned(), (price, quantity))
            })
            .collect(),
        mrr: worth.map(|worth| rounded(worth, 1_200)),
        arr: worth.map(|worth| rounded(worth, 100)),
        told: is_told(object),
        currency: text(object, "currency").to_owned(),
        collection_paused: is_set(object, "pause_collection"),
        cancel_at: scheduled_end(object),
        trial_end: object["trial_end"].as_i64(),
        start_date: number(object, "start_date"),
        ended_at: object["ended_at"].as_i64(),
    }
}

/// The start of the running period: of the one that ends first, if the items differ.
pub(super) fn period_start(object: &Value) -> i64 {
    let items = items(object).into_iter();
    let first = items.min_by_key(|item| number(item, "current_period_end"));
    first.map_or(0, |item| number(item, "current_period_start"))
}

fn period_end(object: &Value) -> Option<i64> {
    let ends = items(object).into_iter();
    ends.map(|item| number(item, "current_period_end")).min()
}

/// The end that is set, of a subscription that has not ended.
pub(super) fn scheduled_end(object: &Value) -> Option<i64> {
    let ended = matches!(text(object, "status"), "canceled" | "incomplete_expired");
    let at_end = period_end(object).filter(|_| is_set(object, "cancel_at_period_end"));
    object["cancel_at"].as_i64().or(at_end).filter(|_| !ended)
}

/// When the next invoice of a live subscription comes.
pub(super) fn next_invoice(object: &Value) -> Option<i64> {
    let next = period_end(object)?;
    let goes_on = scheduled_end(object).is_none_or(|end| end > next);
    (is_live(object) && text(object, "status") != "paused" && goes_on).then_some(next)
}

/// The item that is worth most among live subscriptions.
pub(super) fn plan(subscriptions: &[Value]) -> Option<Plan> {
    let live = subscriptions.iter().filter(|object| is_live(object));
    let known = live
        .clone()
        .all(|object| amount_off(object).is_none() || items(object).len() == 1);
    let told = live.clone().all(is_told);
    let of_items = live.flat_map(|object| {
        let all = items(object).into_iter().enumerate();
        all.map(move |(place, item)| item_as_plan(object, place, item))
    });
    of_items.max().map(|plan| Plan {
        known,
        told,
        ..plan
    })
}

fn item_as_plan(object: &Value, place: usize, item: &Value) -> Plan {
    let nominal = nominal(item, object);
    let percent = i128::from(number(coupon(object), "percent_off"));
    let off = i128::from(amount_off(object).unwrap_or(0) * per_year(item)) * 100;
    let worth = (nominal * (100 - percent) / 100 - off).max(0);
    Plan {
        worth: (if counts(object) { worth } else { 0 }, nominal),
        newest: (
            number(object, "created"),
            text(object, "id").to_owned(),
            Reverse(place),
        ),
        price: text(&item["price"], "id").to_owned(),
        known: true,
        told: true,
    }
}

/// The live subscription that is worth most, else the newest.
pub(super) fn primary(subscriptions: &[Value]) -> Option<Primary> {
    let live = subscriptions.iter().filter(|object| is_live(object));
    let known = live.clone().all(|object| worth(object).is_some());
    let told = live.clone().all(is_told);
    let all = subscriptions.iter().map(|object| {
        let live = is_live(object);
        let all: i128 = items(object).iter().map(|item| nominal(item, object)).sum();
        let cancel_at = scheduled_end(object);
        Primary {
            live,
            worth: if live {
                (worth(object).unwrap_or(0), all)
            } else {
                (0, 0)
            },
            newest: (number(object, "created"), text(object, "id").to_owned()),
            start_date: number(object, "start_date"),
            renewal_date: period_end(object).filter(|_| live && cancel_at.is_none()),
            cancel_at,
            trial_end: object["trial_end"].as_i64(),
            known: true,
            told: true,
        }
    });
    all.max().map(|primary| Primary {
        known,
        told,
        ..primary
    })
}
