//! States and steps: what a transition means in GreenLight's two tables.

use serde::Serialize;

/// A state of the lifecycle or of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct State {
    /// Its code.
    pub code: &'static str,
    /// +1 advancing, 0 neutral, -1 failing.
    pub trinary: i8,
}

const fn state(code: &'static str, trinary: i8) -> State {
    State { code, trinary }
}

/// A checkout.
pub const CHECKOUT: State = state("checkout", 0);
/// A payment came in.
pub const PAYMENT_SUCCESS: State = state("payment_success", 1);
/// A payment was declined.
pub const PAYMENT_FAILED: State = state("payment_failed", -1);
/// A payment was tried again.
pub const RETRY: State = state("retry", 0);
/// A new subscription.
pub const SUB_CREATED: State = state("sub_created", 1);
/// Another plan.
pub const SUB_UPDATED: State = state("sub_updated", 0);
/// A subscription ended.
pub const SUB_CANCELED: State = state("sub_canceled", -1);
/// The first payment never came.
pub const SUB_INCOMPLETE: State = state("sub_incomplete", -1);

/// A step of the cycle that GreenLight counts through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// Its signs.
    pub emoji: &'static str,
    /// The state that it leaves.
    pub from: &'static str,
    /// The state that it leads to.
    pub to: &'static str,
}

const fn step(
    number: u8,
    name: &'static str,
    emoji: &'static str,
    from: &'static str,
    to: &'static str,
) -> Step {
    Step {
        number,
        name,
        emoji,
        from,
        to,
    }
}

/// Which type of Stripe's is which step.
const STEPS: [(&str, Step); 9] = [
    (
        "customer.created",
        step(4, "Record", "📝👤", "inbox", "recorded"),
    ),
    (
        "payment_method.attached",
        step(6, "Verify", "🔐💳", "record", "verified"),
    ),
    (
        "checkout.session.completed",
        step(7, "Approve", "✅💳", "evaluate", "approved"),
    ),
    (
        "customer.updated",
        step(10, "Refine", "✨👤", "configure", "refined"),
    ),
    (
        "customer.subscription.created",
        step(13, "Execute", "⚙️🆕", "plan", "executing"),
    ),
    (
        "customer.subscription.updated",
        step(14, "Iterate", "🔄🔄", "executing", "iterate"),
    ),
    (
        "invoice.payment_failed",
        step(16, "Detect", "🚨❌", "executing", "detect"),
    ),
    (
        "invoice.paid",
        step(19, "Complete", "🎉💰", "executing", "complete"),
    ),
    (
        "customer.subscription.deleted",
        step(21, "Accept", "🤝🚫", "complete", "accepted"),
    ),
];

/// A webhook was received.
pub const IMPULSE: Step = step(1, "Impulse", "⚡📥", "void", "inbox");

/// The step of a type of Stripe's; none for those that the table does not name.
#[must_use]
pub fn step_of(event_type: &str) -> Option<Step> {
    let step = STEPS.iter().find(|(name, _)| *name == event_type);
    step.map(|(_, step)| *step)
}
