//! The event types that a webhook endpoint of paygraph's must be sent.

/// What a contact's state is read from. Beside it an endpoint may send whatever it likes: all of it
/// is passed on.
pub const REQUIRED: &[&str] = &[
    "charge.captured",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.expired",
    "charge.failed",
    "charge.pending",
    "charge.refund.updated",
    "charge.refunded",
    "charge.succeeded",
    "charge.updated",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "coupon.created",
    "coupon.deleted",
    "coupon.updated",
    "customer.created",
    "customer.deleted",
    "customer.discount.created",
    "customer.discount.deleted",
    "customer.discount.updated",
    "customer.source.created",
    "customer.source.deleted",
    "customer.source.expiring",
    "customer.source.updated",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.created",
    "invoice.deleted",
    "invoice.finalization_failed",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.overdue",
    "invoice.overpaid",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.sent",
    "invoice.updated",
    "invoice.voided",
    "invoice.will_be_due",
    "payment_method.attached",
    "payment_method.automatically_updated",
    "payment_method.detached",
    "payment_method.updated",
    "plan.created",
    "plan.deleted",
    "plan.updated",
    "price.created",
    "price.deleted",
    "price.updated",
    "product.created",
    "product.deleted",
    "product.updated",
    "refund.created",
    "refund.failed",
    "refund.updated",
    "subscription_schedule.aborted",
    "subscription_schedule.canceled",
    "subscription_schedule.completed",
    "subscription_schedule.created",
    "subscription_schedule.expiring",
    "subscription_schedule.released",
    "subscription_schedule.updated",
];

/// The event by which an account takes the platform's access back. Only Connect endpoints get it.
pub const DEAUTHORIZED: &str = "account.application.deauthorized";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::decode::{is_read, read_prefixes};

    #[test]
    fn every_type_that_is_read_is_required_and_no_other() {
        for required in REQUIRED {
            assert!(is_read(required), "{required} is not read");
        }
        for prefix in read_prefixes() {
            let asked = REQUIRED.iter().any(|name| name.starts_with(prefix));
            assert!(asked, "nothing that begins with {prefix} is required");
        }
        assert!(REQUIRED.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn every_payload_that_is_read_is_required() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/stripe");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(event_type) = name.strip_suffix(".json")
                && is_read(event_type)
            {
                assert!(REQUIRED.contains(&event_type), "{event_type}");
            }
        }
    }
}
