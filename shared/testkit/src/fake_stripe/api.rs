//! What `/v1` answers.

use serde_json::{Map, Value, json};

use super::access::Access;
use super::account::Account;
use super::call::Call;
use super::config::Right;
use super::endpoint;
use super::kind::Kind;
use super::query::{From, Pairs, Query};
use super::refusal::Refusal;
use super::render::{Expansion, View};
use super::state::State;
use super::{is_old, is_version};

/// The API version of an answer.
pub(super) fn version(account: &Account, call: &Call) -> Result<String, Refusal> {
    let version = call
        .header("stripe-version")
        .unwrap_or(&account.api_version);
    if is_version(version) {
        return Ok(version.to_owned());
    }
    Err(Refusal::bad(&format!(
        "Invalid Stripe API version: {version}"
    )))
}

/// Answers a request for an account.
pub(super) fn answer(state: &State, access: &Access, call: &Call) -> Result<Value, Refusal> {
    let account = &*access.account;
    let view = View {
        account,
        old: is_old(&version(account, call)?),
    };
    let parts = call.parts();
    let no_such_path = || Refusal::no_such_path(&call.method, &call.path);
    let inside = parts.get(1..).unwrap_or_default();
    match (call.method.as_str(), inside) {
        ("GET", ["account"]) => own_account(access, account),
        ("GET", ["accounts", id]) => match state.account(id) {
            Some(named) if named.id == account.id || named.is_connected() => {
                own_account(access, &named)
            }
            _ => Err(Refusal::missing("account", id, "id")),
        },
        ("GET", ["subscription_items"]) => {
            access.needs("subscription", Right::Read)?;
            items(&view, &call.query)
        }
        ("GET", ["customers", id, "sources"]) => {
            access.needs("customer", Right::Read)?;
            of_customer(&view, "card", id, call)
        }
        ("GET", ["customers", id, "payment_methods"]) => {
            access.needs("payment_method", Right::Read)?;
            of_customer(&view, "payment_method", id, call)
        }
        ("GET", ["invoices", id, "lines"]) => {
            access.needs("invoice", Right::Read)?;
            nested(
                &view,
                ("invoice", id, "lines"),
                &call.path,
                &call.query,
                "id",
            )
        }
        ("GET", ["checkout", "sessions", id, "line_items"]) => {
            access.needs("checkout_session", Right::Read)?;
            let of = ("checkout.session", *id, "line_items");
            nested(&view, of, &call.path, &call.query, "id")
        }
        ("POST" | "DELETE", ["webhook_endpoints", id @ ..]) => {
            access.needs("webhook", Right::Write)?;
            endpoint::change(state, account, call, id)
        }
        ("GET", path) => {
            let (kind, id) = kind_at(path).ok_or_else(no_such_path)?;
            access.needs(kind.permission, Right::Read)?;
            match id {
                Some(id) => get(&view, kind, id, &call.query),
                None => list(&view, kind, &call.query),
            }
        }
        _ => Err(no_such_path()),
    }
}

fn kind_at<'a>(path: &[&'a str]) -> Option<(&'static Kind, Option<&'a str>)> {
    if let Some(kind) = Kind::at(&path.join("/")) {
        return Some((kind, None));
    }
    let (id, path) = path.split_last()?;
    Kind::at(&path.join("/")).map(|kind| (kind, Some(*id)))
}

fn list(view: &View<'_>, kind: &'static Kind, pairs: &Pairs) -> Result<Value, Refusal> {
    let query = Query::parse(pairs, kind.filters)?;
    check_status(kind, &query)?;
    let expansion = Expansion::parse(&query.expand)?;
    let page = view.account.page(kind, &query)?;
    view.list(page, &format!("/v1/{}", kind.path), &expansion)
}

/// A list below a customer, of what belongs to it. Of a deleted one Stripe does not list anything.
fn of_customer(view: &View<'_>, object: &str, id: &str, call: &Call) -> Result<Value, Refusal> {
    let missing = || Refusal::missing("customer", id, "customer");
    let customer = Kind::of("customer").and_then(|kind| view.account.get(kind, id));
    let customer = customer.ok_or_else(missing)?;
    if customer.get("deleted") == Some(&json!(true)) {
        return Err(missing());
    }
    let kind = Kind::of(object).ok_or_else(missing)?;
    let mut query = Query::parse(&call.query, &["type"])?;
    let own = Query::first(query.limit, "customer", id);
    query.filters.extend(own.filters);
    let expansion = Expansion::parse(&query.expand)?;
    let page = view.account.page(kind, &query)?;
    view.list(page, &call.path, &expansion)
}

fn check_status(kind: &Kind, query: &Query) -> Result<(), Refusal> {
    let asked = query
        .filters
        .iter()
        .filter(|filter| filter.name == "status");
    let known = kind.statuses();
    for value in asked.flat_map(|filter| &filter.values) {
        if !known.contains(&value.as_str()) {
            let message = format!("Invalid status: must be one of {}", known.join(", "));
            return Err(Refusal::invalid("parameter_unknown", "status", &message));
        }
    }
    Ok(())
}

fn get(view: &View<'_>, kind: &Kind, id: &str, pairs: &Pairs) -> Result<Value, Refusal> {
    let expansion = expansion_only(pairs)?;
    let found = view.account.get(kind, id);
    let found = found.or_else(|| card_as_method(view, kind, id));
    let object = found.ok_or_else(|| Refusal::missing(kind.object, id, "id"))?;
    view.object(&object, &expansion)
}

/// A card of the time before payment methods as the payment method that it also is.
/// (<https://docs.stripe.com/payments/payment-methods/transitioning>)
fn card_as_method(view: &View<'_>, kind: &Kind, id: &str) -> Option<Value> {
    let card = Kind::of("card").filter(|_| kind.object == "payment_method")?;
    let card = view.account.get(card, id)?;
    let customer = card.get("customer").filter(|of| !of.is_null())?;
    let brand = card.get("brand").and_then(Value::as_str)?.to_lowercase();
    let of = |field: &str| card.get(field).cloned().unwrap_or_default();
    Some(json!({
        "id": id, "object": "payment_method", "type": "card", "customer": customer,
        "livemode": false, "metadata": {}, "card": {
            "brand": brand, "last4": of("last4"), "exp_month": of("exp_month"),
            "exp_year": of("exp_year"),
        },
    }))
}

fn expansion_only(pairs: &Pairs) -> Result<Expansion, Refusal> {
    let mut paths = Vec::new();
    for (name, value) in pairs {
        if !name.starts_with("expand[") {
            return Err(Refusal::unknown_parameter(name));
        }
        paths.push(value.clone());
    }
    Expansion::parse(&paths)
}

fn items(view: &View<'_>, pairs: &Pairs) -> Result<Value, Refusal> {
    let is_named = |(name, _): &&(String, String)| name == "subscription";
    let Some((_, id)) = pairs.iter().find(is_named) else {
        let message = "Missing required param: subscription.";
        return Err(Refusal::invalid(
            "parameter_missing",
            "subscription",
            message,
        ));
    };
    let rest: Pairs = pairs
        .iter()
        .filter(|pair| !is_named(pair))
        .cloned()
        .collect();
    let of = ("subscription", id.as_str(), "items");
    nested(view, of, "/v1/subscription_items", &rest, "subscription")
}

/// A list inside an object, page by page.
fn nested(
    view: &View<'_>,
    (object, id, field): (&str, &str, &str),
    url: &str,
    pairs: &Pairs,
    param: &str,
) -> Result<Value, Refusal> {
    let query = Query::parse(pairs, &[])?;
    let expansion = Expansion::parse(&query.expand)?;
    let found = Kind::of(object).and_then(|kind| view.account.get(kind, id));
    let found = found.ok_or_else(|| Refusal::missing(object, id, param))?;
    let all = found
        .get(field)
        .and_then(|list| list.get("data")?.as_array());
    let all = all.map(Vec::as_slice).unwrap_or_default();
    let place = |id: &String, param: &str| {
        let found = all
            .iter()
            .position(|object| object.get("id") == Some(&json!(id)));
        found.ok_or_else(|| Refusal::missing(field, id, param))
    };
    let (from, to) = match &query.from {
        From::Start => (0, query.limit),
        From::After(id) => {
            let from = place(id, "starting_after")? + 1;
            (from, from + query.limit)
        }
        From::Before(id) => {
            let to = place(id, "ending_before")?;
            (to.saturating_sub(query.limit), to)
        }
    };
    let to = to.min(all.len());
    let more = match query.from {
        From::Before(_) => from > 0,
        From::Start | From::After(_) => to < all.len(),
    };
    let page = all.get(from..to).unwrap_or_default().to_vec();
    view.list((page, more), url, &expansion)
}

fn own_account(access: &Access, account: &Account) -> Result<Value, Refusal> {
    access.needs("accounts_kyc_basic", Right::Read)?;
    let name = format!("Account {}", account.id);
    let mut shown = Map::new();
    for (field, value) in [
        ("id", json!(account.id)),
        ("object", json!("account")),
        ("business_profile", json!({ "name": name })),
        ("country", json!("US")),
        ("default_currency", json!("usd")),
        ("email", json!("owner@example.com")),
        ("settings", json!({ "dashboard": { "display_name": name } })),
        ("type", json!("standard")),
    ] {
        shown.insert(field.to_owned(), value);
    }
    Ok(Value::Object(shown))
}
