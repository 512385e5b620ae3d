//! Stripe's objects and events, as the tests send them.

use serde_json::{Value, json};

use crate::{DAY, now};

/// A Stripe event.
#[must_use]
pub fn event(id: &str, kind: &str, created: i64, object: &Value) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2026-10-28.endive", "type": kind,
        "created": created, "livemode": false, "data": { "object": object },
    })
}

/// A customer's creation.
#[must_use]
pub fn customer_created(id: &str, customer: &str) -> Value {
    let object = json!({
        "id": customer, "object": "customer", "created": now(), "metadata": {},
        "email": format!("{customer}@example.com"), "name": "Zoë",
    });
    event(id, "customer.created", now(), &object)
}

/// A subscription to one price for $58.00 a month, from an instant on; a trial runs for ten days.
#[must_use]
pub fn subscription(customer: &str, status: &str, t: i64) -> Value {
    let price = json!({
        "id": "price_1SWQXKChUUSEbzyhLSObMBLT", "product": "prod_TTNHfJE07G7dty", "currency": "usd",
        "unit_amount": 5800, "billing_scheme": "per_unit",
        "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
    });
    let trial_end = (status == "trialing").then_some(t + 10 * DAY);
    json!({
        "id": format!("sub_{customer}"), "object": "subscription", "customer": customer,
        "status": status, "currency": "usd", "created": t, "start_date": t,
        "trial_start": trial_end.map(|_| t), "trial_end": trial_end,
        "collection_method": "charge_automatically",
        "items": { "data": [{
            "id": format!("si_{customer}"), "price": price, "quantity": 1,
            "current_period_start": t, "current_period_end": t + 30 * DAY,
        }] },
    })
}

/// A subscription's invoice over $58.00, `open` after its payment failed or `paid`.
#[must_use]
pub fn invoice(customer: &str, status: &str, t: i64) -> Value {
    let paid = if status == "paid" { 5_800 } else { 0 };
    json!({
        "id": format!("in_{customer}"), "object": "invoice", "customer": customer, "status": status,
        "currency": "usd", "created": t, "amount_due": 5_800, "amount_paid": paid,
        "amount_remaining": 5_800 - paid, "total": 5_800, "attempt_count": 1, "attempted": true,
        "next_payment_attempt": (status == "open").then_some(t + 3 * DAY),
        "collection_method": "charge_automatically", "billing_reason": "subscription_cycle",
        "parent": { "type": "subscription_details",
            "subscription_details": { "subscription": format!("sub_{customer}") } },
        "lines": { "object": "list", "has_more": false, "data": [] },
    })
}
