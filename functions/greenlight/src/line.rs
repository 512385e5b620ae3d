//! The lines: which event gives which, and how they are written.

use std::fmt;

use paygraph_bus::incoming::Incoming;
use paygraph_domain::money::Currency;
use serde_json::Value;

/// A coded line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    codes: String,
    action: &'static str,
    entity: String,
    message: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            codes,
            action,
            entity,
            message,
        } = self;
        write!(f, "[{codes}] {action}: {entity} — {message}")
    }
}

/// What a line needs beside the event.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// What stands for the customer.
    pub entity: &'a str,
    /// The contact's tier now.
    pub tier: &'a str,
}

type Writer = fn(&Incoming, Subject<'_>) -> Vec<Line>;

/// Which event gives which lines.
const LINES: &[(&str, Writer)] = &[
    ("customer_created", customer_created),
    ("checkout_completed", checkout_complete),
    ("subscription_created", subscription_created),
    ("subscription_updated", subscription_updated),
    ("subscription_canceled", subscription_canceled),
    ("cancellation_scheduled", cancel_scheduled),
    ("payment_succeeded", invoice_paid),
    ("invoice.payment_failed", invoice_failed),
    ("subscription_past_due", past_due),
    ("coupon_applied", coupon_applied),
    ("trial_started", trial_started),
    ("payment_method_updated", payment_method),
];

/// The lines of an event; none for events that have no line.
#[must_use]
pub fn lines(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let writer = LINES.iter().find(|(name, _)| *name == event.detail_type);
    writer
        .map(|(_, writer)| writer(event, subject))
        .unwrap_or_default()
}

/// Whether an event has a line at all.
#[must_use]
pub fn has_line(detail_type: &str) -> bool {
    LINES.iter().any(|(name, _)| *name == detail_type)
}

/// A tier's sign.
fn sign(tier: &str) -> &'static str {
    match tier {
        "free" => "🆓",
        "individual" => "👤",
        "pro" => "💼",
        "team" => "👥",
        "enterprise" => "🏢",
        "founder" => "🌟",
        "founding_pro" => "💎",
        _ => "🎯",
    }
}

/// A tier's code: the tiers of the table, and `unknown` for any other.
fn code(tier: &str) -> &str {
    if sign(tier) == "🎯" {
        "unknown"
    } else {
        tier
    }
}

fn text<'a>(event: &'a Incoming, name: &str) -> Option<&'a str> {
    event.detail.data.get(name).and_then(Value::as_str)
}

fn number(event: &Incoming, name: &str) -> i64 {
    event
        .detail
        .data
        .get(name)
        .and_then(Value::as_i64)
        .unwrap_or(0)
}

/// An amount as the lines write it, with its currency: `58`, `58.50`.
fn amount(event: &Incoming) -> (String, String) {
    let amounts = event.detail.data.get("amount").and_then(Value::as_object);
    let first = amounts.and_then(|amounts| amounts.iter().next());
    let (code, minor) = first.map_or(("usd", 0), |(c, m)| (c.as_str(), m.as_i64().unwrap_or(0)));
    (major(minor, code), code.to_owned())
}

/// Minor units in the currency's major unit, without a fraction that is nought.
fn major(minor: i64, currency: &str) -> String {
    let digits = Currency::parse(currency).map_or(2, |currency| currency.minor_digits());
    let unit = 10_i64.pow(digits);
    let (whole, rest) = (minor / unit, (minor % unit).abs());
    let width = usize::try_from(digits).unwrap_or(2);
    if rest == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{rest:0width$}")
    }
}

fn one(codes: String, action: &'static str, entity: &str, message: String) -> Vec<Line> {
    vec![Line {
        codes,
        action,
        entity: entity.to_owned(),
        message,
    }]
}

/// The tier that an event names, else the contact's.
fn tier<'a>(event: &'a Incoming, subject: Subject<'a>) -> &'a str {
    text(event, "tier").unwrap_or(subject.tier)
}

fn customer_created(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let customer = event
        .detail
        .stripe_customer_id
        .as_ref()
        .map_or("?", |id| id.as_str());
    one(
        "📝👤✅👉".to_owned(),
        "customer_created",
        subject.entity,
        format!("Stripe customer: {customer}"),
    )
}

fn checkout_complete(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let tier = tier(event, subject);
    let (amount, _) = amount(event);
    let message = format!("Checkout complete: {} plan, ${amount}", code(tier));
    one(
        format!("✅💳{}🎢", sign(tier)),
        "checkout_complete",
        subject.entity,
        message,
    )
}

fn subscription_created(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let tier = tier(event, subject);
    let id = text(event, "subscription").unwrap_or("?");
    let message = format!("Subscription created: {} ({id})", code(tier));
    one(
        format!("🆕⚙️{}✅", sign(tier)),
        "subscription_created",
        subject.entity,
        message,
    )
}

fn subscription_updated(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let new = tier(event, subject);
    let old = text(event, "tier_before").unwrap_or("unknown");
    let message = format!("Plan change: {} → {}", code(old), code(new));
    one(
        format!("🔄🎯{}📌", sign(new)),
        "subscription_updated",
        subject.entity,
        message,
    )
}

fn subscription_canceled(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let tier = tier(event, subject);
    let reason = text(event, "reason").unwrap_or("not specified");
    let message = format!("Canceled {} plan. Reason: {reason}", code(tier));
    one(
        format!("🚫⚠️{}🔥", sign(tier)),
        "subscription_canceled",
        subject.entity,
        message,
    )
}

fn cancel_scheduled(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let tier = tier(event, subject);
    let end = text(event, "cancel_at")
        .and_then(|at| at.split('T').next())
        .unwrap_or("?");
    let message = format!(
        "{} subscription ends on {end} - retention opportunity!",
        code(tier)
    );
    one(
        format!("📅⚠️{}⭐", sign(tier)),
        "cancel_scheduled",
        subject.entity,
        message,
    )
}

fn invoice_paid(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let (amount, currency) = amount(event);
    let message = format!("Payment successful: ${amount} {currency}");
    one(
        "💰✅🎢🌍".to_owned(),
        "invoice_paid",
        subject.entity,
        message,
    )
}

/// The first failure is a failure; each later one is a retry.
fn invoice_failed(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let attempts = number(event, "attempt_count");
    if attempts > 1 {
        let message = format!("Payment retry attempt #{}", attempts - 1);
        return one(
            "🔁💳⚡⭐".to_owned(),
            "payment_retry",
            subject.entity,
            message,
        );
    }
    let (amount, _) = amount(event);
    let reason = text(event, "decline_code").unwrap_or("declined");
    let message = format!("Payment failed: ${amount} ({reason})");
    one(
        "❌🚨💳🔥".to_owned(),
        "invoice_failed",
        subject.entity,
        message,
    )
}

fn past_due(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let message = format!(
        "Subscription past due: {} days",
        number(event, "past_due_days")
    );
    let sign = sign(tier(event, subject));
    one(format!("⚠️🚨{sign}🔥"), "past_due", subject.entity, message)
}

fn coupon_applied(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let data = &event.detail.data;
    let currency = text(event, "currency").unwrap_or("usd");
    let off = match (
        text(event, "percent_off"),
        data.get("amount_off").and_then(Value::as_i64),
    ) {
        (Some(percent), _) => format!("{percent}% off"),
        (None, Some(minor)) => format!("${} off", major(minor, currency)),
        (None, None) => "discount".to_owned(),
    };
    let message = format!(
        "Coupon {} applied: {off}",
        text(event, "coupon").unwrap_or("?")
    );
    one(
        "🎁💳✅📌".to_owned(),
        "coupon_applied",
        subject.entity,
        message,
    )
}

fn trial_started(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    let days = number(event, "trial_days");
    let message = format!(
        "Trial started: {} plan, {days} days",
        code(tier(event, subject))
    );
    one(
        "🎟️🆕👤📌".to_owned(),
        "trial_started",
        subject.entity,
        message,
    )
}

fn payment_method(event: &Incoming, subject: Subject<'_>) -> Vec<Line> {
    if text(event, "action") != Some("attached") {
        return Vec::new();
    }
    let kind = text(event, "type").unwrap_or("payment method");
    let last4 = text(event, "last4").unwrap_or("****");
    let message = format!("Payment method added: {kind} ending in {last4}");
    let mut lines = one(
        "🔐💳✅📌".to_owned(),
        "payment_method",
        subject.entity,
        message,
    );
    let message = "Payment method tokenized (no PAN stored)".to_owned();
    lines.extend(one("🔒💳✅📌".to_owned(), "tokenized", "stripe", message));
    lines
}
