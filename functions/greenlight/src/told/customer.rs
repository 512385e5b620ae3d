//! Customers, what they pay with, and their coupons.

use serde_json::Value;

use super::{Event, Told, in_currency};

pub(super) fn created(event: &Event<'_>) -> Vec<Told> {
    let customer = event.incoming.detail.stripe_customer_id.as_ref();
    let customer = customer.map_or("?", |id| id.as_str());
    let message = format!("Stripe customer: {customer}");
    let codes = "📝👤✅👉".to_owned();
    vec![Told::line(
        codes,
        "customer_created",
        event.entity(),
        message,
    )]
}

pub(super) fn payment_method(event: &Event<'_>) -> Vec<Told> {
    if event.text("action") != Some("attached") {
        return Vec::new();
    }
    let kind = event.text("type").unwrap_or("payment method");
    let last4 = event.text("last4").unwrap_or("****");
    let message = format!("Payment method added: {kind} ending in {last4}");
    let added = Told::line(
        "🔐💳✅📌".to_owned(),
        "payment_method",
        event.entity(),
        message,
    );
    let message = "Payment method tokenized (no PAN stored)".to_owned();
    let tokenized = Told::line("🔒💳✅📌".to_owned(), "tokenized", "stripe", message);
    vec![added, tokenized]
}

pub(super) fn coupon(event: &Event<'_>) -> Vec<Told> {
    let currency = event.text("currency").unwrap_or("usd");
    let amount = event.value("amount_off").and_then(Value::as_i64);
    let off = match (event.text("percent_off"), amount) {
        (Some(percent), _) => format!("{percent}% off"),
        (None, Some(minor)) => format!("${} off", in_currency(currency, minor)),
        (None, None) => "discount".to_owned(),
    };
    let coupon = event.text("coupon").unwrap_or("?");
    let message = format!("Coupon {coupon} applied: {off}");
    vec![Told::line(
        "🎁💳✅📌".to_owned(),
        "coupon_applied",
        event.entity(),
        message,
    )]
}
