//! Receives Stripe's webhooks: verify, queue, answer.
