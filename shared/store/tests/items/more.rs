//! Customers beside the history's, for what it does not have: a subscription that fell behind after a
//! downgrade, a purchase for good, a refund, a snapshot that no event decides, a link by hand.

use paygraph_domain::fact::Source;
use paygraph_domain::id::{Cause, StripeCustomerId};
use paygraph_engine::identity::Request;
use serde_json::{Value, json};

use super::history::{TableEngine, contact, soon, tenant};

const START: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

pub async fn write(engine: &TableEngine) {
    fall_behind(engine).await;
    buy_for_good(engine).await;
    contradict(engine).await;
    link_by_hand(engine).await;
}

async fn happen(engine: &TableEngine, kind: &str, after: i64, object: &Value) {
    let id = object["id"].as_str().unwrap();
    let name = kind.replace('.', "_");
    let event = json!({
        "id": format!("evt_{id}_{name}_{after}"), "object": "event", "type": kind,
        "livemode": false, "created": START + after, "data": { "object": object },
    });
    let (tenant, text) = (tenant(), event.to_string());
    let done = engine.process(&tenant, &text, Source::Webhook, soon());
    done.await.unwrap();
}

fn subscription(id: &str, customer: &str, amount: u64) -> Value {
    json!({
        "id": id, "object": "subscription", "customer": customer, "status": "active",
        "currency": "usd", "created": START, "start_date": START, "cancel_at": null,
        "cancel_at_period_end": false, "collection_method": "charge_automatically",
        "discounts": [], "default_tax_rates": [], "metadata": {}, "pause_collection": null,
        "schedule": null, "trial_start": null, "trial_end": null, "ended_at": null,
        "canceled_at": null, "items": items(amount),
    })
}

fn items(amount: u64) -> Value {
    let price = json!({
        "id": format!("price_{amount}"), "object": "price", "active": true,
        "billing_scheme": "per_unit", "created": START, "currency": "usd", "product": "prod_1",
        "type": "recurring", "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
        "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
    });
    json!({ "object": "list", "has_more": false, "data": [{
        "id": "si_1", "object": "subscription_item", "price": price, "quantity": 2,
        "current_period_start": START, "current_period_end": START + 30 * DAY, "discounts": [],
        "tax_rates": [],
    }] })
}

fn invoice(id: &str, customer: &str, subscription: Option<&str>, lines: Value) -> Value {
    json!({
        "id": id, "object": "invoice", "customer": customer, "status": "open",
        "currency": "usd", "amount_due": 11_600, "amount_paid": 0, "amount_remaining": 11_600,
        "total": 11_600, "created": START, "due_date": null, "attempted": true,
        "attempt_count": 4, "next_payment_attempt": null,
        "collection_method": "charge_automatically", "billing_reason": "subscription_cycle",
        "status_transitions": { "paid_at": null },
        "parent": { "type": "subscription_details",
            "subscription_details": { "subscription": subscription } },
        "lines": { "object": "list", "has_more": false, "data": lines },
    })
}

async fn fall_behind(engine: &TableEngine) {
    let mut behind = subscription("sub_behind", "cus_behind", 9_900);
    happen(engine, "customer.subscription.created", 0, &behind).await;
    behind["items"] = items(5_800);
    happen(engine, "customer.subscription.updated", DAY, &behind).await;
    behind["status"] = json!("past_due");
    happen(engine, "customer.subscription.updated", 2 * DAY, &behind).await;
    let open = invoice("in_behind", "cus_behind", Some("sub_behind"), json!([]));
    happen(engine, "invoice.payment_failed", 3 * DAY, &open).await;
}

async fn buy_for_good(engine: &TableEngine) {
    let (price, product) = ("price_1ScfRCChUUSEbzyhhCiqFmUB", "prod_TZp5ecvCkxHcQh");
    let line = json!({
        "id": "il_1", "object": "line_item", "amount": 11_600, "currency": "usd", "quantity": 1,
        "pricing": { "type": "price_details",
            "price_details": { "price": price, "product": product } },
    });
    let mut paid = invoice("in_founder", "cus_founder", None, json!([line]));
    paid["parent"] = Value::Null;
    (paid["status"], paid["amount_paid"]) = (json!("paid"), json!(11_600));
    (paid["attempt_count"], paid["billing_reason"]) = (json!(1), json!("manual"));
    happen(engine, "invoice.paid", DAY, &paid).await;
    let charge = json!({
        "id": "ch_founder", "object": "charge", "customer": "cus_founder", "status": "succeeded",
        "currency": "usd", "amount": 900, "amount_captured": 900, "amount_refunded": 900,
        "refunded": true, "payment_intent": "pi_founder", "failure_code": null, "created": START,
        "captured": true, "paid": true,
    });
    happen(engine, "charge.refunded", 2 * DAY, &charge).await;
}

/// Two snapshots of one second that both may be the newer one.
async fn contradict(engine: &TableEngine) {
    let mut unclear = subscription("sub_unclear", "cus_unclear", 5_800);
    happen(engine, "customer.subscription.created", 0, &unclear).await;
    for (kind, status) in [("updated", "past_due"), ("resumed", "active")] {
        unclear["status"] = json!(status);
        let kind = format!("customer.subscription.{kind}");
        happen(engine, &kind, DAY, &unclear).await;
    }
}

async fn link_by_hand(engine: &TableEngine) {
    let (tenant, cause) = (tenant(), Cause::parse("api:link").unwrap());
    let request = Request {
        tenant: &tenant,
        cause: &cause,
        deadline: soon(),
    };
    let customer = StripeCustomerId::parse("cus_unclear").unwrap();
    let to = contact("initech-us");
    let linked = engine.link(&request, &customer, Some(&to));
    linked.await.unwrap();
}
