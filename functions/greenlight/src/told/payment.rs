//! Checkouts and payments.

use super::{Event, Told};
use crate::line::{code, sign};
use crate::state;

pub(super) fn checkout_complete(event: &Event<'_>) -> Vec<Told> {
    let (tier, (amount, _)) = (event.tier(), event.amount());
    let message = format!("Checkout complete: {} plan, ${amount}", code(tier));
    let codes = format!("✅💳{}🎢", sign(tier));
    let told = Told::line(codes, "checkout_complete", event.entity(), message)
        .on(&["checkout", "completed", "macro", "billing", session(event)])
        .is(state::CHECKOUT)
        .by("checkout.session.completed");
    vec![told]
}

/// The table of lines has none for it.
pub(super) fn checkout_abandoned(event: &Event<'_>) -> Vec<Told> {
    let told = Told::silent("checkout_abandoned")
        .on(&["checkout", "abandoned", "micro", "billing", session(event)])
        .is(state::CHECKOUT);
    vec![told]
}

fn session<'a>(event: &'a Event<'_>) -> &'a str {
    event.text("checkout_session").unwrap_or("unknown")
}

pub(super) fn paid(event: &Event<'_>) -> Vec<Told> {
    let (amount, currency) = event.amount();
    let message = format!("Payment successful: ${amount} {currency}");
    let told = Told::line(
        "💰✅🎢🌍".to_owned(),
        "invoice_paid",
        event.entity(),
        message,
    )
    .on(&["payment", "succeeded", "macro", "billing", event.customer()])
    .is(state::PAYMENT_SUCCESS)
    .by("invoice.paid");
    vec![told]
}

/// The first failure is a failure; each later one is a retry.
pub(super) fn failed(event: &Event<'_>) -> Vec<Told> {
    let retries = event.number("attempt_count") - 1;
    let told = if retries > 0 {
        let message = format!("Payment retry attempt #{retries}");
        Told::line(
            "🔁💳⚡⭐".to_owned(),
            "payment_retry",
            event.entity(),
            message,
        )
        .on(&["payment", "retry", "micro", "billing", event.customer()])
        .is(state::RETRY)
    } else {
        let (amount, _) = event.amount();
        let later = event.whom.decline.as_deref();
        let reason = event.text("decline_code").or(later).unwrap_or("declined");
        let kind = event.text("decline_kind").or(event.whom.decline_kind);
        let kind = kind.map(|kind| format!(", {kind} decline"));
        let kind = kind.unwrap_or_default();
        let message = format!("Payment failed: ${amount} ({reason}){kind}");
        Told::line(
            "❌🚨💳🔥".to_owned(),
            "invoice_failed",
            event.entity(),
            message,
        )
        .on(&["payment", "failed", "micro", "billing", event.customer()])
        .is(state::PAYMENT_FAILED)
    };
    vec![told.by("invoice.payment_failed")]
}
