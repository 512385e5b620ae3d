//! Bank debits: Stripe asks a bank, which answers in days.
//!
//! Meanwhile the charge is `pending` and the invoice `open`, with one attempt and no next one.
//! (<https://docs.stripe.com/payments/bank-debits>)

use serde_json::json;

use super::invoice::subscription_of;
use super::payment::Outcome;
use super::{DAY, Life, World, number, set, text};

/// Why debits fail. (<https://docs.stripe.com/payments/ach-direct-debit#failure-codes>)
const FAILURES: [&str; 4] = [
    "insufficient_funds",
    "debit_not_authorized",
    "account_closed",
    "no_account",
];

impl World {
    /// A debit of what is left of an invoice begins. A subscription does not wait for its end.
    pub(super) fn debit(&mut self, life: &mut Life, place: usize) {
        let charge = self.charge_for(life, place, Outcome::Pending);
        let invoice = &mut life.invoices[place];
        invoice["_pending"] = json!(charge);
        let fields = json!({
            "attempt_count": number(invoice, "attempt_count") + 1, "attempted": true,
            "next_payment_attempt": null,
        });
        self.update("invoice.updated", invoice, fields);
        let subscription = subscription_of(invoice);
        self.set_status(life, &subscription, &["incomplete"], "active");
    }

    /// The bank has answered.
    pub(super) fn settle_debit(&mut self, life: &mut Life, place: usize) {
        self.now += self.random.i64(0..4) * DAY;
        let charge = life.invoices[place]["_pending"].take();
        let Some(at) = life.charges.iter().position(|known| known["id"] == charge) else {
            return;
        };
        let intent = text(&life.charges[at], "payment_intent").to_owned();
        let id = text(&life.charges[at], "id").to_owned();
        if self.chance(60) {
            set(
                &mut life.charges[at],
                json!({ "status": "succeeded", "paid": true }),
            );
            self.tell("charge.succeeded", &life.charges[at]);
            self.tell_intent_of(life, &intent, &id, Outcome::Paid);
            self.payment_is_paid(life, &intent);
            life.invoices[place]["_charge"] = charge;
            return self.is_paid(life, place, false);
        }
        let why = self.random.choice(FAILURES);
        let fields = json!({
            "status": "failed", "paid": false, "failure_code": why, "amount_captured": 0,
            "captured": false,
        });
        set(&mut life.charges[at], fields);
        self.tell("charge.failed", &life.charges[at]);
        self.tell_intent_of(life, &intent, &id, Outcome::Declined);
        let tried = number(&life.invoices[place], "attempt_count");
        let is_sent = text(&life.invoices[place], "collection_method") == "send_invoice";
        let is_retried = !is_sent && tried < 2 && self.chance(60);
        let next = is_retried.then_some(self.now + 4 * DAY);
        self.has_failed(life, place, tried, next);
    }
}
