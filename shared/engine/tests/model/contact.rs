//! Comparing what the API shows of a contact with the truth of its Stripe customers.

use std::collections::{BTreeMap, BTreeSet};

use paygraph_domain::account::Catalog;
use paygraph_domain::contact::Contact;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view;
use paygraph_testkit::world::{Access, Truth};
use serde_json::{Value, json};

use super::truth::{Way, same};

/// A contact over all its Stripe customers, at an instant (Unix seconds).
pub fn contact_is_true(
    way: Way,
    contact: &Contact,
    truths: &[Truth],
    now: i64,
) -> Result<(), String> {
    let holds = |truth: &&Truth| {
        let mut held = contact.accounts.keys();
        held.any(|id| id.as_str() == truth.customer)
    };
    let own: Vec<&Truth> = truths.iter().filter(holds).collect();
    let settings = Settings::example().unwrap();
    let at = Timestamp::from_unix(now).unwrap();
    let view = view::customer(contact, &settings, &Catalog::default(), at);
    let view = serde_json::to_value(&view).unwrap();
    let checks = [
        amounts(way, &view, &own),
        plan_and_dates(way, &view, &own),
        access(way, &view, &own, now),
        signals(way, &view, &own),
    ];
    let failed = checks.into_iter().find_map(Result::err);
    failed.map_or(Ok(()), |error| Err(format!("{}: {error}", contact.id)))
}

fn amounts(way: Way, view: &Value, own: &[&Truth]) -> Result<(), String> {
    let billing = &view["billing"];
    let mut value: BTreeMap<&String, i64> = BTreeMap::new();
    for (currency, sum) in own.iter().flat_map(|truth| &truth.lifetime_value) {
        *value.entry(currency).or_default() += sum;
    }
    value.retain(|_, sum| *sum != 0);
    same(
        "lifetime value of all",
        &json!(value),
        &billing["lifetime_value"],
    )?;
    let deleted = own.iter().all(|truth| truth.deleted);
    same("deleted", &json!(deleted), &view["deleted"])?;
    if own.iter().all(|truth| way.tells_methods(truth)) {
        let on_file = own.iter().any(|truth| truth.on_file);
        let found = &billing["payment_method"]["on_file"];
        same("on file", &json!(on_file), found)?;
    }
    let shown = billing["billing_status"].as_str().unwrap();
    let statuses: Vec<_> = own.iter().map(|truth| truth.billing_status).collect();
    same("one of its statuses", &true, &statuses.contains(&shown))
}

fn plan_and_dates(way: Way, view: &Value, own: &[&Truth]) -> Result<(), String> {
    let billing = &view["billing"];
    let plans = || own.iter().filter_map(|truth| truth.plan.as_ref());
    let lifetime = own.iter().any(|truth| truth.lifetime);
    let is_told = |told: bool| told || way.tells_currencies();
    if plans().all(|plan| plan.known && is_told(plan.told)) && !lifetime {
        let price = plans().max().map(|plan| plan.price.as_str());
        same("plan", &json!(price), &billing["plan"])?;
    }
    let primaries = || own.iter().filter_map(|truth| truth.primary.as_ref());
    if primaries().all(|primary| primary.known && is_told(primary.told)) {
        let primary = primaries().max();
        let of = |date: Option<i64>| json!(date.map(rfc3339));
        for (field, date) in [
            ("subscription_start_date", primary.map(|p| p.start_date)),
            ("renewal_date", primary.and_then(|p| p.renewal_date)),
            ("cancel_at", primary.and_then(|p| p.cancel_at)),
            ("trial_end_date", primary.and_then(|p| p.trial_end)),
        ] {
            same(field, &of(date), &billing[field])?;
        }
    }
    let next = own.iter().filter_map(|truth| truth.next_invoice).min();
    let next = json!(next.map(rfc3339));
    same("next_invoice_date", &next, &billing["next_invoice_date"])
}

/// A contact has the most access that one of its Stripe customers gives.
fn access(way: Way, view: &Value, own: &[&Truth], now: i64) -> Result<(), String> {
    let lifetime = own.iter().any(|truth| truth.lifetime);
    let levels: Option<Vec<Access>> = own.iter().map(|truth| truth.standing.access).collect();
    let Some(best) = levels.map(|levels| levels.into_iter().max()) else {
        return Ok(());
    };
    // Grace ends some days after the first failed attempt.
    let is_told = own.iter().all(|truth| way.tells_failures(truth));
    if matches!(best, Some(Access::Grace(_))) && !is_told {
        return Ok(());
    }
    let (level, until) = match best.unwrap_or(Access::None) {
        _ if lifetime => ("full", None),
        Access::Full => ("full", None),
        Access::Grace(until) if until > now => ("grace", Some(rfc3339(until))),
        Access::Grace(_) | Access::Restricted => ("restricted", None),
        Access::None => ("none", None),
    };
    let found = &view["billing"]["access"];
    same("access", &json!(level), &found["level"])?;
    same("access until", &json!(until), &found["until"])
}

fn signals(way: Way, view: &Value, own: &[&Truth]) -> Result<(), String> {
    let found = view["risk_signals"].as_array().unwrap();
    let since = |kind: &str| -> Vec<&Value> {
        let of = found.iter().filter(|signal| signal["kind"] == kind);
        of.map(|signal| &signal["since"]).collect()
    };
    let standing = || own.iter().map(|truth| &truth.standing);
    let shown = |instant: Option<i64>| -> Vec<Value> {
        instant.into_iter().map(|at| json!(rfc3339(at))).collect()
    };
    let is_told = own.iter().all(|truth| way.tells_failures(truth));
    let compare = |kind: &str, expected: Vec<Value>| {
        let found = since(kind);
        match kind {
            "failed_payment" | "dunning" | "past_due" if !is_told => {
                same(kind, &expected.len(), &found.len())
            }
            _ => same(kind, &expected.iter().collect(), &found),
        }
    };
    compare(
        "failed_payment",
        shown(standing().filter_map(|s| s.failed_payment).min()),
    )?;
    let dunning = standing().filter_map(|s| s.dunning).min();
    compare("dunning", shown(dunning.map(|(_, since)| since)))?;
    let leaving: BTreeSet<(i64, i64)> = standing().filter_map(|s| s.leaving).collect();
    let first = leaving.first().map(|(end, _)| *end);
    let asked = leaving.iter().filter(|(end, _)| Some(*end) == first);
    let asked: Vec<Value> = asked.map(|(_, asked)| json!(rfc3339(*asked))).collect();
    let told = since("cancellation_requested");
    same(
        "cancellation_requested",
        &leaving.is_empty(),
        &told.is_empty(),
    )?;
    let known = told.iter().all(|since| asked.contains(since));
    same("cancellation_requested since", &true, &known)?;
    let past_due = standing().filter_map(|s| s.past_due).min();
    compare("past_due", shown(past_due))?;
    let disputes = own.iter().flat_map(|truth| &truth.open_disputes);
    let disputes: BTreeSet<String> = disputes.map(|(_, at)| rfc3339(*at)).collect();
    let told = since("dispute").into_iter();
    let told = told.map(|since| since.as_str().unwrap().to_owned());
    same("disputes", &disputes, &told.collect())?;
    if let [only] = own
        && way.tells_methods(only)
        && let Some(expiring) = only.standing.card_expiring
    {
        compare("card_expiring", shown(expiring))?;
    }
    Ok(())
}

/// An instant (Unix seconds) as the API shows it.
fn rfc3339(at: i64) -> String {
    let at = Timestamp::from_unix(at).unwrap();
    at.to_string()
}
