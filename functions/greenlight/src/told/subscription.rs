//! Subscriptions, from their trials to their ends.

use super::{Event, Told};
use crate::line::{code, sign};
use crate::state;

pub(super) fn created(event: &Event<'_>) -> Vec<Told> {
    let tier = event.tier();
    let id = event.text("subscription").unwrap_or("?");
    let message = format!("Subscription created: {} ({id})", code(tier));
    let codes = format!("🆕⚙️{}✅", sign(tier));
    let told = Told::line(codes, "subscription_created", event.entity(), message)
        .on(&["subscription", "created", code(tier), event.customer()])
        .is(state::SUB_CREATED)
        .by("customer.subscription.created");
    vec![told]
}

pub(super) fn updated(event: &Event<'_>) -> Vec<Told> {
    let new = event.tier();
    let old = event.text("tier_before").unwrap_or("unknown");
    let message = format!("Plan change: {} → {}", code(old), code(new));
    let codes = format!("🔄🎯{}📌", sign(new));
    let told = Told::line(codes, "subscription_updated", event.entity(), message)
        .on(&[
            "subscription",
            "updated",
            code(old),
            code(new),
            event.customer(),
        ])
        .is(state::SUB_UPDATED)
        .by("customer.subscription.updated");
    vec![told]
}

pub(super) fn canceled(event: &Event<'_>) -> Vec<Told> {
    let tier = event.tier();
    let reason = event.text("reason").unwrap_or("not specified");
    let message = format!("Canceled {} plan. Reason: {reason}", code(tier));
    let codes = format!("🚫⚠️{}🔥", sign(tier));
    let told = Told::line(codes, "subscription_canceled", event.entity(), message)
        .on(&["subscription", "canceled", code(tier), event.customer()])
        .is(state::SUB_CANCELED)
        .by("customer.subscription.deleted");
    vec![told]
}

/// The table of lines has none for it.
pub(super) fn expired(event: &Event<'_>) -> Vec<Told> {
    let told = Told::silent("subscription_expired")
        .on(&[
            "subscription",
            "expired",
            code(event.tier()),
            event.customer(),
        ])
        .is(state::SUB_INCOMPLETE);
    vec![told]
}

pub(super) fn past_due(event: &Event<'_>) -> Vec<Told> {
    let days = event.number("past_due_days");
    let message = format!("Subscription past due: {days} days");
    let codes = format!("⚠️🚨{}🔥", sign(event.tier()));
    vec![Told::line(codes, "past_due", event.entity(), message)]
}

pub(super) fn cancel_scheduled(event: &Event<'_>) -> Vec<Told> {
    let codes = format!("📅⚠️{}⭐", sign(event.tier()));
    vec![Told::line(
        codes,
        "cancel_scheduled",
        event.entity(),
        ends(event),
    )]
}

pub(super) fn expiring(event: &Event<'_>) -> Vec<Told> {
    let codes = format!("⏸️📅{}⭐", sign(event.tier()));
    vec![Told::line(
        codes,
        "subscription_expiring",
        event.entity(),
        ends(event),
    )]
}

fn ends(event: &Event<'_>) -> String {
    let (tier, day) = (code(event.tier()), event.day("cancel_at"));
    format!("{tier} subscription ends on {day} - retention opportunity!")
}

pub(super) fn trial_started(event: &Event<'_>) -> Vec<Told> {
    let (tier, days) = (code(event.tier()), event.number("trial_days"));
    let message = format!("Trial started: {tier} plan, {days} days");
    vec![Told::line(
        "🎟️🆕👤📌".to_owned(),
        "trial_started",
        event.entity(),
        message,
    )]
}
