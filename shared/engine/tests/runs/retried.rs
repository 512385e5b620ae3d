//! A retried card: several charges of one payment intent, which all give the same link.

use paygraph_domain::fact::Link;
use paygraph_domain::id::StripeId;
use paygraph_engine::ports::Store as _;
use paygraph_engine::run::{Job, Outcome};
use paygraph_testkit::fake_stripe::FakeStripe;
use serde_json::{Value, json};

use super::stack::{START, Stack, empty, whole};
use crate::stripe_api::default;

/// A charge of the payment intent `pi_1`. Stripe makes a new charge for each attempt
/// (<https://docs.stripe.com/api/payment_intents/object#payment_intent_object-latest_charge>).
fn charge(id: &str, status: &str) -> Value {
    json!({ "id": id, "object": "charge", "customer": "cus_1", "payment_intent": "pi_1",
        "status": status, "currency": "usd", "amount": 5_000, "created": START + 5 })
}

/// A Stripe with a customer whose card was declined and then charged.
async fn retried() -> FakeStripe {
    let stripe = empty().await;
    stripe.put(
        json!({ "id": "cus_1", "object": "customer", "created": START,
        "invoice_settings": {}, "metadata": {} }),
    );
    stripe.put(charge("ch_declined", "failed"));
    stripe.put(charge("ch_paid", "succeeded"));
    stripe
}

/// The payment intent leads to its customer.
async fn assert_leads(stack: &Stack) {
    let link = Link::PaymentIntent(StripeId::parse("pi_1").unwrap());
    let customer = stack.engine.store.customer_by(&default(), &link).await;
    assert_eq!(customer.unwrap().unwrap().as_str(), "cus_1");
}

/// T1: an import with two charges of one payment intent ends, and so does a second one.
#[tokio::test]
async fn t1_an_import_with_a_retried_card_ends() {
    let stripe = retried().await;
    let stack = Stack::new(&stripe);
    let (run, _) = stack.run(Job::Backfill, whole()).await;
    assert_eq!(run.counts.failed.len(), 0, "{:?}", run.counts.failed);
    assert_leads(&stack).await;
    let (again, _) = stack.run(Job::Backfill, whole()).await;
    assert_eq!(again.counts.committed, 0);
}

/// T1: a comparison that finds two charges of one payment intent, which no webhook brought, ends and
/// heals them.
#[tokio::test]
async fn t1_a_comparison_with_a_retried_card_ends() {
    let stripe = retried().await;
    let stack = Stack::new(&stripe);
    let (run, drift) = stack.run(Job::Reconcile, whole()).await;
    assert_eq!(run.counts.failed.len(), 0, "{:?}", run.counts.failed);
    assert!(drift.iter().all(|drift| drift.outcome == Outcome::Healed));
    assert_leads(&stack).await;
    let (_, again) = stack.run(Job::Reconcile, whole()).await;
    assert_eq!(again, Vec::new());
}
